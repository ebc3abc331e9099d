import Addressing
import DualStack
import Ledger
import Synchronization
import TandemAPI

/// `Release`: gives back what one object holds. Releasing what is not there succeeds with an empty list.
extension Engine {
    func release(_ target: Release, for caller: Caller) {
        switch target {
        case .service(let metadata): release(service: metadata, for: caller)
        case .node(let metadata, let force): release(node: metadata, force: force, for: caller)
        // The name's or the container's turn comes first: an allocation that came before is over then, whatever node it is on,
        // and none comes between.
        case .pod(let metadata, let node):
            podTurns.take(PodIdentity.turn(of: metadata), on: caller.executor) { turn in
                self.releasePods(ReleasedPods(.named(metadata), on: node), for: caller.holding(turn))
            }
        case .attachment(let attachment):
            let origin = PodIdentity.origin(containerID: attachment.containerID)
            let pods = ReleasedPods(.attached(origin: origin, ifName: attachment.ifName), on: attachment.nodeName)
            afterArrivals(of: origin, for: caller) {
                self.podTurns.take(origin, on: caller.executor) { turn in
                    self.releasePods(pods, for: caller.holding(turn))
                }
            }
        }
    }

    // MARK: Services

    private func release(service metadata: ObjectMeta, for caller: Caller) {
        let key = StoredService.key(metadata)
        serviceTurns.take(key, on: caller.executor) { turn in
            self.release(service: metadata, key, attempts: Engine.attempts, for: caller.holding(turn))
        }
    }

    private func release(service metadata: ObjectMeta, _ key: String, attempts: Int, for caller: Caller) {
        guard let stored = books.services[key], metadata.uid == nil || metadata.uid == stored.uid else {
            return caller.succeed(.released([]))
        }
        let result = CallResult.released(stored.addresses.map { Released(.address($0), owner: stored.owner) })
        guard !caller.isDryRun else { return caller.succeed(result) }
        let object = ObjectKey(.service, key)
        let proposal = Proposal(expecting: [.unchanged(object, version: stored.version)], [.delete(object)])
        commit(Intent(proposal), for: caller) { outcome in
            if case .refused = outcome, attempts > 1 {
                return self.release(service: metadata, key, attempts: attempts - 1, for: caller)
            }
            caller.answer(outcome.result(result))
        }
    }
}

extension Engine {
    /// Runs `body` once every allocation for the container that came before is over.
    func afterArrivals(of origin: String, for caller: Caller, _ body: @escaping @Sendable () -> Void) {
        let names = podArrivals.names(origin)
        guard !names.isEmpty else { return body() }
        let left = Mutex(names[...])
        Pieces(on: nil) { pieces in
            guard let name = left.withLock({ $0.popFirst() }) else { return body() }
            // Behind those of the name that came before; none of them is held up by this call.
            self.podTurns.take(name, on: caller.executor) { turn in
                turn.giveBack()
                pieces.next()
            }
        }.start()
    }
}

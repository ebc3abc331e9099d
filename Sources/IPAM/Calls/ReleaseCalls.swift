import Addressing
import DualStack
import Ledger
import Synchronization
import TandemAPI

/// `Release`: frees the addresses of one object. The release of a missing object succeeds with an empty list.
extension Engine {
    func release(_ target: Release, for caller: Caller) {
        switch target {
        case .service(let metadata): release(service: metadata, for: caller)
        case .node(let metadata, let force): release(node: metadata, force: force, for: caller)
        case .pod(let metadata, let node):
            release(.named(metadata), PodTurn.name(metadata), on: node ?? caller.onlyNode, for: caller)
        case .attachment(let attachment):
            let origin = PodIdentity.origin(containerID: attachment.containerID)
            let choice = ReleasedPods.Choice.attached(origin: origin, ifName: attachment.ifName)
            guard let node = attachment.nodeName, attachment.podUID != nil else {
                return release(choice, origin, on: attachment.nodeName ?? caller.onlyNode, for: caller)
            }
            takeTurn(origin, on: node, for: caller) { turn in
                guard let pod = self.unattached(insteadOf: attachment) else {
                    return self.releasePods(ReleasedPods(choice, on: node), for: caller.holding(turn))
                }
                // A name's turn is never waited for with a container's in hand.
                turn.giveBack()
                self.release(.unattached(pod), PodTurn.name(pod), on: node, for: caller)
            }
        }
    }

    // MARK: Pods

    /// The name's or the container's turn comes first: an allocation that came before is over then. `name` is that of `PodTurn`, or the
    /// origin.
    private func release(_ choice: ReleasedPods.Choice, _ name: String, on node: String?, for caller: Caller) {
        if let node {
            return takeTurn(name, on: node, for: caller) { turn in
                self.releasePods(ReleasedPods(choice, on: node), for: caller.holding(turn))
            }
        }
        // On each node that has such an allocation in flight; then of all, each piece under the turn of its node's.
        oneByOne(podNodes.words(name)) { node, next in
            self.takeTurn(name, on: node, for: caller) { turn in
                turn.giveBack()
                next()
            }
        } then: {
            self.releasePods(ReleasedPods(choice, on: nil), for: caller)
        }
    }

    /// Takes the turn of a name or of a container on a node, once every allocation for the container that came before is over.
    private func takeTurn(
        _ name: String, on node: String, for caller: Caller, _ body: @escaping @Sendable (Turn) -> Void
    ) {
        let name = PodTurn.text(name, on: node)
        oneByOne(podArrivals.words(name)) { arrival, next in
            // Behind those of the name that came before; none of them is held up by this call.
            self.podTurns.take(arrival, on: caller.executor) { turn in
                turn.giveBack()
                next()
            }
        } then: {
            self.podTurns.take(name, on: caller.executor, body)
        }
    }

    /// Has `wait` call `next` for each of the words, one after the other, and then runs `body`.
    private func oneByOne(
        _ words: [String], _ wait: @escaping @Sendable (String, _ next: @escaping @Sendable () -> Void) -> Void,
        then body: @escaping @Sendable () -> Void
    ) {
        guard !words.isEmpty else { return body() }
        let left = Mutex(words[...])
        Pieces(on: nil) { pieces in
            guard let word = left.withLock({ $0.popFirst() }) else { return body() }
            wait(word, pieces.next)
        }.start()
    }

    /// The pod that goes in an attachment's place: the node holds nothing of that, and has the pod of the uid without any. O(pods of
    /// the node) where it holds nothing.
    private func unattached(insteadOf attachment: ReleasedAttachment) -> ObjectMeta? {
        guard let uid = attachment.podUID, let ifName = attachment.ifName, let name = attachment.nodeName,
            let node = books.nodes[name],
            books.pod(PodIdentity(Attachment(containerID: attachment.containerID, ifName: ifName)), on: name) == nil
        else { return nil }
        var last: StoredPod?
        repeat {
            // A few at a time, as a lock is held meanwhile.
            let pods = node.pods(after: last, limit: 256)
            last = pods.last
            let wanted = Written<ObjectUID>(uid)
            let found = pods.first { $0.uid == wanted && !$0.identity.isAttached && $0.identity.ifName == ifName }
            if let found { return ObjectMeta(namespace: found.namespace, name: found.name, uid: wanted) }
        } while last != nil
        return nil
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

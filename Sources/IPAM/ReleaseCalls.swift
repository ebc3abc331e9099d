import Addressing
import DualStack
import Ledger
import TandemAPI

/// `Release`: gives back what one object holds. Releasing what is not there succeeds with an empty list.
extension Engine {
    func perform(_ target: Release, isDryRun: Bool, onlyNode: String?, _ answer: @escaping Answer) {
        switch target {
        case .service(let metadata): release(service: metadata, isDryRun: isDryRun, answer)
        case .node(let metadata, let force): release(node: metadata, force: force, isDryRun: isDryRun, answer)
        case .pod(let metadata):
            let pods = registry.pods(named: metadata).filter { metadata.uid == nil || metadata.uid == $0.uid }
            release(pods, isDryRun: isDryRun, onlyNode: onlyNode, answer)
        case .attachment(let containerID, let ifName):
            let origin = PodIdentity.origin(containerID: containerID)
            // Behind the calls on this container that are under way: a DEL that follows an ADD which nobody waited for
            // finds what that allocated.
            podTurns.take(origin) { turn in
                turn.giveBack()
                let attached = self.registry.pods(origin: origin)
                let pods = attached.filter { ifName == nil || $0.identity.ifName == ifName }
                self.release(pods, isDryRun: isDryRun, onlyNode: onlyNode, answer)
            }
        }
    }

    // MARK: Services

    private func release(service metadata: ObjectMeta, isDryRun: Bool, _ answer: @escaping Answer) {
        let key = StoredService.key(metadata.namespace, metadata.name)
        serviceTurns.take(key) { turn in
            let finish: Answer = { result in
                answer(result)
                turn.giveBack()
            }
            guard let stored = self.registry.services[key], metadata.uid == nil || metadata.uid == stored.uid else {
                return finish(.success(.released([])))
            }
            do throws(APIError) {
                self.release(stored, holding: holdings(of: try stored.decoded()), isDryRun: isDryRun, finish)
            } catch {
                finish(.failure(error))
            }
        }
    }

    private func release(
        _ stored: StoredService, holding: [ServiceHolding], isDryRun: Bool, _ answer: @escaping Answer
    ) {
        let result = CallResult.released(holding.map { Released(.address($0.address), owner: stored.owner) })
        guard !isDryRun else { return answer(.success(result)) }
        let registry = registry
        let change = Change(
            records: [LedgerRecord(kind: .service, key: stored.key, version: nextVersion(), change: .delete)],
            freed: holding.compactMap { held in
                pools.addressPool(held.pool, containing: held.address).map { .address($0, held.address) }
            },
            apply: { registry.remove(stored, freed: holding.map(\.address)) })
        commit(change) { outcome in answer(outcome.result(result)) }
    }

    // MARK: Pods

    /// Each pod under its node's and its own turn; all of them are looked up again then, since they may be gone.
    private func release(
        _ pods: [StoredPod], isDryRun: Bool, onlyNode: String?, _ answer: @escaping Answer
    ) {
        if let onlyNode, let foreign = pods.first(where: { $0.node.name != onlyNode }) {
            return answer(
                .failure(
                    APIError(
                        .permissionDenied, reason: "Forbidden",
                        "a pod of node \"\(foreign.node.name)\" can't be released by node \"\(onlyNode)\"")))
        }
        releaseNext(of: pods[...], released: [], isDryRun: isDryRun, answer)
    }

    private func releaseNext(
        of pods: ArraySlice<StoredPod>, released: [Released], isDryRun: Bool, _ answer: @escaping Answer
    ) {
        guard let pod = pods.first else { return answer(.success(.released(released))) }
        let proceed: @Sendable (Result<[Released], APIError>) -> Void = { result in
            switch result {
            case .success(let more):
                self.releaseNext(of: pods.dropFirst(), released: released + more, isDryRun: isDryRun, answer)
            case .failure(let error): answer(.failure(error))
            }
        }
        nodeTurns.take(pod.node.name, shared: true) { nodeTurn in
            self.podTurns.take(pod.identity.origin) { podTurn in
                self.release(pod, isDryRun: isDryRun) { result in
                    podTurn.giveBack()
                    nodeTurn.giveBack()
                    proceed(result)
                }
            }
        }
    }

    private func release(
        _ pod: StoredPod, isDryRun: Bool, _ done: @escaping @Sendable (Result<[Released], APIError>) -> Void
    ) {
        guard let current = registry.pod(pod.identity), current === pod else { return done(.success([])) }
        let released = pod.released
        guard !isDryRun else { return done(.success(released)) }
        let registry = registry
        let version = nextVersion()
        let cooled = cool(pod.addresses, on: pod.node, version: version)
        let change = Change(
            records: [pod.removal(version: version)] + cooled.records, freed: cooled.freed,
            apply: { registry.remove(pod) })
        commit(change) { outcome in
            switch outcome {
            case .kept: done(.success(released))
            case .refused: done(.failure(.refusedTooOften))
            case .failed(let error): done(.failure(error))
            }
        }
    }

    // MARK: Nodes

    private func release(node metadata: ObjectMeta, force: Bool, isDryRun: Bool, _ answer: @escaping Answer) {
        // Alone: no pod of the node can come or go meanwhile.
        nodeTurns.take(metadata.name) { turn in
            let finish: Answer = { result in
                answer(result)
                turn.giveBack()
            }
            guard let node = self.registry.nodes[metadata.name], metadata.uid == nil || metadata.uid == node.uid
            else { return finish(.success(.released([]))) }
            do throws(APIError) {
                try self.release(node, force: force, isDryRun: isDryRun, finish)
            } catch {
                finish(.failure(error))
            }
        }
    }

    private func release(
        _ node: StoredNode, force: Bool, isDryRun: Bool, _ answer: @escaping Answer
    ) throws(APIError) {
        let pods = node.listedPods()
        guard pods.isEmpty || force else {
            throw APIError(
                .failedPrecondition, reason: "NodeHasPods",
                "node \"\(node.name)\" still has \(pods.count) pod\(pods.count == 1 ? "" : "s"); "
                    + "release them first, or give \"force\": true to release them with it")
        }
        let result = CallResult.released(
            pods.flatMap(\.released) + node.podCIDRs.map { Released(.subnet($0), owner: node.owner) })
        guard !isDryRun else { return answer(.success(result)) }
        let registry = registry
        let version = nextVersion()
        let change = Change(
            records: pods.map { $0.removal(version: version) }
                + node.cooling.all.map { CoolingRecord.removal($0.address, version: version) }
                + [LedgerRecord(kind: .node, key: node.name, version: version, change: .delete)],
            // The pods' addresses go with the pools of the node.
            freed: node.podCIDRs.compactMap { cidr in
                pools.subnetPool(containing: cidr).map { .subnet($0, cidr) }
            },
            apply: {
                for pod in pods { registry.remove(pod) }
                registry.remove(node)
            })
        commit(change) { outcome in answer(outcome.result(result)) }
    }
}

extension StoredPod {
    fileprivate func removal(version: UInt64) -> LedgerRecord {
        LedgerRecord(kind: .pod, key: key, version: version, change: .delete)
    }

    fileprivate var released: [Released] {
        let owner = owner
        return addresses.map { Released(.address($0), owner: owner) }
    }
}

extension CommitOutcome {
    fileprivate func result(_ success: CallResult) -> Result<CallResult, APIError> {
        switch self {
        case .kept: .success(success)
        case .refused: .failure(.refusedTooOften)
        case .failed(let error): .failure(error)
        }
    }
}

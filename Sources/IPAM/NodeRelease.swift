import Addressing
import Ledger
import Synchronization
import TandemAPI

extension Engine {
    func release(node metadata: ObjectMeta, force: Bool, for caller: Caller) {
        // Alone: no pod of the node can come or go meanwhile.
        nodeTurns.take(metadata.name, on: caller.executor) { turn in
            let caller = caller.holding(turn)
            guard let node = self.registry.nodes[metadata.name], metadata.uid == nil || metadata.uid == node.uid
            else { return caller.succeed(.released([])) }
            let pods = node.podCount
            guard pods == 0 || force else { return caller.fail(.nodeHasPods(node, pods)) }
            let release = NodeRelease(node, of: self, for: caller)
            Pieces(on: caller.executor, release.releaseNext).start()
        }
    }
}

/// The release of a node with all of its pods, in pieces, under the node's turn alone: its pods, then what cools, then the node
/// with what is left of both. A small node goes in one.
private final class NodeRelease: Sendable {
    private struct State {
        /// For a dry run, which takes nothing away.
        var last: StoredPod?
        var released = ReleasedSoFar()
    }

    private let node: StoredNode
    private let engine: Engine
    private let caller: Caller
    private let state = Mutex(State())

    init(_ node: StoredNode, of engine: Engine, for caller: Caller) {
        self.node = node
        self.engine = engine
        self.caller = caller
    }

    @Sendable
    func releaseNext(_ pieces: Pieces) {
        let limit = engine.recordsPerPiece
        let seen = node.pods(after: state.withLock { $0.last }, limit: limit)
        var room = ReleasePiece(maximumRecords: limit)
        let pods = Array(seen.prefix { room.add($0) })
        let leavesRoom = pods.count <= limit / 4 && pods.count == seen.count
        if caller.isDryRun {
            note(pods)
            if pods.isEmpty { return end() }
            state.withLock { $0.last = pods.last }
            return pieces.next()
        }
        let version = engine.nextVersion()
        let isLast = leavesRoom && node.cooling.count <= limit / 2
        var change = Change(records: [], apply: {})
        if isLast {
            change = lastChange(pods, version)
        } else if !pods.isEmpty {
            change = engine.removal(of: pods, version: version)
        } else {
            let cooling = node.cooling.takeReady(.max, limit: limit)
            engine.free(cooling, of: node, in: &change, version: version)
        }
        engine.commit(change) { outcome in
            let result = outcome.result(.released([]))
            guard case .success = result else { return self.caller.answer(result) }
            self.note(pods)
            if isLast { self.end() } else { pieces.next() }
        }
    }

    /// Everything that is left. The pods' addresses go with the pools of the node.
    private func lastChange(_ pods: [StoredPod], _ version: UInt64) -> Change {
        let (registry, node, pools) = (engine.registry, node, engine.pools)
        return Change(
            records: pods.map { $0.removal(version: version) }
                + node.cooling.all.map { CoolingRecord.removal($0, version: version) }
                + [LedgerRecord(kind: .node, key: node.name, version: version, change: .delete)],
            freed: node.podCIDRs.compactMap { cidr in
                pools.subnetPool(containing: cidr).map { .subnet($0, cidr) }
            },
            apply: {
                for pod in pods { registry.remove(pod) }
                registry.remove(node)
            })
    }

    private func note(_ pods: [StoredPod]) {
        state.withLock { state in
            for pod in pods { state.released.add(pod) }
        }
    }

    private func end() {
        let released = state.withLock { state in
            for cidr in node.podCIDRs { state.released.add(.subnet(cidr), of: node.owner) }
            return state.released
        }
        released.answer(caller)
    }
}

extension APIError {
    fileprivate static func nodeHasPods(_ node: StoredNode, _ pods: Int) -> APIError {
        APIError(
            .failedPrecondition, reason: "NodeHasPods",
            "node \"\(node.name)\" still has \(pods) pod\(pods == 1 ? "" : "s"); "
                + "release them first, or give \"force\": true to release them with it")
    }
}

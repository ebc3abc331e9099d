import Addressing
import Allocation
import Ledger
import Synchronization
import TandemAPI

extension Engine {
    func release(node metadata: ObjectMeta, force: Bool, for caller: Caller) {
        // Alone: no pod of the node can come or go meanwhile.
        nodeTurns.take(metadata.name, on: caller.executor) { turn in
            let caller = caller.holding(turn)
            guard let node = self.books.nodes[metadata.name], metadata.uid == nil || metadata.uid == node.uid
            else { return caller.succeed(.released([])) }
            let release = NodeRelease(node, force: force, of: self, for: caller)
            Pieces(on: caller.executor, release.releaseNext).start()
        }
    }
}

/// The release of a node with all of its pods, in pieces, under the node's turn alone: its pods, then the cooling addresses, then the node
/// with the rest of both. A small node goes in one; a larger one is first marked, so that it gets no pods meanwhile, at any server,
/// and a release that was cut short is finished by the next.
private final class NodeRelease: Sendable {
    private struct State {
        /// For a dry run, which takes nothing away.
        var last: StoredPod?
        var released = ReleasedSoFar()
        var hadPods = false
        var attempts = Engine.attempts
    }

    private let node: StoredNode
    private let force: Bool
    private let engine: Engine
    private let caller: Caller
    private let state = Mutex(State())

    init(_ node: StoredNode, force: Bool, of engine: Engine, for caller: Caller) {
        self.node = node
        self.force = force
        self.engine = engine
        self.caller = caller
    }

    @Sendable
    func releaseNext(_ pieces: Pieces) {
        let pods = node.podCount
        guard pods == 0 || force else { return caller.fail(.nodeHasPods(node, pods)) }
        releasePiece(pieces)
    }

    private func releasePiece(_ pieces: Pieces) {
        let limit = engine.recordsPerPiece
        let seen = node.pods(after: state.withLock { $0.last }, limit: limit)
        var room = ReleasePiece(maximumRecords: limit)
        let pods = Array(seen.prefix { room.add($0) })
        if caller.isDryRun {
            note(pods)
            if pods.isEmpty { return end() }
            state.withLock { $0.last = pods.last }
            return pieces.next()
        }
        guard engine.books.nodes[node.name] === node else {
            return caller.succeed(state.withLock { $0.released }.result)
        }
        let isLast = pods.count <= limit / 4 && pods.count == seen.count && node.cooling.count <= limit / 2
        var proposal = Proposal()
        if isLast {
            proposal = lastProposal(pods)
        } else if !node.isReleasing {
            proposal.changes = [.markReleasing(node: node.name)]
        } else if !pods.isEmpty {
            proposal = engine.removal(of: pods)
        } else {
            proposal.changes = node.cooling.all.prefix(limit).map { .thaw(CIDR($0.address), version: $0.version) }
        }
        proposal.expectations.append(.incarnation(node: node.name, created: node.created))
        if !force { proposal.expectations.append(.nodeEmpty(node.name)) }
        let (releases, intent) = (isLast || node.isReleasing, Intent(proposal))
        engine.commit(intent, for: caller) { outcome in
            switch outcome {
            case .kept:
                if releases { self.note(pods) }
                if isLast { self.end() } else { pieces.next() }
            case .refused:
                // Another server was at the same node.
                let mayTryAgain = self.state.withLock { state in
                    state.attempts -= 1
                    return state.attempts > 0
                }
                if mayTryAgain { pieces.next() } else { self.caller.fail(.refusedTooOften) }
            case .failed(let error): self.caller.fail(error)
            }
        }
    }

    /// Everything that is left. The addresses of its pods go with it; where it had any of late its CIDRs cool in their place.
    private func lastProposal(_ pods: [StoredPod]) -> Proposal {
        let keys = pods.map { ObjectKey(.pod, $0.key) }
        let cooling = node.cooling.all
        var proposal = Proposal(
            expecting: zip(keys, pods).map { .unchanged($0, version: $1.version) },
            keys.map { .delete($0) } + cooling.map { .thaw(CIDR($0.address), version: $0.version) }
                + [.delete(ObjectKey(.node, node.name))])
        let hadPods = state.withLock { $0.hadPods } || !pods.isEmpty || !cooling.isEmpty
        if hadPods, engine.cluster.podIPReuseDelaySeconds > 0 {
            let now = engine.environment.now()
            // Where another node's CIDR overlaps one, as releases before 1.1 gave them out, that node's addresses stay in use.
            let alone = node.podCIDRs.filter { cidr in
                let books = engine.books
                return books.overlapping(cidr) { $0 != cidr } == nil && books.serviceAddress(in: cidr) == nil
            }
            proposal.changes += alone.map { .cool($0, node: node.name, since: now) }
        }
        return proposal
    }

    private func note(_ pods: [StoredPod]) {
        state.withLock { state in
            if !pods.isEmpty { state.hadPods = true }
            for pod in pods { state.released.add(pod) }
        }
    }

    private func end() {
        for cidr in node.podCIDRs {
            guard !caller.isDryRun, let pool = engine.pools.subnetPool(containing: cidr) else { continue }
            engine.allocations.count(pool.cluster, .released)
        }
        let released = state.withLock { state in
            for cidr in node.podCIDRs { state.released.add(.subnet(cidr), of: node.owner) }
            return state.released
        }
        caller.succeed(released.result)
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

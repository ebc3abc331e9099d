import Addressing
import Allocation
import DualStack
import Ledger
import TandemAPI

/// `AllocateNodeCIDRs`: one pod CIDR per family of the cluster, all or none.
extension Engine {
    func allocate(_ asked: Node, for caller: Caller) {
        nodeTurns.take(asked.metadata.name, on: caller.executor) { turn in
            self.register(asked, attempts: Engine.attempts, for: caller.holding(turn))
        }
    }

    private func register(_ asked: Node, attempts: Int, for caller: Caller) {
        do throws(APIError) {
            let requested = try nodeRules.podCIDRs(askedBy: asked)
            if let stored = registry.nodes[asked.metadata.name] {
                guard stored.isAnswer(to: asked, requested) else { throw .alreadyExists("node", asked.metadata) }
                return caller.succeed(.node(stored.document, holding: stored.podCIDRs, isReplayed: true))
            }
            let claimed = try claimNode(asked, requested: requested)
            guard !caller.isDryRun else {
                claimed.giveBack()
                return caller.succeed(.node(claimed.stored.document))
            }
            let registry = registry
            let change = Change(
                records: [claimed.record], claimed: claimed.holds, apply: { registry.put(claimed.stored) })
            commit(change) { outcome in
                if case .refused = outcome, attempts > 1 {
                    return self.register(asked, attempts: attempts - 1, for: caller)
                }
                let node = claimed.stored
                caller.answer(outcome.result(.node(node.document, holding: node.podCIDRs)))
            }
        } catch {
            caller.fail(error)
        }
    }

    var nodeRules: NodeRules {
        NodeRules(clusterCIDRs: cluster.clusterCIDRs, maskSize: cluster.nodeMaskSize)
    }

    /// Takes the CIDRs of a node that has none yet; the node's turn is held alone.
    func claimNode(_ asked: Node, requested: [CIDR]) throws(APIError) -> ClaimedNode {
        guard !pools.nodeCIDR.isEmpty else {
            throw .noClusterCIDR("nodes can't get pod CIDRs")
        }
        var holds: [Hold] = []
        do throws(APIError) {
            for family in cluster.podFamilies { holds.append(try take(family, requested, for: asked)) }
        } catch {
            for hold in holds { hold.giveBack() }
            throw error
        }
        let podCIDRs = holds.map(\.range)
        let version = nextVersion()
        var node = asked
        node.podCIDRs = podCIDRs.map(\.description)
        node.metadata.uid = asked.metadata.uid ?? environment.uuid()
        node.metadata.creationTimestamp = environment.timestamp()
        node.metadata.resourceVersion = String(version)
        let document = Documents.encode(node.write)
        return ClaimedNode(
            stored: StoredNode(node, podCIDRs: podCIDRs, version: version, document: document), holds: holds)
    }

    private func take(_ family: IPFamily, _ requested: [CIDR], for node: Node) throws(APIError) -> Hold {
        let pools = pools.nodeCIDR.filter { $0.cluster.family == family }
        guard let index = requested.firstIndex(where: { $0.network.family == family }) else {
            for pool in pools {
                if let subnet = pool.claimNext() { return .subnet(pool, subnet) }
            }
            // A family of the cluster has a range.
            throw .rangeFull(pools[pools.count - 1].cluster, for: "pod CIDR")
        }
        let subnet = requested[index]
        let pool = pools.first { $0.cluster.contains(subnet) } ?? pools[0]
        switch pool.claim(subnet) {
        case .claimed: return .subnet(pool, subnet)
        case .taken:
            throw .invalid(
                kind: "Node", name: node.metadata.name,
                [.init("spec.podCIDRs[\(index)]", .invalid, "\(subnet) is held by another node")])
        case .reserved, .outOfRange:
            throw .invalid(
                kind: "Node", name: node.metadata.name,
                [.init("spec.podCIDRs[\(index)]", .invalid, "\(subnet) is not a subnet of \(pool.cluster) for a node")])
        }
    }
}

/// A node that is decided, not yet committed.
struct ClaimedNode: Sendable {
    var stored: StoredNode
    var holds: [Hold]

    var record: LedgerRecord {
        LedgerRecord(
            kind: .node, key: stored.name, version: stored.version,
            change: .put(
                document: stored.document, context: [],
                holdings: stored.podCIDRs.map { Holding(pool: .nodeCIDR, range: $0) }))
    }

    func giveBack() {
        for hold in holds { hold.giveBack() }
    }
}

extension StoredNode {
    /// Asking again gets the same: the same uid where one is given, the same CIDRs where they are asked for.
    fileprivate func isAnswer(to asked: Node, _ requested: [CIDR]) -> Bool {
        if let uid = asked.metadata.uid, uid != self.uid { return false }
        return requested.allSatisfy(podCIDRs.contains)
    }
}

extension APIError {
    static func noClusterCIDR(_ message: String) -> APIError {
        APIError(
            .failedPrecondition, reason: "NoClusterCIDR",
            "\(message): the server was started without --cluster-cidr")
    }
}

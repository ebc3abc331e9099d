import Addressing
import Allocation
import DualStack
import Ledger
import TandemAPI

/// `AllocateNodeCIDRs`: one pod CIDR per family of the cluster, all or none. A node that lacks a family which the cluster has by now gets
/// a CIDR of it, appended.
extension Engine {
    func allocate(_ asked: Node, _ adoption: Adoption?, for caller: Caller) {
        nodeTurns.take(asked.metadata.name, on: caller.executor) { turn in
            if let adoption {
                return self.adopt(asked, adoption, attempts: Engine.attempts, for: caller.holding(turn))
            }
            self.register(asked, attempts: Engine.attempts, for: caller.holding(turn))
        }
    }

    private func register(_ asked: Node, attempts: Int, for caller: Caller) {
        let round = claimingCalls.enter()
        defer { claimingCalls.leave(round) }
        do throws(APIError) {
            let requested = try nodeRules.podCIDRs(askedBy: asked)
            let change: NodeChange
            switch try decide(asked, requested, by: caller) {
            case .isThere(let stored):
                return caller.succeed(.node(stored.served, holding: stored.podCIDRs, isReplayed: true))
            case .change(let decided): change = decided
            }
            guard !caller.isDryRun else {
                giveBack(change.claims)
                return caller.succeed(.node(change.record.document))
            }
            commit(change.intent, for: caller) { outcome in
                if case .refused = outcome, attempts > 1 {
                    return self.register(asked, attempts: attempts - 1, for: caller)
                }
                caller.answer(
                    outcome.result(.node(change.record.served, holding: change.record.podCIDRs)))
            }
        } catch {
            caller.fail(error)
        }
    }

    /// The CIDRs that the Node shows are claimed, its labels are replaced, it takes the uid, and CIDRs no longer shown are kept, after those it
    /// shows: pods get addresses of the first CIDR of a family.
    private func adopt(_ asked: Node, _ adoption: Adoption, attempts: Int, for caller: Caller) {
        let round = claimingCalls.enter()
        defer { claimingCalls.leave(round) }
        do throws(APIError) {
            let shown = try nodeRules.podCIDRs(shownBy: asked, allowsOutOfRange: adoption.allowsOutOfRange)
            let stored = books.nodes[asked.metadata.name]
            guard stored?.isReleasing != true else { throw .nodeReleasing(asked.metadata.name) }
            let record = stored?.record
            guard record != nil || !shown.isEmpty else {
                return caller.succeed(.notHeld(.node) { asked.write(to: &$0) })
            }
            let kept: Few<CIDR> = record?.podCIDRs.filter { !shown.contains($0) } ?? []
            var node = asked.adopted
            node.metadata.uid = asked.metadata.uid ?? record?.uid ?? environment.uid()
            let old = try record?.decoded()
            node.metadata.creationTimestamp =
                asked.metadata.creationTimestamp ?? old?.metadata.creationTimestamp ?? environment.timestamp()
            let isUIDGiven = asked.metadata.uid != nil || record?.isUIDGiven ?? false
            let claims = try claimShown(
                shown.filter { record?.podCIDRs.contains($0) != true }, of: asked.metadata.name, for: caller)
            let change = try checked(
                NodeChange(
                    node, claims, shown + kept, isUIDGiven: isUIDGiven,
                    stored: stored.flatMap { stored in record.map { (stored, $0) } }), over: record)
            if let record, record.document == change.record.document, record.isUIDGiven == isUIDGiven {
                giveBack(claims)
                return caller.succeed(.node(record.served, holding: record.podCIDRs, kept: kept, isReplayed: true))
            }
            guard !caller.isDryRun else {
                giveBack(claims)
                return caller.succeed(.node(change.record.document, kept: kept))
            }
            commit(change.intent, for: caller) { outcome in
                if case .refused = outcome, attempts > 1 {
                    return self.adopt(asked, adoption, attempts: attempts - 1, for: caller)
                }
                caller.answer(
                    outcome.result(.node(change.record.served, holding: change.record.podCIDRs, kept: kept)))
            }
        } catch {
            caller.fail(error)
        }
    }

    /// CIDRs of any length and place, all or none.
    private func claimShown(
        _ shown: Few<CIDR>, of name: String, for caller: Caller
    ) throws(APIError) -> [Claim] {
        var claims: [Claim] = []
        do throws(APIError) {
            for (index, cidr) in shown.enumerated() {
                let isSubnet = pools.nodeCIDR.contains {
                    $0.cluster.contains(cidr) && $0.nodePrefixLength == cidr.prefixLength
                }
                if isSubnet {
                    claims.append(try claim(cidr.family, [cidr], of: name, for: caller))
                } else if let cooling = books.claimCoolingCIDR(cidr) {
                    claims.append(cooling)
                } else if books.isTaken(cidr) {
                    throw .invalid(
                        .node, name: name,
                        [.init("spec.podCIDRs[\(index)]", .invalid, "\(cidr) is \(books.holderText(of: cidr))")])
                } else {
                    // No pool has a mark for it alone: the books decide.
                    claims.append(.own(cidr))
                }
            }
        } catch {
            giveBack(claims)
            throw error
        }
        return claims
    }

    private enum NodeDecision {
        /// All that is asked for.
        case isThere(NodeRecord)
        case change(NodeChange)
    }

    private func decide(
        _ asked: Node, _ requested: Few<CIDR>, by caller: Caller
    ) throws(APIError) -> NodeDecision {
        guard let stored = books.nodes[asked.metadata.name] else {
            return .change(try newNode(asked, requested: requested, for: caller))
        }
        // Its change does not prove that the node is not being released.
        guard caller.isFenced else { throw .refusedTooOften }
        guard !stored.isReleasing else { throw .nodeReleasing(stored.name) }
        let record = stored.record
        let missing = Few(cluster.podFamilies.filter { record.pool($0) == nil })
        if let other = requested.first(where: { !record.podCIDRs.contains($0) && !missing.contains($0.family) }) {
            throw .otherCIDRs(record, asked: other)
        }
        var uid: Written<ObjectUID>?
        if let asked = asked.metadata.uid, asked != record.uid {
            // A uid that Tandem made gives way to the cluster's, which a node's own agent has no say in.
            guard !record.isUIDGiven, caller.onlyNode == nil else {
                throw .alreadyExists(.node, ObjectMeta(name: record.name))
            }
            uid = asked
        }
        guard !missing.isEmpty || uid != nil else { return .isThere(record) }
        return .change(try grow(stored, by: missing, requested, uid: uid, for: caller))
    }

    var nodeRules: NodeRules {
        NodeRules(clusterCIDRs: cluster.clusterCIDRs, maskSize: cluster.nodeMaskSize)
    }

    /// Claims the CIDRs of a node that is not there; its turn is held alone.
    func newNode(_ asked: Node, requested: Few<CIDR>, for caller: Caller) throws(APIError) -> NodeChange {
        guard !pools.nodeCIDR.isEmpty else { throw .noClusterCIDR("nodes can't get pod CIDRs") }
        let claims = try claim(Few(cluster.podFamilies), requested, of: asked.metadata.name, for: caller)
        var node = asked
        node.metadata.uid = asked.metadata.uid ?? environment.uid()
        node.metadata.creationTimestamp = environment.timestamp()
        node.metadata.resourceVersion = nil
        return try checked(
            NodeChange(
                node, claims, Few(claims.compactMap(\.range)), isUIDGiven: asked.metadata.uid != nil, stored: nil),
            over: nil
        )
    }

    /// Claims CIDRs of further families for a node, and has it take another uid; its turn is held alone.
    func grow(
        _ stored: StoredNode, by families: Few<IPFamily>, _ requested: Few<CIDR> = [], uid: Written<ObjectUID>? = nil,
        for caller: Caller
    ) throws(APIError) -> NodeChange {
        let record = stored.record
        var node = try record.decoded()
        let claims = try claim(families, requested, of: stored.name, for: caller)
        node.metadata.uid = uid ?? record.uid
        return try checked(
            NodeChange(
                node, claims, record.podCIDRs + claims.compactMap(\.range), isUIDGiven: record.isUIDGiven || uid != nil,
                stored: (stored, record)), over: record)
    }

    private func checked(_ change: NodeChange, over record: NodeRecord?) throws(APIError) -> NodeChange {
        try giveBack(
            change.claims,
            unless: { () throws(APIError) in
                try checkRoom(
                    for: .node, change.record.name, change.record.document.count, over: record?.document.count)
            })
        return change
    }

    /// One CIDR of each family, all or none.
    private func claim(
        _ families: Few<IPFamily>, _ requested: Few<CIDR>, of name: String, for caller: Caller
    ) throws(APIError) -> [Claim] {
        var claims: [Claim] = []
        do throws(APIError) {
            for family in families { claims.append(try claim(family, requested, of: name, for: caller)) }
        } catch {
            giveBack(claims)
            throw error
        }
        return claims
    }

    private func claim(
        _ family: IPFamily, _ requested: Few<CIDR>, of name: String, for caller: Caller
    ) throws(APIError) -> Claim {
        let pools = pools.nodeCIDR.filter { $0.cluster.family == family }
        guard let index = requested.firstIndex(where: { $0.family == family }) else {
            for pool in pools {
                if let subnet = pool.claimNext() { return .subnet(pool, subnet) }
                // A later range, or one that still cools, is better than none: where the first one is full for certain.
                guard caller.isFenced else { throw .rangeFull(pool.cluster, for: "pod CIDR") }
            }
            if let oldest = books.claimOldestCoolingCIDR(family) { return oldest }
            // A family of the cluster has a range.
            throw .rangeFull(pools[pools.count - 1].cluster, for: "pod CIDR")
        }
        let subnet = requested[index]
        let pool = pools.first { $0.cluster.contains(subnet) } ?? pools[0]
        switch pool.claim(subnet) {
        case .claimed: return .subnet(pool, subnet)
        case .taken:
            if let cooling = books.claimCoolingCIDR(subnet) { return cooling }
            // Of others' objects a node's agent is told nothing.
            let fault = caller.onlyNode == nil ? books.holderText(of: subnet) : "not free"
            throw .invalid(
                .node, name: name, [.init("spec.podCIDRs[\(index)]", .invalid, "\(subnet) is \(fault)")])
        case .reserved, .outOfRange:
            throw .invalid(
                .node, name: name,
                [.init("spec.podCIDRs[\(index)]", .invalid, "\(subnet) is not a subnet of \(pool.cluster) for a node")])
        }
    }
}

/// A node that is decided, not yet kept: a new one, or one that grows or takes another uid.
struct NodeChange: Sendable {
    let node: StoredNode
    let record: NodeRecord
    let claims: [Claim]
    private let expectation: Expectation

    fileprivate init(
        _ node: Node, _ claims: [Claim], _ podCIDRs: Few<CIDR>, isUIDGiven: Bool, stored: (StoredNode, NodeRecord)?
    ) {
        var node = node
        node.podCIDRs = WrittenList(podCIDRs)
        record = NodeRecord(
            node, podCIDRs: podCIDRs, isUIDGiven: isUIDGiven, document: Documents.encode(node.write),
            known: stored?.1.pools ?? [])
        self.node = stored?.0 ?? StoredNode(record)
        self.claims = claims
        let key = ObjectKey(.node, record.name)
        expectation = stored.map { .unchanged(key, version: $0.1.version) } ?? .absent(key)
    }

    var intent: Intent {
        let form = StoredForm(
            document: record.document, context: record.context,
            holdings: record.podCIDRs.map { Holding(pool: .nodeCIDR, range: $0) })
        return Intent(
            Proposal(
                expecting: [expectation],
                claims.compactMap(\.thaw) + [.put(ObjectKey(.node, record.name), form)]),
            Prepared(node: (node, record)), claims: claims)
    }
}

extension Node {
    /// Of an adopted node only members that bear on addresses are kept, and its labels.
    fileprivate var adopted: Node {
        var node = Node(metadata: ObjectMeta(name: metadata.name))
        node.metadata.others["labels"] = metadata.others["labels"]
        return node
    }
}

extension Books {
    /// The obstacle to a pod CIDR, as the end of a sentence.
    fileprivate func holderText(of cidr: CIDR) -> String {
        if node(holding: cidr) != nil { return "held by another node" }
        if let other = overlapping(cidr) { return "not free: another node holds \(other)" }
        if let address = serviceAddress(in: cidr), let service = service(holding: address) {
            return "not free: Service \(service.key) holds \(address)"
        }
        return "not free"
    }
}

extension APIError {
    static func noClusterCIDR(_ message: String) -> APIError {
        APIError(
            .failedPrecondition, reason: "NoClusterCIDR",
            "\(message): the server was started without --cluster-cidr")
    }

    /// A node has its CIDR of the family already.
    static func otherCIDRs(_ record: NodeRecord, asked: CIDR) -> APIError {
        APIError(
            .alreadyExists, reason: "AlreadyExists",
            "node \"\(record.name)\" has \(record.podCIDRs.map(\.description).joined(separator: ", ")), and does not get \(asked), "
                + "which is asked for: leave podCIDRs out, or release the node first")
    }

    static func nodeReleasing(_ name: String) -> APIError {
        APIError(
            .failedPrecondition, reason: "NodeReleasing",
            "node \"\(name)\" is being released; release it again with \"force\": true to finish that, then register it anew"
        )
    }
}

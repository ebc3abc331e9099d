import Addressing
import Allocation
import DualStack
import Ledger
import TandemAPI

/// `AllocatePodIPs`: one address per family from the pod's node, all or none; a node without CIDRs gets them in the
/// same commit.
extension Engine {
    func allocate(_ request: PodRequest, _ adoption: Adoption?, for caller: Caller) {
        let asked: AskedPod
        let start = stageStart()
        do throws(APIError) {
            // Of the node's own addresses, and of a pod that is over, Tandem holds none.
            if request.pod.usesHostNetwork || request.pod.isOver {
                try podRules.checkNames(of: request.pod)
                return caller.succeed(.notHeld(.pod) { request.pod.write(to: &$0) })
            }
            if adoption != nil { return try adopt(request.pod, for: caller) }
            asked = try AskedPod(request, rules: podRules)
            stages.end(.decide, start)
        } catch {
            return caller.fail(error)
        }
        // The turns of the name and of the container come before the node's: a release knows one of them.
        let (node, origin) = (asked.pod.nodeName, asked.identity.origin)
        guard asked.identity.isAttached else {
            return takeName(of: asked.pod, for: caller) { caller in self.takeNode(asked, for: caller) }
        }
        let (name, container) = (
            PodTurn.text(PodTurn.name(asked.pod.metadata), on: node), PodTurn.text(origin, on: node)
        )
        podArrivals.enter(container, name)
        podNodes.enter(origin, node)
        let caller = caller.finishing {
            self.podNodes.leave(origin, node)
            self.podArrivals.leave(container, name)
        }
        takeName(of: asked.pod, for: caller) { caller in
            self.podTurns.take(container, on: caller.executor) { turn in
                self.takeNode(asked, for: caller.holding(turn))
            }
        }
    }

    /// Takes the turn of a pod's name on its node, for the caller that `body` is given.
    func takeName(of pod: Pod, for caller: Caller, _ body: @escaping @Sendable (Caller) -> Void) {
        let (name, node) = (PodTurn.name(pod.metadata), pod.nodeName)
        podNodes.enter(name, node)
        let caller = caller.finishing { self.podNodes.leave(name, node) }
        podTurns.take(PodTurn.text(name, on: node), on: caller.executor) { turn in body(caller.holding(turn)) }
    }

    private func takeNode(_ asked: AskedPod, for caller: Caller) {
        let nodeName = asked.pod.nodeName
        // Pods of one node go side by side; the node itself can't go away meanwhile.
        nodeTurns.take(nodeName, shared: true, on: caller.executor) { turn in
            if let node = self.books.nodes[nodeName], self.answers(asked, on: node) || node.has(asked.families) {
                return self.allocate(asked, on: node, with: nil, for: caller.holding(turn))
            }
            self.changeNodeThenAllocate(asked, insteadOf: turn, for: caller)
        }
    }

    var podRules: PodRules {
        PodRules(podFamilies: cluster.podFamilies)
    }

    /// A node that is not there is registered, and one that lacks a family grows, in the commit of its pod.
    private func changeNodeThenAllocate(_ asked: AskedPod, insteadOf turn: Turn, for caller: Caller) {
        nodeTurns.takeAlone(insteadOf: turn, on: caller.executor) { turn in
            self.changeNodeThenAllocate(asked, attempts: Engine.attempts, for: caller.holding(turn))
        }
    }

    private func changeNodeThenAllocate(_ asked: AskedPod, attempts: Int, for caller: Caller) {
        let round = claimingCalls.enter()
        defer { claimingCalls.leave(round) }
        do throws(APIError) {
            let nodeName = asked.pod.nodeName
            guard let node = books.nodes[nodeName] else {
                guard cluster.autoRegisterNodes else {
                    throw APIError(
                        .failedPrecondition, reason: "NodeNotRegistered",
                        "node \"\(nodeName)\" has no pod CIDRs and --auto-register-nodes=false: "
                            + "register it with AllocateNodeCIDRs first")
                }
                let change = try newNode(Node(metadata: ObjectMeta(name: nodeName)), requested: [], for: caller)
                return allocate(asked, on: change.node, with: change, attempts: attempts, for: caller)
            }
            // Another pod may have changed it while this call waited.
            let missing = asked.families.filter { node.record.pool($0) == nil }
            guard !missing.isEmpty, !node.isReleasing else {
                return allocate(asked, on: node, with: nil, attempts: attempts, for: caller)
            }
            let change = try grow(node, by: missing, for: caller)
            allocate(asked, on: node, with: change, attempts: attempts, for: caller)
        } catch {
            caller.fail(error)
        }
    }

    /// Under the turns of the pod and of its node. `change` is this call's change of the node.
    private func allocate(
        _ asked: AskedPod, on node: StoredNode, with change: NodeChange?, attempts: Int = Engine.attempts,
        for caller: Caller
    ) {
        let round = claimingCalls.enter()
        defer { claimingCalls.leave(round) }
        do throws(APIError) {
            if let stored = stored(asked, on: node) {
                giveBack(change?.claims ?? [])
                guard stored.isAnswer(to: asked) else { throw .alreadyExists(.pod, asked.pod.metadata) }
                return caller.succeed(stored.result(stored.served, isReplayed: true))
            }
            try giveBack(
                change?.claims ?? [],
                unless: { () throws(APIError) in
                    guard !node.isReleasing else { throw .nodeReleasing(node.name) }
                    guard !asked.families.isEmpty else { throw .noClusterCIDR("pods can't get addresses") }
                })
            let start = stageStart()
            let record = change?.record ?? node.record
            var claims = change?.claims ?? []
            var addresses = Few<IPAddress>()
            do throws(APIError) {
                for family in asked.families {
                    let claim = try node.claim(family, in: record, for: asked, caller)
                    claims.append(claim)
                    if let range = claim.range { addresses.append(range.network) }
                }
                stages.end(.claim, start)
            } catch {
                giveBack(claims)
                throw error
            }
            let (stored, form) = makePod(asked, on: node, addresses)
            try giveBack(
                claims,
                unless: { () throws(APIError) in
                    try checkRoom(for: .pod, asked.pod.metadata.name, form.document.count)
                    try enterNode(node, asked.families, record)
                })
            if caller.isDryRun {
                node.leave()
                giveBack(claims)
                return caller.succeed(stored.result(form.document, record, isReplayed: false))
            }
            commit(intent(stored, form, claims, on: node, with: change), for: caller) { outcome in
                node.leave()
                switch outcome {
                case .kept: caller.succeed(stored.result(stored.served, isReplayed: false))
                case .refused where attempts > 1 && change != nil:
                    self.changeNodeThenAllocate(asked, attempts: attempts - 1, for: caller)
                case .refused:
                    guard attempts > 1, let node = self.books.nodes[node.name], node.has(asked.families) else {
                        // The node is gone, or another one by now.
                        return caller.decideAgain(or: .refusedTooOften)
                    }
                    self.allocate(asked, on: node, with: nil, attempts: attempts - 1, for: caller)
                case .failed(let error): caller.fail(error)
                }
            }
        } catch {
            caller.fail(error)
        }
    }

    private func intent(
        _ pod: StoredPod, _ form: StoredForm, _ claims: [Claim], on node: StoredNode, with change: NodeChange?
    ) -> Intent {
        let key = ObjectKey(.pod, pod.key)
        var intent =
            change?.intent ?? Intent(Proposal(expecting: [.incarnation(node: node.name, created: node.created)]))
        intent.proposal.expectations.append(.absent(key))
        for claim in claims.dropFirst(intent.claims.count) {
            if let thaw = claim.thaw { intent.proposal.changes.append(thaw) }
        }
        intent.proposal.changes.append(.put(key, form))
        intent.prepared.pod = pod
        intent.claims = claims
        return intent
    }

    /// The allocation for a repeated request: the allocation of its identity; or, of a pod without attachment that was made without
    /// uid, the one that has the uid by which it is named now.
    private func stored(_ asked: AskedPod, on node: StoredNode) -> StoredPod? {
        if let pod = books.pod(asked.identity, on: node.name) { return pod }
        guard !asked.identity.isAttached, let uid = asked.pod.metadata.uid else { return nil }
        let bare = PodIdentity(namespace: asked.pod.metadata.namespace, name: asked.pod.metadata.name, uid: "")
        return books.pod(bare, on: node.name).flatMap { $0.uid == uid ? $0 : nil }
    }

    private func answers(_ asked: AskedPod, on node: StoredNode) -> Bool { stored(asked, on: node) != nil }

    /// The pod, and its stored form.
    private func makePod(
        _ asked: AskedPod, on node: StoredNode, _ addresses: Few<IPAddress>
    ) -> (StoredPod, StoredForm) {
        var pod = asked.pod
        let isUIDGiven = asked.pod.metadata.uid != nil
        pod.metadata.uid = asked.pod.metadata.uid ?? environment.uid()
        pod.metadata.creationTimestamp = environment.timestamp()
        return makePod(pod, asked.identity, on: node, addresses, isUIDGiven: isUIDGiven)
    }

    /// With its uid and time of creation as they are in `pod`.
    func makePod(
        _ pod: Pod, _ identity: PodIdentity, on node: StoredNode, _ addresses: Few<IPAddress>, isUIDGiven: Bool
    ) -> (StoredPod, StoredForm) {
        var pod = pod
        pod.podIPs = WrittenList(addresses)
        pod.metadata.resourceVersion = nil
        let document = Documents.encode(pod.write)
        let stored = StoredPod(
            identity, on: node, addresses: addresses, pod, document: document, isUIDGiven: isUIDGiven)
        let form = StoredForm(
            document: document, context: UIDOrigin.text(isGiven: isUIDGiven),
            holdings: addresses.map { Holding(pool: .podIP, address: $0) })
        return (stored, form)
    }
}

/// A pod's request once its form is checked.
private struct AskedPod: Sendable {
    var pod: Pod
    var identity: PodIdentity
    /// One address each, in this order.
    var families: Few<IPFamily>
    /// Whether the caller chose the families.
    var hasChosenFamilies: Bool
    /// Addresses asked for, at most one per family.
    var requested: Few<IPAddress>

    init(_ request: PodRequest, rules: PodRules) throws(APIError) {
        let checked = try rules.check(request)
        pod = request.pod
        families = checked.families
        requested = checked.requested
        hasChosenFamilies = request.ipFamilies != nil
        identity =
            request.attachment.map(PodIdentity.init)
            ?? PodIdentity(
                namespace: pod.metadata.namespace, name: pod.metadata.name, uid: pod.metadata.uid?.description ?? "")
    }
}

extension StoredPod {
    func result(
        _ document: [UInt8], _ record: NodeRecord? = nil, kept: Few<IPAddress> = [], isReplayed: Bool
    ) -> CallResult {
        let record = record ?? node.record
        return .pod(
            document, holding: addresses, node: node.name, podCIDRs: record.podCIDRs, gateways: record.gateways,
            kept: kept, isReplayed: isReplayed)
    }

    /// Nothing is asked for that it does not have.
    fileprivate func isAnswer(to asked: AskedPod) -> Bool {
        if asked.hasChosenFamilies, !asked.families.elementsEqual(addresses.lazy.map(\.family)) { return false }
        guard asked.requested.allSatisfy(addresses.contains) else { return false }
        let wanted = asked.pod.metadata
        return namespace == wanted.namespace && name == wanted.name && (wanted.uid == nil || wanted.uid == uid)
    }
}

extension StoredNode {
    fileprivate func has(_ families: Few<IPFamily>) -> Bool {
        let record = record
        return families.allSatisfy { record.pool($0) != nil }
    }

    fileprivate func claim(
        _ family: IPFamily, in record: NodeRecord, for asked: AskedPod, _ caller: Caller
    ) throws(APIError) -> Claim {
        guard let pool = record.pool(family) else {
            throw APIError(
                .failedPrecondition, reason: "NoPodCIDR", "node \"\(name)\" has no \(family) pod CIDR")
        }
        guard let index = asked.requested.firstIndex(where: { $0.family == family }) else {
            if let address = pool.claimNext() { return .address(pool, address) }
            // An address that still cools is better than none, once it is certain that no other is free.
            if caller.isFenced, let entry = cooling.claimOldest(family) { return .cooling(cooling, entry) }
            throw .rangeFull(pool.cidr, for: "pod IP")
        }
        return try claim(asked.requested[index], in: pool, at: index, of: asked.pod.metadata.name)
    }

    /// Exactly this one; `index` is its place in `status.podIPs`.
    func claim(
        _ requested: IPAddress, in pool: AddressPool, at index: Int, of pod: String
    ) throws(APIError) -> Claim {
        let fault: String
        switch pool.claim(requested) {
        case .claimed: return .address(pool, requested)
        case .taken:
            if let entry = cooling.claim(requested) { return .cooling(cooling, entry) }
            fault = "\(requested) is already allocated"
        case .reserved: fault = "\(requested) is reserved: it is the network's, the gateway's or the broadcast address"
        case .outOfRange: fault = "\(requested) does not lie in \(pool.cidr), the pod CIDR of node \"\(name)\""
        }
        throw .invalid(
            .pod, name: pod, [.init("status.podIPs[\(index)].ip", .invalid, fault)])
    }
}

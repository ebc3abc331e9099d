import Addressing
import Allocation
import DualStack
import Ledger
import TandemAPI

/// `AllocatePodIPs`: one address per family from the pod's node, all or none; a node without CIDRs gets them in the
/// same commit.
extension Engine {
    func allocate(_ request: PodRequest, for caller: Caller) {
        let asked: AskedPod
        let start = stageStart()
        do throws(APIError) {
            asked = try AskedPod(request, rules: podRules)
            stages.end(.decide, start)
        } catch {
            return caller.fail(error)
        }
        // The turns of the name and of the container come before the node's: a release knows one of them, and need not know the
        // node to come behind this call.
        let (name, origin) = (PodIdentity.turn(of: asked.pod.metadata), asked.identity.origin)
        guard asked.identity.isAttached else {
            return podTurns.take(name, on: caller.executor) { turn in
                self.takeNode(asked, for: caller.holding(turn))
            }
        }
        podArrivals.enter(origin, name)
        let caller = caller.finishing { self.podArrivals.leave(origin, name) }
        podTurns.take(name, on: caller.executor) { turn in
            let caller = caller.holding(turn)
            self.podTurns.take(origin, on: caller.executor) { turn in
                self.takeNode(asked, for: caller.holding(turn))
            }
        }
    }

    private func takeNode(_ asked: AskedPod, for caller: Caller) {
        let nodeName = asked.pod.nodeName
        // Pods of one node go side by side; the node itself can't go away meanwhile.
        nodeTurns.take(nodeName, shared: true, on: caller.executor) { turn in
            if let node = self.registry.nodes[nodeName] {
                return self.allocate(asked, on: node, registering: nil, for: caller.holding(turn))
            }
            self.registerThenAllocate(asked, insteadOf: turn, for: caller)
        }
    }

    var podRules: PodRules {
        PodRules(podFamilies: cluster.podFamilies)
    }

    private func registerThenAllocate(_ asked: AskedPod, insteadOf turn: Turn, for caller: Caller) {
        let nodeName = asked.pod.nodeName
        nodeTurns.takeAlone(insteadOf: turn, on: caller.executor) { turn in
            let caller = caller.holding(turn)
            // Another pod may have registered it while this call waited.
            if let node = self.registry.nodes[nodeName] {
                return self.allocate(asked, on: node, registering: nil, for: caller)
            }
            do throws(APIError) {
                guard self.cluster.autoRegisterNodes else {
                    throw APIError(
                        .failedPrecondition, reason: "NodeNotRegistered",
                        "node \"\(nodeName)\" has no pod CIDRs and --auto-register-nodes=false: "
                            + "register it with AllocateNodeCIDRs first")
                }
                let node = try self.claimNode(Node(metadata: ObjectMeta(name: nodeName)), requested: [])
                self.allocate(asked, on: node.stored, registering: node, for: caller)
            } catch {
                caller.fail(error)
            }
        }
    }

    /// Under the turns of the pod and of its node. `registering` is the node where this call brings it into being.
    private func allocate(
        _ asked: AskedPod, on node: StoredNode, registering: ClaimedNode?, attempts: Int = Engine.attempts,
        for caller: Caller
    ) {
        do throws(APIError) {
            if let stored = registry.pod(asked.identity) {
                registering?.giveBack()
                guard stored.isAnswer(to: asked, podRules) else { throw .alreadyExists("pod", asked.pod.metadata) }
                return caller.succeed(stored.result(stored.document, isReplayed: true))
            }
            guard !asked.families.isEmpty else { throw .noClusterCIDR("pods can't get addresses") }
            let start = stageStart()
            var holds: [Hold] = []
            do throws(APIError) {
                for family in asked.families { holds.append(try node.take(family, for: asked)) }
                stages.end(.claim, start)
            } catch {
                for hold in holds { hold.giveBack() }
                registering?.giveBack()
                throw error
            }
            let (stored, document) = try makePod(asked, on: node, addresses: holds.map(\.range.network))
            if caller.isDryRun {
                for hold in holds { hold.giveBack() }
                registering?.giveBack()
                return caller.succeed(stored.result(document, isReplayed: false))
            }
            let registry = registry
            var change = Change(
                records: (registering.map { [$0.record] } ?? []) + [stored.record(document)],
                claimed: holds + (registering?.holds ?? []),
                apply: {
                    if registering != nil { registry.put(node) }
                    registry.put(stored)
                })
            for case .cooling(_, let entry) in holds {
                change.records.append(CoolingRecord.removal(entry.address, version: stored.version))
            }
            thaw(node, in: &change, version: stored.version)
            commit(change) { outcome in
                switch outcome {
                case .kept: caller.succeed(stored.result(document, isReplayed: false))
                case .refused where attempts > 1 && registering == nil:
                    self.allocate(asked, on: node, registering: nil, attempts: attempts - 1, for: caller)
                case .refused: caller.fail(.refusedTooOften)
                case .failed(let error): caller.fail(error)
                }
            }
        } catch {
            caller.fail(error)
        }
    }

    /// The pod, and its document.
    private func makePod(
        _ asked: AskedPod, on node: StoredNode, addresses: [IPAddress]
    ) throws(APIError) -> (StoredPod, [UInt8]) {
        let version = nextVersion()
        var pod = asked.pod
        pod.podIPs = addresses.map(\.description)
        pod.metadata.uid = asked.pod.metadata.uid ?? environment.uuid()
        pod.metadata.creationTimestamp = environment.timestamp()
        pod.metadata.resourceVersion = String(version)
        let document = Documents.encode(pod.write)
        return (
            try StoredPod(asked.identity, on: node, addresses: addresses, version: version, document: document),
            document
        )
    }
}

/// A pod's request once its form is checked.
private struct AskedPod: Sendable {
    var pod: Pod
    var identity: PodIdentity
    /// One address each, in this order.
    var families: [IPFamily]
    /// Whether the caller chose the families.
    var hasChosenFamilies: Bool
    /// Addresses asked for, at most one per family.
    var requested: [IPAddress]

    init(_ request: PodRequest, rules: PodRules) throws(APIError) {
        let checked = try rules.check(request)
        pod = request.pod
        families = checked.families
        requested = checked.requested
        hasChosenFamilies = request.ipFamilies != nil
        identity =
            request.attachment.map(PodIdentity.init)
            ?? PodIdentity(
                namespace: pod.metadata.namespace, name: pod.metadata.name, uid: pod.metadata.uid ?? "")
    }
}

extension StoredPod {
    func record(_ document: [UInt8]) -> LedgerRecord {
        LedgerRecord(
            kind: .pod, key: key, version: version,
            change: .put(
                document: document, context: [], holdings: addresses.map { Holding(pool: .podIP, address: $0) }))
    }

    func result(_ document: [UInt8], isReplayed: Bool) -> CallResult {
        .pod(
            document, holding: addresses, node: node.name, podCIDRs: node.podCIDRs, gateways: node.gateways,
            isReplayed: isReplayed)
    }

    /// The same pod, on the same node, and nothing asked for that it does not have.
    fileprivate func isAnswer(to asked: AskedPod, _ rules: PodRules) -> Bool {
        guard node.name == asked.pod.nodeName else { return false }
        if asked.hasChosenFamilies, asked.families != addresses.map(\.family) { return false }
        guard asked.requested.allSatisfy(addresses.contains) else { return false }
        let wanted = asked.pod.metadata
        return namespace == wanted.namespace && name == wanted.name && (wanted.uid == nil || wanted.uid == uid)
    }
}

extension StoredNode {
    fileprivate func take(_ family: IPFamily, for asked: AskedPod) throws(APIError) -> Hold {
        guard let pool = pool(family) else {
            throw APIError(
                .failedPrecondition, reason: "NoPodCIDR",
                "node \"\(name)\" has no \(family) pod CIDR; release it and register it again to get one")
        }
        guard let index = asked.requested.firstIndex(where: { $0.family == family }) else {
            if let address = pool.claimNext() { return .address(pool, address) }
            // Better one that still cools than none.
            if let entry = cooling.takeOldest(family) { return .cooling(cooling, entry) }
            throw .rangeFull(pool.cidr, for: "pod IP")
        }
        let requested = asked.requested[index]
        let fault: String
        switch pool.claim(requested) {
        case .claimed: return .address(pool, requested)
        case .taken:
            if let entry = cooling.take(requested) { return .cooling(cooling, entry) }
            fault = "\(requested) is already allocated"
        case .reserved: fault = "\(requested) is reserved: it is the network's, the gateway's or the broadcast address"
        case .outOfRange: fault = "\(requested) does not lie in \(pool.cidr), the pod CIDR of node \"\(name)\""
        }
        throw .invalid(
            kind: "Pod", name: asked.pod.metadata.name, [.init("status.podIPs[\(index)].ip", .invalid, fault)])
    }
}

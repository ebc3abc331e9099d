import Addressing
import Allocation
import DualStack
import Ledger
import TandemAPI

/// `AllocatePodIPs` with `adopt`: a Pod is adopted as it is in a cluster. It holds the addresses that it shows, and gets no others.
extension Engine {
    func adopt(_ asked: Pod, for caller: Caller) throws(APIError) {
        let shown = try podRules.addresses(shownBy: asked)
        takeName(of: asked, for: caller) { caller in
            self.nodeTurns.take(asked.nodeName, shared: true, on: caller.executor) { turn in
                self.adopt(asked, shown, attempts: Engine.attempts, for: caller.holding(turn))
            }
        }
    }

    /// Under the turns of the name and of the node.
    private func adopt(_ asked: Pod, _ shown: Few<IPAddress>, attempts: Int, for caller: Caller) {
        let round = claimingCalls.enter()
        defer { claimingCalls.leave(round) }
        do throws(APIError) {
            guard let node = books.nodes[asked.nodeName] else {
                guard !shown.isEmpty else { return caller.succeed(.notHeld(.pod) { asked.write(to: &$0) }) }
                throw APIError(
                    .failedPrecondition, reason: "NodeNotRegistered",
                    "node \"\(asked.nodeName)\" is not known, whose pod CIDR the addresses lie in: adopt it first")
            }
            let stored = stored(asked, shown, on: node)
            guard stored != nil || !shown.isEmpty else {
                return caller.succeed(.notHeld(.pod) { asked.write(to: &$0) })
            }
            guard !node.isReleasing else { throw .nodeReleasing(node.name) }
            let held = stored?.addresses ?? []
            let kept = held.filter { !shown.contains($0) }
            let pod = try asked.adopted(over: stored, environment)
            let isUIDGiven = asked.metadata.uid != nil || stored?.isUIDGiven ?? false
            let claims = try claim(shown, besides: held, of: pod, on: node)
            let identity =
                stored?.identity
                ?? PodIdentity(
                    namespace: pod.metadata.namespace, name: pod.metadata.name,
                    uid: asked.metadata.uid?.description ?? "")
            let (made, form) = makePod(pod, identity, on: node, shown + kept, isUIDGiven: isUIDGiven)
            try giveBack(
                claims,
                unless: { () throws(APIError) in
                    try checkRoom(for: .pod, pod.metadata.name, form.document.count, over: stored?.document.count)
                })
            if let stored, stored.document == form.document && stored.isUIDGiven == isUIDGiven || stored.hasOldKey {
                giveBack(claims)
                return caller.succeed(stored.result(stored.served, kept: kept, isReplayed: true))
            }
            if caller.isDryRun {
                giveBack(claims)
                return caller.succeed(made.result(form.document, kept: kept, isReplayed: false))
            }
            let key = ObjectKey(.pod, made.key)
            let proposal = Proposal(
                expecting: [
                    .incarnation(node: node.name, created: node.created),
                    stored.map { .unchanged(key, version: $0.version) } ?? .absent(key),
                ], claims.compactMap(\.thaw) + [.put(key, form)])
            commit(Intent(proposal, Prepared(pod: made), claims: claims), for: caller) { outcome in
                if case .refused = outcome, attempts > 1 {
                    return self.adopt(asked, shown, attempts: attempts - 1, for: caller)
                }
                caller.answer(outcome.result(made.result(made.served, kept: kept, isReplayed: false)))
            }
        } catch {
            caller.fail(error)
        }
    }

    /// The Pod's existing allocation: that of its uid; one that was made without a uid; or the one by attachment that has its
    /// name, its uid, if that is not one of Tandem's making, and its addresses.
    private func stored(_ asked: Pod, _ shown: Few<IPAddress>, on node: StoredNode) -> StoredPod? {
        func isSame(_ pod: StoredPod) -> Bool {
            pod.namespace == asked.metadata.namespace && pod.name == asked.metadata.name
                && (asked.metadata.uid == nil || asked.metadata.uid == pod.uid || !pod.isUIDGiven)
        }
        for uid in [asked.metadata.uid?.description ?? "", ""] {
            let identity = PodIdentity(namespace: asked.metadata.namespace, name: asked.metadata.name, uid: uid)
            if let pod = books.pod(identity, on: node.name), isSame(pod) { return pod }
        }
        guard let first = shown.first, let pod = node.holder(of: first), isSame(pod),
            shown.allSatisfy(pod.addresses.contains)
        else { return nil }
        return pod
    }

    /// The addresses that it shows and does not hold, all or none.
    private func claim(
        _ shown: Few<IPAddress>, besides held: Few<IPAddress>, of pod: Pod, on node: StoredNode
    ) throws(APIError) -> [Claim] {
        var claims: [Claim] = []
        let record = node.record
        do throws(APIError) {
            for (index, address) in shown.enumerated() where !held.contains(address) {
                func fault(_ message: String) -> APIError {
                    .invalid(
                        .pod, name: pod.metadata.name, [.init("status.podIPs[\(index)].ip", .invalid, message)])
                }
                if let other = held.first(where: { $0.family == address.family && !shown.contains($0) }) {
                    throw fault(
                        "\(address) is shown, but the pod holds \(other), and a pod has one address of a family: release it first"
                    )
                }
                guard let pool = record.pools.first(where: { $0.cidr.contains(address) }) else {
                    let cidrs = record.podCIDRs.map(\.description).joined(separator: ", ")
                    throw fault("\(address) does not lie in a pod CIDR of node \"\(node.name)\": \(cidrs)")
                }
                claims.append(try node.claim(address, in: pool, at: index, of: pod.metadata.name))
            }
        } catch {
            giveBack(claims)
            throw error
        }
        return claims
    }
}

extension Pod {
    /// Of an adopted Pod only members that bear on addresses are kept, and its labels.
    /// An allocation by attachment stays as its run-time made it, but for a uid of Tandem's making.
    fileprivate func adopted(over stored: StoredPod?, _ environment: Environment) throws(APIError) -> Pod {
        let old = try stored.map { stored throws(APIError) in
            try Documents.decode(stored.document) { reader throws(JSONError) in try Pod(from: &reader) }
        }
        if var old, stored?.identity.isAttached == true {
            old.metadata.uid = metadata.uid ?? old.metadata.uid
            return old
        }
        var pod = Pod(metadata: ObjectMeta(namespace: metadata.namespace, name: metadata.name), nodeName: nodeName)
        pod.metadata.uid = metadata.uid ?? old?.metadata.uid ?? environment.uid()
        pod.metadata.creationTimestamp =
            metadata.creationTimestamp ?? old?.metadata.creationTimestamp ?? environment.timestamp()
        pod.metadata.others["labels"] = metadata.others["labels"]
        if let annotations = metadata.others["annotations"].flatMap({ try? JSONValue(parsing: $0.bytes) }) {
            var kept = JSONObject()
            for name in Self.addressAnnotations { kept[name] = annotations[name] }
            if !kept.members.isEmpty { pod.metadata.others["annotations"] = JSONValue.object(kept).text }
        }
        return pod
    }

    /// Annotations of a Pod that bear on its addresses: which of a static pod's uids its runtime was given, and the requested addresses.
    private static let addressAnnotations = [
        "kubernetes.io/config.hash", "cni.projectcalico.org/ipAddrs", "cni.projectcalico.org/ipv4pools",
        "cni.projectcalico.org/ipv6pools", "k8s.v1.cni.cncf.io/networks",
    ]
}

public import Addressing
public import TandemAPI

/// The resulting Service, and the addresses to release once it is stored.
public struct ServiceDecision: Sendable {
    public var service: Service
    /// Every address that the Service now has.
    public var held: [ServiceHolding]
    public var released: [ServiceHolding]
    /// Every node port that the Service now shows.
    public var nodePorts: [NodePort]
}

/// The claims of a Service, all or none, and the steps after them.
public struct ServicePlan: Sendable {
    public let claims: Few<AddressClaim>
    private var draft: ServiceDraft
    private let loadBalancer: LoadBalancerPlan
    /// nil where the server hands none out: they stay as they came.
    private let nodePorts: NodePortPlan?

    init(
        draft: consuming ServiceDraft, clusterIPs: Few<AddressClaim>, loadBalancer: LoadBalancerPlan,
        nodePorts: NodePortPlan?
    ) {
        self.draft = draft
        self.loadBalancer = loadBalancer
        self.nodePorts = nodePorts
        // Most have none of the latter: the list stays as it is.
        let others = loadBalancer.claims
        claims = others.isEmpty ? clusterIPs : clusterIPs + others
    }

    /// Node ports to be claimed behind the addresses, in this order.
    public var nodePortClaims: [NodePortClaim] { nodePorts?.claims ?? [] }

    /// Puts the addresses in their places - `addresses[i]` answers `claims[i]`, nil for an optional one that found no room; `ports[i]` answers
    /// `nodePortClaims[i]` - and looks
    /// at the whole once more.
    ///
    /// The checks here come last because kube-apiserver makes them last: a claim that fails is reported before them.
    /// If they throw, the claims must be released.
    public consuming func completed(
        with addresses: Few<IPAddress?>, ports: [UInt16] = []
    ) throws(APIError) -> ServiceDecision {
        var forLoadBalancer = addresses.count
        for index in claims.indices {
            guard let place = claims[index].place else {
                forLoadBalancer = index
                break
            }
            // An address that was asked for stays as it was typed.
            if place == draft.spec.clusterIPs.count, let address = addresses[index] {
                draft.spec.clusterIPs.append(.value(address))
            }
        }
        if draft.spec.takesFamilies, !draft.recordsClusterIPs {
            draft.spec.clusterIP = draft.spec.clusterIPs.isEmpty ? .empty : draft.spec.clusterIPs[0]
        }
        let ingress = loadBalancer.ingress(with: addresses[forLoadBalancer...])
        if draft.service.status.ingress != ingress { draft.service.status.ingress = ingress }
        draft.wipeOnLeavingForExternalName()
        draft.wipeLoadBalancerClass()
        draft.dropNodePorts()
        nodePorts?.complete(&draft, with: ports)
        var faults = draft.recordsClusterIPs ? [] : draft.changeFaults()
        faults += draft.typeFaults()
        faults += draft.clusterIPFaults()
        faults += draft.lateTypeFaults()
        faults += loadBalancer.faults
        if let nodePorts { faults += nodePorts.faults(draft) }
        try draft.refuse(faults)
        let pool: ServicePool = draft.recordsClusterIPs ? .recordedClusterIP : .clusterIP
        let held = holdings(of: draft.service, clusterIPs: pool)
        var released: [ServiceHolding] = []
        if let stored = draft.stored {
            let addresses = Set(held.map(\.address))
            released = holdings(of: stored).filter { !addresses.contains($0.address) }
        }
        return ServiceDecision(
            service: draft.service, held: held, released: released, nodePorts: DualStack.nodePorts(of: draft.service))
    }

    /// The answer where a node port that was asked for can't be had.
    public func refusal(
        of claim: NodePortClaim, because failure: ClaimFailure, range: ClosedRange<UInt16>
    ) -> APIError {
        .invalid(.service, name: draft.service.metadata.name, [NodePortPlan.cause(claim, because: failure, range)])
    }

    /// The answer where an address that was asked for can't be had. `range` is the one it was looked for in.
    public func refusal(of claim: AddressClaim, because failure: ClaimFailure, range: String) -> APIError {
        let ip = claim.requested?.description ?? ""
        let reason =
            switch failure {
            case .taken: "provided IP is already allocated"
            case .outOfRange: "provided IP is not in the valid range. The range of valid IPs is \(range)"
            }
        let cause: APIError.Cause =
            switch claim.pool {
            case .clusterIP, .recordedClusterIP:
                .invalid("spec.clusterIPs", draft.spec.clusterIPs, "failed to allocate IP \(ip): \(reason)")
            case .loadBalancer:
                .invalid((claim.field ?? .loadBalancerIP).description, ip, "failed to allocate IP \(ip): \(reason)")
            }
        return .invalid(.service, name: draft.service.metadata.name, [cause])
    }
}

/// Every address that a Service shows: its cluster IPs, of the pool that is said, and its load balancer's.
public func holdings(of service: Service, clusterIPs pool: ServicePool = .clusterIP) -> [ServiceHolding] {
    var holdings: [ServiceHolding] = []
    holdings.reserveCapacity(service.spec.clusterIPs.count + service.status.ingress.count)
    for text in service.spec.clusterIPs {
        if let address = parsedAddress(text) { holdings.append(ServiceHolding(pool, address)) }
    }
    for address in service.status.ingress { holdings.append(ServiceHolding(.loadBalancer, address)) }
    return holdings
}

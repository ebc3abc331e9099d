public import Addressing
public import TandemAPI

/// Kubernetes' rules for Services, in the order in which kube-apiserver applies them.
///
/// Pure and thread-safe: what comes out depends on nothing but what goes in. The rules themselves stand in one file
/// each; this one says when each has its turn, and which faults are reported together.
public struct ServiceRules: Sendable {
    private let clusterFamilies: [IPFamily]
    private let loadBalancerFamilies: [IPFamily]
    private let handsOutNodePorts: Bool

    /// The families of the service ranges, in order (one or two), and of the load-balancer ranges (none to two). Without a range of node
    /// ports they are not looked at.
    public init(
        clusterFamilies: [IPFamily], loadBalancerFamilies: [IPFamily] = [], handsOutNodePorts: Bool = false
    ) {
        self.clusterFamilies = clusterFamilies
        self.loadBalancerFamilies = loadBalancerFamilies
        self.handsOutNodePorts = handsOutNodePorts
    }

    /// What a new Service needs. Throws every fault of the first stage that finds any, as INVALID_ARGUMENT.
    public func create(_ asked: Service) throws(APIError) -> ServicePlan {
        var asked = asked
        if !asked.status.ingress.isEmpty { asked.status.ingress = [] }
        return try plan(ServiceDraft(service: asked, stored: nil, clusterFamilies: clusterFamilies))
    }

    /// What a Service needs to be replaced by `asked`, as PUT does: what the new one leaves out and kube-apiserver carries
    /// over is taken from the stored one. Both lie under one namespace and name.
    public func update(_ stored: Service, to asked: Service) throws(APIError) -> ServicePlan {
        var asked = asked
        // A status is the server's to write; the one of a PUT is passed over.
        asked.status = stored.status
        return try plan(ServiceDraft(service: asked, stored: stored, clusterFamilies: clusterFamilies))
    }

    private func plan(_ asked: consuming ServiceDraft) throws(APIError) -> ServicePlan {
        var draft = consume asked
        draft.handsOutNodePorts = handsOutNodePorts
        try draft.refuse(draft.stored == nil ? nameFaults(of: draft.service.metadata, kind: .service) : [])
        draft.defaultType()
        draft.keepAllocatedIPs()
        draft.pairClusterIPs()

        var claims: [(index: Int, claim: AddressClaim)] = []
        if !draft.keepsPreferredFamilies {
            if draft.spec.takesFamilies {
                draft.defaultPolicy()
                try draft.refuse(draft.clusterIPFaults())
                draft.cutToSingleStack()
                try draft.refuse(draft.policyFaults() + draft.inferFamiliesFromIPs())
                try draft.refuse(draft.completeFamilies())
            }
            claims = draft.claimClusterIPs()
        }
        let loadBalancer = LoadBalancerPlan(draft, families: loadBalancerFamilies)
        return ServicePlan(
            draft: draft, clusterIPs: claims, loadBalancer: loadBalancer, nodePorts: NodePortPlan(draft))
    }
}

extension ServiceDraft {
    /// Throws what was found, all of it in one answer; does nothing where nothing was.
    func refuse(_ faults: APIError.Causes) throws(APIError) {
        try faults.refuse(.service, name: service.metadata.name)
    }
}

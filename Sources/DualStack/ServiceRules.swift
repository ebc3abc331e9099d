public import Addressing
public import TandemAPI

/// Kubernetes' rules for Services, in the order in which kube-apiserver applies them.
///
/// Pure and thread-safe: the result depends only on the arguments. The rules themselves stand in one file
/// each; this one says when each has its turn, and which faults are reported together.
public struct ServiceRules: Sendable {
    private let clusterFamilies: [IPFamily]
    private let loadBalancers: LoadBalancerSettings
    private let handsOutNodePorts: Bool

    /// The families of the service ranges, in order: none to two. Without a range of node ports they are not looked at.
    public init(
        clusterFamilies: [IPFamily], loadBalancers: LoadBalancerSettings = LoadBalancerSettings(),
        handsOutNodePorts: Bool = false
    ) {
        self.clusterFamilies = clusterFamilies
        self.loadBalancers = loadBalancers
        self.handsOutNodePorts = handsOutNodePorts
    }

    /// The plan for a new Service. Throws every fault of the first stage that finds any, as INVALID_ARGUMENT.
    public func create(_ asked: Service) throws(APIError) -> ServicePlan {
        var asked = asked
        if !asked.status.ingress.isEmpty { asked.status.ingress = [] }
        return try plan(ServiceDraft(service: asked, stored: nil, clusterFamilies: clusterFamilies))
    }

    /// The plan for the replacement of a Service by `asked`, as PUT does: members that the new one leaves out and kube-apiserver carries
    /// over are taken from the stored one. Both lie under one namespace and name.
    public func update(_ stored: Service, to asked: Service) throws(APIError) -> ServicePlan {
        var asked = asked
        // A status is the server's to write; the one of a PUT is passed over.
        asked.status = stored.status
        return try plan(ServiceDraft(service: asked, stored: stored, clusterFamilies: clusterFamilies))
    }

    /// The plan for the adoption of a Service as a cluster shows it: the addresses that it shows, exactly, and no others; a cluster IP alone
    /// is given where it shows none, needs one, and there is a range. `held` has the addresses that its load balancer holds already, and keeps;
    /// `ports` are the node ports that it holds.
    public func adopt(
        _ shown: Service, holding held: Few<IPAddress> = [], ports: Set<UInt16> = []
    ) throws(APIError) -> ServicePlan {
        var draft = ServiceDraft(service: shown, stored: nil, clusterFamilies: clusterFamilies)
        try draft.refuse(nameFaults(of: draft.service.metadata, kind: .service))
        draft.defaultType()
        draft.pairClusterIPs()
        let claims: Few<AddressClaim>
        if draft.spec.clusterIPs.isEmpty || draft.recordsClusterIPs {
            claims = try clusterIPs(of: &draft)
        } else {
            if draft.spec.takesFamilies {
                draft.defaultPolicy()
                try draft.refuse(draft.clusterIPFaults())
                try draft.refuse(draft.inferFamiliesFromIPs())
            }
            claims = draft.shownClusterIPs()
            try draft.refuse(draft.unconfiguredFaults(of: claims))
        }
        let loadBalancer = LoadBalancerPlan(adopting: draft, holding: held, loadBalancers)
        let nodePorts = handsOutNodePorts ? NodePortPlan(adopting: draft, holding: ports) : nil
        return ServicePlan(draft: draft, clusterIPs: claims, loadBalancer: loadBalancer, nodePorts: nodePorts)
    }

    private func plan(_ asked: consuming ServiceDraft) throws(APIError) -> ServicePlan {
        var draft = consume asked
        try draft.refuse(draft.stored == nil ? nameFaults(of: draft.service.metadata, kind: .service) : [])
        draft.defaultType()
        draft.keepAllocatedIPs()
        draft.pairClusterIPs()
        let claims = draft.keepsPreferredFamilies ? [] : try clusterIPs(of: &draft)
        let loadBalancer = LoadBalancerPlan(draft, loadBalancers)
        let nodePorts = handsOutNodePorts ? NodePortPlan(draft) : nil
        return ServicePlan(
            draft: consume draft, clusterIPs: claims, loadBalancer: loadBalancer, nodePorts: nodePorts)
    }

    /// Which cluster IPs are to be claimed for which places of `spec.clusterIPs`, once the families are settled.
    private func clusterIPs(
        of draft: inout ServiceDraft
    ) throws(APIError) -> Few<AddressClaim> {
        guard !draft.recordsClusterIPs else {
            try draft.refuse(draft.clusterIPFaults())
            return draft.shownClusterIPs()
        }
        if draft.spec.takesFamilies {
            draft.defaultPolicy()
            try draft.refuse(draft.clusterIPFaults())
            draft.cutToSingleStack()
            // Collected first: a draft that refuses the findings of its own change would be copied for the change, object and all.
            let inferred = draft.policyFaults() + draft.inferFamiliesFromIPs()
            try draft.refuse(inferred)
            let completed = draft.completeFamilies()
            try draft.refuse(completed)
        }
        return draft.claimClusterIPs()
    }
}

extension ServiceDraft {
    /// Throws all faults in one answer; does nothing where there are none.
    func refuse(_ faults: APIError.Causes) throws(APIError) {
        try faults.refuse(.service, name: service.metadata.name)
    }
}

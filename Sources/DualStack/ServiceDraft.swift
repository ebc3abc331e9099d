import Addressing
import TandemAPI

/// A Service on its way from the request to the result: each rule, in a file of its own, fills in or finds fault.
struct ServiceDraft {
    /// The object as asked; the rules work on its `spec`.
    var service: Service
    /// The stored object, with defaults on read filled in; nil on a create.
    let stored: Service?
    /// Families of the cluster's service ranges, in order; none where the cluster's own apiserver gives cluster IPs.
    let clusterFamilies: [IPFamily]

    init(service: Service, stored: Service?, clusterFamilies: [IPFamily]) {
        self.service = service
        self.stored = stored
        self.clusterFamilies = clusterFamilies
    }

    var spec: ServiceSpec {
        _read { yield service.spec }
        _modify { yield &service.spec }
    }

    /// Cluster IPs are given by another program: they stay as they came.
    var recordsClusterIPs: Bool { clusterFamilies.isEmpty }

    func isConfigured(_ family: Written<IPFamily>) -> Bool { family.value.map(isConfigured) ?? false }

    func isConfigured(_ family: IPFamily) -> Bool {
        clusterFamilies.contains(family)
    }
}

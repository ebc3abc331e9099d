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
    /// Whether the server has a range of node ports.
    var handsOutNodePorts = false

    /// Addresses that were claimed, with the texts that stand for them: these need not be read again.
    private(set) var claimed: [(text: String, address: IPAddress)] = []

    /// Puts an address that was claimed in its place.
    mutating func put(_ address: IPAddress, at place: Int) {
        let text = address.description
        spec.clusterIPs[place] = text
        // One of each family.
        claimed.reserveCapacity(2)
        claimed.append((text, address))
    }

    /// As `parsedAddress`.
    func address(_ text: String) -> IPAddress? {
        claimed.first { $0.text == text }?.address ?? parsedAddress(text)
    }

    var spec: ServiceSpec {
        _read { yield service.spec }
        _modify { yield &service.spec }
    }

    /// Cluster IPs are given by another program: they stay as they came.
    var recordsClusterIPs: Bool { clusterFamilies.isEmpty }

    func isConfigured(_ family: String) -> Bool {
        clusterFamilies.contains { $0.description == family }
    }

    func isConfigured(_ family: IPFamily) -> Bool {
        clusterFamilies.contains(family)
    }
}

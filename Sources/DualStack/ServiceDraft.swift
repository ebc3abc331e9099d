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

    /// The addresses that were claimed, of each family one, with the texts that stand for them: these need not be read again.
    private var claimed: (first: Claimed?, second: Claimed?) = (nil, nil)

    private struct Claimed {
        var text: String
        var address: IPAddress
    }

    init(service: Service, stored: Service?, clusterFamilies: [IPFamily]) {
        self.service = service
        self.stored = stored
        self.clusterFamilies = clusterFamilies
    }

    /// Puts an address that was claimed in its place.
    mutating func put(_ address: IPAddress, at place: Int) {
        let text = address.description
        spec.clusterIPs[place] = text
        claimed = (Claimed(text: text, address: address), claimed.first)
    }

    /// As `parsedAddress`.
    func address(_ text: String) -> IPAddress? {
        if let first = claimed.first, first.text == text { return first.address }
        if let second = claimed.second, second.text == text { return second.address }
        return parsedAddress(text)
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

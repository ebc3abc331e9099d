import IPAM
import Logging
import TandemAPI

/// The findings and times of a start, for the line of the ready server.
struct Recovery {
    let counts: ObjectCounts
    let duration: Duration

    /// Runs the reading of the store. Blocks.
    static func measure<Found>(
        _ read: () throws -> Found, _ counts: (Found) -> ObjectCounts
    ) rethrows -> (Found, Recovery) {
        let start = ContinuousClock.now
        let found = try read()
        let duration = ContinuousClock.now - start
        return (found, Recovery(counts: counts(found), duration: duration))
    }

    func metadata(_ configuration: ServerConfiguration, address: String) -> Logger.Metadata {
        var metadata: Logger.Metadata = [
            "address": "\(address)", "version": "\(BuildInfo.text)", "storage": "\(configuration.storage.place)",
            "services": "\(counts.services)", "nodes": "\(counts.nodes)", "pods": "\(counts.pods)",
            "recoveredInMilliseconds": "\(Int((duration / .milliseconds(1)).rounded(.up)))",
        ]
        let ranges = [
            "service-cluster-ip-range": "serviceRanges", "cluster-cidr": "podRanges",
            "load-balancer-ip-range": "loadBalancerRanges", "service-node-port-range": "nodePorts",
        ]
        let values = configuration.cluster.sharedFlags
        for (flag, name) in ranges {
            if let value = values[flag], !value.isEmpty { metadata[name] = "\(value)" }
        }
        return metadata
    }
}

import Addressing
import TandemAPI
import TandemClient

/// The server's ranges, as `GetPools` tells them.
struct ClusterRanges {
    var service: [CIDR] = []
    var cluster: [CIDR] = []
    /// Prefix lengths of a node's pod CIDR.
    var nodeMaskSizes: [IPFamily: Int] = [:]

    init(_ client: TandemClient) async throws {
        let pools = try await client.call(.getPools)["pools"]?.arrayValue ?? []
        for pool in pools {
            guard let range = pool["cidr"]?.stringValue.flatMap({ CIDR($0) }) else { continue }
            switch pool["kind"]?.stringValue {
            case "Service": service.append(range)
            case "NodeCIDR":
                cluster.append(range)
                nodeMaskSizes[range.family] = pool["nodeMaskSize"]?.intValue
            default: break
            }
        }
    }

    /// The pod CIDRs of one node.
    static func podCIDRs(of node: String, _ client: TandemClient) async throws -> [CIDR] {
        let object = try await client.call(.getNode, Kind.node.naming(node, in: ""))["node"]
        return (object?["spec"]?["podCIDRs"]?.arrayValue ?? []).compactMap { $0.stringValue.flatMap { CIDR($0) } }
    }
}

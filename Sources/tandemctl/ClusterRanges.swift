import Addressing
import TandemAPI
import TandemClient

/// The server's ranges, as `GetPools` tells them.
struct ClusterRanges {
    var service: [CIDR] = []
    var cluster: [CIDR] = []
    /// Prefix lengths of a node's pod CIDR.
    var nodeMaskSizes: [IPFamily: Int] = [:]
    /// Such as `30000-32767`; nil where the server hands none out, or is of a release that knows none.
    var nodePorts: String?

    init(_ client: TandemClient) async throws {
        service = try await client.pools(.service).compactMap(Self.range)
        for pool in try await client.pools(.nodeCIDR) {
            guard let range = Self.range(of: pool) else { continue }
            cluster.append(range)
            nodeMaskSizes[range.family] = pool["nodeMaskSize"]?.intValue
        }
        nodePorts = (try? await client.pools(.nodePort))?.first?["ports"]?.stringValue
    }

    /// Where pods are: the ranges that nodes get their CIDRs of, and the CIDRs of nodes that are of none of them, as they were given
    /// when the ranges were others. In the order of the addresses, those of IPv4 first.
    func podRanges(_ client: TandemClient) async throws -> [CIDR] {
        let held = try await client.list(.listNodes).flatMap(Self.podCIDRs)
        return cluster + held.filter { cidr in !cluster.contains { $0.contains(cidr) } }.sorted()
    }

    private static func range(of pool: JSONValue) -> CIDR? { pool["cidr"]?.stringValue.flatMap { CIDR($0) } }

    /// The pod CIDRs of one node.
    static func podCIDRs(of node: String, _ client: TandemClient) async throws -> [CIDR] {
        podCIDRs(of: try await client.call(.getNode, ObjectKind.node.naming(node, in: ""))["node"] ?? .null)
    }

    private static func podCIDRs(of node: JSONValue) -> [CIDR] {
        (node["spec"]?["podCIDRs"]?.arrayValue ?? []).compactMap { $0.stringValue.flatMap { CIDR($0) } }
    }
}

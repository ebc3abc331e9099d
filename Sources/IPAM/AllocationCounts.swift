public import Addressing
import DualStack
import Measures

/// Cluster IPs and node CIDRs that were handed out, refused and taken back since the start, by range: the counts that
/// Kubernetes' own allocators keep. Thread-safe.
public struct AllocationCounts: Sendable {
    public enum ClusterIP: Int, CaseIterable, Sendable {
        /// Asked for by name, or chosen by the allocator; given, or not to be had.
        case isStatic, isDynamic, staticRefused, dynamicRefused
    }

    /// Node ports are counted in the same way.
    public typealias NodePort = ClusterIP

    public enum NodeCIDR: CaseIterable, Sendable { case allocated, released }

    // By number: every allocation counts here, and a look for the case among all would cost as much as a tenth of it.
    private let clusterIPs = [Counters(ClusterIP.allCases.count), Counters(ClusterIP.allCases.count)]
    private let nodePorts = Counters(NodePort.allCases.count)
    private let nodeCIDRs: [CIDR: CountsBy<NodeCIDR>]

    init(clusterCIDRs: [CIDR]) {
        nodeCIDRs = Dictionary(clusterCIDRs.map { ($0, CountsBy()) }) { first, _ in first }
    }

    public func clusterIPs(_ family: IPFamily, _ what: ClusterIP) -> UInt64 {
        clusterIPs[family.position][what.rawValue]
    }
    public func nodePorts(_ what: NodePort) -> UInt64 { nodePorts[what.rawValue] }
    public func nodeCIDRs(_ range: CIDR, _ what: NodeCIDR) -> UInt64 { nodeCIDRs[range]?[what] ?? 0 }

    func count(_ family: IPFamily, _ what: ClusterIP) { clusterIPs[family.position].add(what.rawValue) }
    func count(nodePort what: NodePort) { nodePorts.add(what.rawValue) }
    func count(_ range: CIDR, _ what: NodeCIDR) { nodeCIDRs[range]?.add(what) }
}

extension IPFamily {
    fileprivate var position: Int { self == .ipv4 ? 0 : 1 }
}

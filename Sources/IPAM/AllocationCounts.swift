public import Addressing
import DualStack
import Metrics

/// Cluster IPs and node CIDRs that were handed out, refused and taken back since the start, by family: the counts that
/// Kubernetes' own allocators keep. Thread-safe.
public struct AllocationCounts: Sendable {
    public enum ClusterIP: CaseIterable, Sendable {
        /// Asked for by name, or chosen by the allocator; given, or not to be had.
        case isStatic, isDynamic, staticRefused, dynamicRefused
    }

    public enum NodeCIDR: CaseIterable, Sendable { case allocated, released }

    private let clusterIPs = [CountsBy<ClusterIP>(), CountsBy<ClusterIP>()]
    private let nodeCIDRs = [CountsBy<NodeCIDR>(), CountsBy<NodeCIDR>()]

    public func clusterIPs(_ family: IPFamily, _ what: ClusterIP) -> UInt64 { clusterIPs[family.position][what] }
    public func nodeCIDRs(_ family: IPFamily, _ what: NodeCIDR) -> UInt64 { nodeCIDRs[family.position][what] }

    func count(_ family: IPFamily, _ what: ClusterIP) { clusterIPs[family.position].add(what) }
    func count(_ family: IPFamily, _ what: NodeCIDR) { nodeCIDRs[family.position].add(what) }
}

extension IPFamily {
    fileprivate var position: Int { self == .ipv4 ? 0 : 1 }
}

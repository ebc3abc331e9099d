public import Addressing
import Allocation
import Synchronization

/// How many addresses all pods of a family hold, kept by each change, so that no call has to ask every node. Thread-safe.
final class PodUsage: Sendable {
    fileprivate struct State {
        /// By the position of a cluster CIDR, in the order of the configuration.
        var ranges: [PodRangeUsage]
        var fullNodes = (ipv4: 0, ipv6: 0)
    }

    private let state: Mutex<State>

    init(clusterCIDRs: [CIDR]) {
        state = Mutex(State(ranges: clusterCIDRs.map { PodRangeUsage(cidr: $0) }))
    }

    /// In the order of `--cluster-cidr`.
    var ranges: [PodRangeUsage] { state.withLock { $0.ranges } }

    /// Nodes whose pod CIDR of the family has no address that no pod holds.
    func fullNodes(_ family: IPFamily) -> Int {
        state.withLock { family == .ipv4 ? $0.fullNodes.ipv4 : $0.fullNodes.ipv6 }
    }

    /// A node comes, with the pods that it may have already.
    func add(_ node: StoredNode) { count(node, 1) }

    func remove(_ node: StoredNode) { count(node, -1) }

    private func count(_ node: StoredNode, _ sign: Int) {
        let pods = node.pods.withLock { (ipv4: $0.held(.ipv4), ipv6: $0.held(.ipv6)) }
        state.withLock { state in
            for pool in node.pools {
                let held = pool.cidr.family == .ipv4 ? pods.ipv4 : pods.ipv6
                state.change(pool.cidr) { range in
                    range.capacity = sign > 0 ? range.capacity + pool.capacity : range.capacity - pool.capacity
                    range.allocated += sign * held
                }
                if held >= pool.capacity { state.changeFull(pool.cidr.family, sign) }
            }
        }
    }

    /// Changes the pods of a node, and counts additions and removals.
    func change(_ node: StoredNode, _ body: (inout NodePods) -> Void) {
        let (before, after) = node.pods.withLock { pods in
            let before = (ipv4: pods.held(.ipv4), ipv6: pods.held(.ipv6))
            body(&pods)
            return (before, (ipv4: pods.held(.ipv4), ipv6: pods.held(.ipv6)))
        }
        state.withLock { state in
            for pool in node.pools {
                let isIPv4 = pool.cidr.family == .ipv4
                let (old, new) = isIPv4 ? (before.ipv4, after.ipv4) : (before.ipv6, after.ipv6)
                guard old != new else { continue }
                state.change(pool.cidr) { $0.allocated += new - old }
                let (wasFull, isFull) = (old >= pool.capacity, new >= pool.capacity)
                if wasFull != isFull { state.changeFull(pool.cidr.family, isFull ? 1 : -1) }
            }
        }
    }
}

extension PodUsage.State {
    /// O(cluster CIDRs). A CIDR outside all of them is in no range's count.
    fileprivate mutating func change(_ cidr: CIDR, _ body: (inout PodRangeUsage) -> Void) {
        if let index = ranges.firstIndex(where: { $0.cidr.contains(cidr.network) }) { body(&ranges[index]) }
    }

    fileprivate mutating func changeFull(_ family: IPFamily, _ change: Int) {
        if family == .ipv4 { fullNodes.ipv4 += change } else { fullNodes.ipv6 += change }
    }
}

/// The addresses of the pods of all nodes with CIDRs in one cluster CIDR.
public struct PodRangeUsage: Sendable {
    /// The cluster CIDR.
    public let cidr: CIDR
    /// Addresses that pods can get from the nodes that there are.
    public fileprivate(set) var capacity: UInt128 = 0
    /// Addresses that pods hold.
    public fileprivate(set) var allocated = 0
}

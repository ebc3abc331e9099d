import Addressing
import Allocation
import Synchronization

/// What is held that lies in no range of today: it is served as before, and given to nobody else; but a flag may have been changed by
/// mistake.
public struct OutsideRanges: Sendable, Equatable {
    /// Addresses of Services.
    public var serviceAddresses = 0
    /// Pod CIDRs of nodes.
    public var podCIDRs = 0
    /// Two CIDRs of nodes that overlap, counted by pairs, as releases before 1.1 gave them out.
    public var overlaps = 0
    /// One of them and its holder, for a person: the first that a start has met.
    public var example: String?

    public var isEmpty: Bool { serviceAddresses == 0 && podCIDRs == 0 }
}

/// Counts it as the books change. Thread-safe.
final class OutsideTally: Sendable {
    private let counts = Mutex(OutsideRanges())
    private let pools: Pools

    init(_ pools: Pools) {
        self.pools = pools
    }

    var ranges: OutsideRanges { counts.withLock { $0 } }

    /// O(ranges). `change` is 1 where it is held from now on, -1 where no longer.
    func note(_ address: IPAddress, _ change: Int, of owner: @autoclosure () -> String) {
        if pools.contains(address) { return }
        counts.withLock { counts in
            counts.serviceAddresses += change
            if counts.example == nil { counts.example = "\(address) of Service \(owner())" }
        }
    }

    func note(_ cidr: CIDR, _ change: Int, of node: String) {
        if pools.nodeCIDR.contains(where: { $0.cluster.contains(cidr) }) { return }
        counts.withLock { counts in
            counts.podCIDRs += change
            if counts.example == nil { counts.example = "\(cidr) of Node \(node)" }
        }
    }
}

extension Pools {
    fileprivate func contains(_ address: IPAddress) -> Bool {
        clusterIP.contains { $0.cidr.contains(address) } || loadBalancer.contains { $0.cidr.contains(address) }
    }
}

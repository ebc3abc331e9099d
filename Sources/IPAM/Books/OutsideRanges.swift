import Addressing
import Allocation
import Synchronization

/// Holdings outside of the current ranges: they are served as before, and assigned to no other object; but a flag may have been changed by
/// mistake.
public struct OutsideRanges: Sendable, Equatable {
    /// Addresses of Services.
    public var serviceAddresses = 0
    /// Pod CIDRs of nodes.
    public var podCIDRs = 0
    /// Node ports of Services, two protocols' of one number as two.
    public var nodePorts = 0
    /// Two CIDRs of nodes that overlap, counted by pairs, as releases before 1.1 gave them out.
    public var overlaps = 0
    /// One of them and its holder, for a person: the first that was met, as long as it is held. Then there is none before a next one is
    /// met.
    public var example: String?

    public var isEmpty: Bool { serviceAddresses == 0 && podCIDRs == 0 && nodePorts == 0 }

    fileprivate mutating func note(_ range: @autoclosure () -> String, _ change: Int) {
        if change > 0 {
            if example == nil { example = range() }
        } else if example == range() {
            example = nil
        }
    }
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
            counts.note("\(address) of Service \(owner())", change)
        }
    }

    func note(port: UInt16, _ change: Int, of owner: @autoclosure () -> String) {
        if pools.nodePorts?.range.contains(port) ?? false { return }
        counts.withLock { counts in
            counts.nodePorts += change
            counts.note("node port \(port) of Service \(owner())", change)
        }
    }

    func note(_ cidr: CIDR, _ change: Int, of node: String) {
        if pools.nodeCIDR.contains(where: { $0.cluster.contains(cidr) }) { return }
        counts.withLock { counts in
            counts.podCIDRs += change
            counts.note("\(cidr) of Node \(node)", change)
        }
    }
}

extension Pools {
    fileprivate func contains(_ address: IPAddress) -> Bool {
        addressPools.contains { $0.cidr.contains(address) }
    }
}

public import Addressing

/// The subnets of one length that a range is cut into, such as the pod CIDRs of a cluster's nodes.
///
/// All operations may be called from any thread, never block, and but for the audits take a time that does not grow with how
/// full the range is. Searches use at most the first 2^30 subnets; those asked for may lie anywhere. While subnets are excluded
/// (``setExcluded(_:)``), searches look at one gap after the other, which takes a time that grows with the number of ranges.
public final class SubnetPool: Sendable {
    public let cluster: CIDR
    public let nodePrefixLength: Int

    /// How many subnets can be handed out: all of them. Cutting `::/0` into addresses says `UInt128.max`.
    public let capacity: UInt128

    let slots: SlotSpace

    /// - Parameter nodePrefixLength: at least the cluster's own, at most the family's address bits.
    public init(cluster: CIDR, nodePrefixLength: Int) {
        let lengths = cluster.prefixLength...cluster.family.addressBits
        precondition(lengths.contains(nodePrefixLength), "node prefix length out of range")
        self.cluster = cluster
        self.nodePrefixLength = nodePrefixLength
        capacity = cluster.subnetCount(prefixLength: nodePrefixLength)
        slots = SlotSpace(sizeShift: nodePrefixLength - cluster.prefixLength)
    }

    /// Takes the next free subnet after the one that the last such call took; nil when the range is full, as
    /// ``AddressPool/claim(startingAt:)`` defines it.
    public func claimNext() -> CIDR? {
        slots.claimNext().flatMap { cluster.subnet(at: UInt128($0), prefixLength: nodePrefixLength) }
    }

    /// Takes exactly `subnet`; a range that is not one of the pool's subnets is `.outOfRange`, none is ever `.reserved`. One
    /// that is excluded is `.taken`, taken or not.
    public func claim(_ subnet: CIDR) -> ClaimOutcome {
        guard let index = index(of: subnet) else { return .outOfRange }
        return slots.claim(index) ? .claimed : .taken
    }

    /// Takes `subnet` for its holder, excluded or not; nothing is done where it is taken already, or none of the pool's.
    public func mark(_ subnet: CIDR) {
        if let index = index(of: subnet) { slots.mark(index) }
    }

    /// Frees `subnet`; false, and nothing is done, when it was not taken.
    @discardableResult
    public func release(_ subnet: CIDR) -> Bool {
        guard let index = index(of: subnet) else { return false }
        return slots.release(index)
    }

    /// A subnet that is excluded is `.allocated`, taken or not.
    public func state(of subnet: CIDR) -> AllocationState {
        guard let index = index(of: subnet) else { return .outOfRange }
        return slots.contains(index) ? .allocated : .free
    }

    /// Makes the subnets that overlap `ranges`, which others hold, the excluded ones, in place of the earlier ones: no claim that begins
    /// after the return takes one of them. Those taken before stay taken, and can be released. O(n log n); allocates.
    ///
    /// Never waits for claims, nor they for it; to be called by one thread at a time.
    ///
    /// - Parameter ranges: of any family and length, in any order; a single address is one of full length. They may contain the
    ///   cluster or one another, or lie outside.
    public func setExcluded(_ ranges: [CIDR]) {
        slots.setExcluded(ranges, in: cluster, unitLength: nodePrefixLength)
    }

    /// How many subnets are excluded, taken or not; `UInt128.max` for 2^128 of them. O(ranges excluded).
    public var excludedCount: UInt128 { slots.excludedCount() }

    /// How many subnets are taken, those that are excluded among them. O(memory of the pool), and exact only without claims and releases meanwhile.
    public var allocatedCount: Int { slots.count }

    /// Calls `body` with each taken subnet: the first 2^30 in rising order, then the others in none. O(memory of the pool);
    /// a subnet taken or freed meanwhile may be seen or not.
    public func forEachAllocated(_ body: (CIDR) throws -> Void) rethrows {
        try slots.forEachTaken { index in
            guard let subnet = cluster.subnet(at: index, prefixLength: nodePrefixLength) else { return }
            try body(subnet)
        }
    }

    /// Tests the inside against itself; call it only without claims and releases meanwhile. Does nothing in release builds.
    public func _checkInvariants() { slots._checkInvariants() }

    private func index(of subnet: CIDR) -> UInt128? {
        subnet.prefixLength == nodePrefixLength ? cluster.indexOfSubnet(subnet) : nil
    }
}

public import Addressing
internal import Synchronization

/// The addresses of one range, handed out one by one: near a random place, in turn, or by name.
///
/// All operations may be called from any thread, never block, and but for the audits take a time that does not grow with how
/// full the range is. A range of up to 2^24 addresses has all of its memory from the start, an eighth of a byte each; in a
/// wider one they allocate the first time that a block of 4096 neighbours is touched, and for an address asked for more
/// than 2^30 above the range's start. Searches use at most the first 2^30 addresses.
///
/// Addresses inside the range that others hold can be excluded (``setExcluded(_:)``). While something is, searches look at one gap after
/// the other, which takes a time that grows with the number of ranges excluded.
public final class AddressPool: Sendable {
    /// Which addresses of a range are kept back, besides its ends: the first one (for IPv4 the network, for IPv6 the subnet-router
    /// anycast address) and the last one of IPv4 (broadcast).
    public struct Layout: Hashable, Sendable {
        /// The ends are handed out as well.
        public var hasEnds: Bool

        /// The first usable address is the pods' gateway.
        public var hasGateway: Bool

        /// The low end is left to addresses asked for by name for as long as there are others (KEP-3070).
        public var hasStaticBand: Bool

        public init(hasEnds: Bool = false, hasGateway: Bool = false, hasStaticBand: Bool = false) {
            self.hasEnds = hasEnds
            self.hasGateway = hasGateway
            self.hasStaticBand = hasStaticBand
        }

        /// Service cluster IPs: a static band.
        public static let services = Layout(hasStaticBand: true)

        /// The pods of one node: a gateway.
        public static let pods = Layout(hasGateway: true)

        /// Load balancer addresses: nothing more is kept back.
        public static let loadBalancers = Layout()

        /// Load balancer addresses of a range that is no subnet: nothing is kept back.
        public static let whole = Layout(hasEnds: true)
    }

    public let cidr: CIDR
    public let layout: Layout

    /// How many addresses can be handed out.
    public let capacity: UInt128

    /// The size of the static band, which starts at the first usable address: 0, or 16...256.
    public let staticBandSize: Int

    let slots: SlotSpace
    private let floor: Int
    private let networkHigh: UInt64
    private let networkLow: UInt64
    private let hostMaskHigh: UInt64
    private let hostMaskLow: UInt64

    /// The offsets below this one are kept back.
    private let firstUsable: UInt64

    /// The last offset, where it is kept back.
    private let reservedAtEnd: UInt64?

    /// All offsets that are kept back.
    let reserved: Set<UInt64>

    /// Where a draw falls at least this far above the range's start, and less than `quickClaims` above that, the first look is
    /// at its whole word: none of it is below the floor. `quickClaims` is 0 where the bitmap is not flat, and while addresses
    /// are excluded.
    private let quickFloor: UInt64
    private let quickClaims = Atomic<UInt64>(0)

    /// How many offsets from the first usable one on are in a flat bitmap, and not kept back.
    private let quickReleases: UInt64

    /// The prefix lengths a pool can have: from /8 on, and where its ends are kept back to /30 for IPv4, /126 for IPv6.
    public static func prefixLengths(of family: IPFamily, layout: Layout = .loadBalancers) -> ClosedRange<Int> {
        8...family.addressBits - (layout.hasEnds ? 0 : 2)
    }

    /// - Parameter cidr: of a length in ``prefixLengths(of:layout:)``.
    public init(_ cidr: CIDR, layout: Layout) {
        precondition(
            Self.prefixLengths(of: cidr.family, layout: layout).contains(cidr.prefixLength),
            "prefix length out of range")
        self.cidr = cidr
        self.layout = layout
        staticBandSize = layout.hasStaticBand ? Self.staticBandSize(of: cidr.size) : 0
        floor = staticBandSize == 0 ? 0 : 1 + staticBandSize
        slots = SlotSpace(sizeShift: cidr.hostBits)
        networkHigh = cidr.network.high
        networkLow = cidr.network.low
        hostMaskHigh = UInt64(truncatingIfNeeded: (cidr.size - 1) >> 64)
        hostMaskLow = UInt64(truncatingIfNeeded: cidr.size - 1)
        firstUsable = layout.hasEnds ? 0 : layout.hasGateway ? 2 : 1
        reservedAtEnd = cidr.family == .ipv4 && !layout.hasEnds ? UInt64(cidr.size - 1) : nil
        quickFloor = UInt64(floor + 63) & ~63
        let end: UInt64 = if let reservedAtEnd { reservedAtEnd } else { slots.flatSize }
        quickReleases = slots.flatSize == 0 ? 0 : end - firstUsable
        reserved = Set(0..<firstUsable).union(reservedAtEnd.map { [$0] } ?? [])
        capacity = cidr.size - UInt128(reserved.count)
        for offset in reserved { _ = slots.claim(UInt128(offset)) }
        setQuickClaims()
    }

    private func setQuickClaims() {
        let isQuick = slots.flatSize > quickFloor && !slots.hasExclusions
        // Relaxed: guards no memory; each thread that knows of the call sees the value that it stored.
        quickClaims.store(isQuick ? slots.flatSize - quickFloor : 0, ordering: .relaxed)
    }

    /// KEP-3070: a sixteenth of the range, at least 16 and at most 256 addresses; none for ranges of 16 or fewer.
    private static func staticBandSize(of size: UInt128) -> Int {
        size <= 16 ? 0 : Int(min(max(16, size / 16), 256))
    }

    /// The pods' gateway, where the layout has one.
    public var gateway: IPAddress? { layout.hasGateway ? cidr.address(at: 1) : nil }
}

extension AddressPool {
    /// Takes a free address near the place that `entropy` picks, which is evenly spread over the searchable part; from
    /// the static band only if all the others were taken; nil when the range is full.
    ///
    /// Nil means that at one moment of the call every address was taken, where a release that had not returned by then
    /// counts as not yet done. A full range says so without looking at its addresses.
    public func claim(startingAt entropy: UInt64) -> IPAddress? {
        // The rest is a call at the very end, so that the way of almost every claim needs no stack.
        let place = entropy &>> slots.flatDrop
        // Relaxed: see `setQuickClaims()`.
        guard place &- quickFloor < quickClaims.load(ordering: .relaxed) else { return claimFar(startingAt: entropy) }
        guard let slot = slots.claimInFlatWord(of: Int(truncatingIfNeeded: place)) else {
            return claimBeside(entropy)
        }
        return address(at: slot)
    }

    /// In an almost full range.
    @inline(never)
    private func claimBeside(_ entropy: UInt64) -> IPAddress? {
        let place = Int(truncatingIfNeeded: entropy &>> slots.flatDrop)
        guard let slot = slots.claimOpen(near: place, floor: floor) else { return claimFar(startingAt: entropy) }
        return address(at: slot)
    }

    @inline(never)
    private func claimFar(startingAt entropy: UInt64) -> IPAddress? {
        guard let slot = slots.claim(startingAt: entropy, floor: floor) else { return nil }
        return address(at: slot)
    }

    /// Takes the next free address after the one that the last such call took, so that freed addresses are used again as
    /// late as can be; nil when the range is full, as for ``claim(startingAt:)``. Makes no use of a static band.
    public func claimNext() -> IPAddress? {
        guard let slot = slots.claimNext() else { return nil }
        return address(at: slot)
    }

    /// Takes exactly `address`, in the static band or not. One that is excluded is `.taken`, taken or not.
    public func claim(_ address: IPAddress) -> ClaimOutcome {
        guard let (high, low) = offset(of: address) else { return .outOfRange }
        if isReserved(high, low) { return .reserved }
        return slots.claim(UInt128(high) << 64 | UInt128(low)) ? .claimed : .taken
    }

    /// Takes `address` for its holder, excluded or not; nothing is done where it is taken already, reserved, or lies elsewhere.
    public func mark(_ address: IPAddress) {
        guard let (high, low) = offset(of: address), !isReserved(high, low) else { return }
        slots.mark(UInt128(high) << 64 | UInt128(low))
    }

    /// Frees `address`; false, and nothing is done, when it was not taken.
    @discardableResult
    public func release(_ address: IPAddress) -> Bool {
        let low = address.low ^ networkLow
        if address.family == cidr.family, address.high == networkHigh, low &- firstUsable < quickReleases {
            return slots.releaseFlat(Int(truncatingIfNeeded: low))
        }
        return releaseFar(address)
    }

    @inline(never)
    private func releaseFar(_ address: IPAddress) -> Bool {
        guard let (high, low) = offset(of: address), !isReserved(high, low) else { return false }
        return slots.release(UInt128(high) << 64 | UInt128(low))
    }

    /// An address that is excluded is `.allocated`, taken or not.
    public func state(of address: IPAddress) -> AllocationState {
        guard let (high, low) = offset(of: address) else { return .outOfRange }
        if isReserved(high, low) { return .reserved }
        return slots.contains(UInt128(high) << 64 | UInt128(low)) ? .allocated : .free
    }

    /// Makes `ranges`, which others hold, the excluded ones, in place of the earlier ones: no claim that begins after the return takes an
    /// address in one of them. Addresses taken there before stay taken, and can be released. O(n log n); allocates.
    ///
    /// Never waits for claims, nor they for it; to be called by one thread at a time.
    ///
    /// - Parameter ranges: of any family, in any order; they may contain the pool or one another, or lie outside.
    public func setExcluded(_ ranges: [CIDR]) {
        slots.setExcluded(ranges, in: cidr, unitLength: cidr.family.addressBits)
        setQuickClaims()
    }

    /// How many of the ``capacity`` addresses are excluded, taken or not. O(ranges excluded).
    public var excludedCount: UInt128 { slots.excludedCount(besides: reserved) }

    /// How many addresses are taken, those that are excluded among them. O(memory of the pool), and exact only without claims and releases meanwhile.
    public var allocatedCount: Int { slots.count - Int(cidr.size - capacity) }

    /// Calls `body` with each taken address: those less than 2^30 above the range's start in rising order, then the others in
    /// none. O(memory of the pool); an address taken or freed meanwhile may be seen or not.
    public func forEachAllocated(_ body: (IPAddress) throws -> Void) rethrows {
        try slots.forEachTaken { offset in
            let (high, low) = (UInt64(offset >> 64), UInt64(truncatingIfNeeded: offset))
            guard !isReserved(high, low), let address = cidr.address(at: offset) else { return }
            try body(address)
        }
    }

    /// Tests the inside against itself; call it only without claims and releases meanwhile. Does nothing in release builds.
    public func _checkInvariants() { slots._checkInvariants() }

    @inline(__always)
    private func isReserved(_ high: UInt64, _ low: UInt64) -> Bool {
        high == 0 && (low < firstUsable || low == reservedAtEnd)
    }

    /// How far above the range's start `address` lies, in two halves; nil outside of the range.
    @inline(__always)
    private func offset(of address: IPAddress) -> (high: UInt64, low: UInt64)? {
        let high = address.high ^ networkHigh
        let low = address.low ^ networkLow
        guard address.family == cidr.family, high & ~hostMaskHigh | low & ~hostMaskLow == 0 else { return nil }
        return (high, low)
    }

    @inline(__always)
    private func address(at slot: Int) -> IPAddress {
        IPAddress(family: cidr.family, knownHigh: networkHigh, low: networkLow | UInt64(bitPattern: Int64(slot)))
    }
}

/// The outcome of a claim by name.
public enum ClaimOutcome: Hashable, Sendable {
    case claimed
    case taken
    /// Kept back, such as a network, broadcast, anycast or gateway address.
    case reserved
    case outOfRange
}

/// The current state of an address or subnet.
public enum AllocationState: Hashable, Sendable {
    case free
    case allocated
    /// Kept back, such as a network, broadcast, anycast or gateway address.
    case reserved
    case outOfRange
}

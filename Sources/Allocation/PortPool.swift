internal import Addressing

/// Ports of every node, handed out one by one: near a random place, or by name. A number is one port, whatever the protocol.
///
/// All operations may be called from any thread, never block, and but for the audits take a time that does not grow with how full
/// the range is. An eighth of a byte a port, up to twice that where the range's length is no power of two.
public final class PortPool: Sendable {
    /// Both ends can be handed out.
    public let range: ClosedRange<UInt16>

    /// How many ports can be handed out: 1...65535.
    public let capacity: Int

    /// The size of the static band at the low end, which is left to ports asked for by name for as long as there are others: 0, or
    /// 16...128.
    public let staticBandSize: Int

    let slots: SlotSpace
    /// Indices behind the range, which are taken from the start.
    let spare: Int

    /// - Parameter range: without port 0, which stands for none.
    public init(_ range: ClosedRange<UInt16>) {
        precondition(range.lowerBound > 0, "0 is no port")
        self.range = range
        capacity = range.count
        staticBandSize = Self.staticBandSize(of: capacity)
        let shift = max(6, Int.bitWidth - (capacity - 1).leadingZeroBitCount)
        slots = SlotSpace(sizeShift: shift)
        spare = 1 << shift - capacity
        for index in capacity..<1 << shift { _ = slots.claim(UInt128(index)) }
    }

    /// KEP-3668: a thirty-second of the range, at least 16 and at most 128 ports; none for ranges of 16 or fewer.
    private static func staticBandSize(of size: Int) -> Int {
        size <= 16 ? 0 : min(max(16, size / 32), 128)
    }
}

extension PortPool {
    /// Takes a free port near the place that `entropy` picks, which is evenly spread over the part above the static band; from the
    /// band only if all the others were taken; nil when the range is full, as for ``AddressPool/claim(startingAt:)``.
    public func claim(startingAt entropy: UInt64) -> UInt16? {
        let place = UInt64(capacity - staticBandSize).multipliedFullWidth(by: entropy).high + UInt64(staticBandSize)
        return slots.claim(startingAt: place &<< slots.flatDrop, floor: staticBandSize).map(port)
    }

    /// Takes exactly `port`, in the static band or not.
    public func claim(_ port: UInt16) -> ClaimOutcome {
        guard let index = index(of: port) else { return .outOfRange }
        return slots.claim(index) ? .claimed : .taken
    }

    /// Takes `port` for its holder; nothing is done where it is taken already, or lies outside.
    public func mark(_ port: UInt16) {
        if let index = index(of: port) { slots.mark(index) }
    }

    /// Frees `port`; false, and nothing is done, when it was not taken.
    @discardableResult
    public func release(_ port: UInt16) -> Bool {
        index(of: port).map { slots.release($0) } ?? false
    }

    public func state(of port: UInt16) -> AllocationState {
        guard let index = index(of: port) else { return .outOfRange }
        return slots.contains(index) ? .allocated : .free
    }

    /// How many ports are taken. O(memory of the pool), and exact only without claims and releases meanwhile.
    public var allocatedCount: Int { slots.count - spare }

    /// Calls `body` with each taken port, in rising order. O(memory of the pool); a port taken or freed meanwhile may be seen or not.
    public func forEachAllocated(_ body: (UInt16) throws -> Void) rethrows {
        try slots.forEachTaken { index in
            if index < UInt128(capacity) { try body(port(at: Int(index))) }
        }
    }

    private func index(of port: UInt16) -> UInt128? {
        range.contains(port) ? UInt128(port - range.lowerBound) : nil
    }

    private func port(at index: Int) -> UInt16 { range.lowerBound + UInt16(index) }
}

/// An IPv4 or IPv6 address as a number. A value of 24 bytes; thread-safe.
///
/// Addresses order by family (IPv4 first), then by number.
public struct IPAddress: Sendable, Hashable {
    // Two words, not one of 128 bits: that would be aligned to 16 bytes and take a third more room in every array.
    private let high: UInt64
    private let low: UInt64
    public let family: IPFamily

    /// `bits` right-aligned; for IPv4 only the lowest 32 count.
    public init(family: IPFamily, bits: UInt128) {
        self.family = family
        low = family == .ipv4 ? UInt64(UInt32(truncatingIfNeeded: bits)) : UInt64(truncatingIfNeeded: bits)
        high = family == .ipv4 ? 0 : UInt64(truncatingIfNeeded: bits >> 64)
    }

    /// The address as a number, right-aligned.
    public var bits: UInt128 { UInt128(high) << 64 | UInt128(low) }

    /// The address `offset` further on; nil past the end of the family's space.
    public func advanced(by offset: UInt128) -> IPAddress? {
        let (sum, overflow) = bits.addingReportingOverflow(offset)
        guard !overflow, family == .ipv6 || sum <= UInt128(UInt32.max) else { return nil }
        return IPAddress(family: family, bits: sum)
    }
}

extension IPAddress: Comparable {
    public static func < (left: IPAddress, right: IPAddress) -> Bool {
        if left.family != right.family { return left.family.rawValue < right.family.rawValue }
        return left.bits < right.bits
    }
}

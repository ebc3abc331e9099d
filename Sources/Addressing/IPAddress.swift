/// An IPv4 or IPv6 address: a family and its 32 or 128 bits, in 24 bytes without a heap allocation.
///
/// Addresses order by family (IPv4 first), then by number.
///
/// An IPv4-mapped IPv6 text (`::ffff:192.0.2.1`) is parsed as the IPv4 address it carries, because Kubernetes counts it as
/// one. The IPv6 value with those bits exists only when it is built from bits.
public struct IPAddress: Hashable, Sendable, BitwiseCopyable {
    /// The upper 64 bits of an IPv6 address; zero for IPv4.
    public let high: UInt64

    /// The lower 64 bits of an IPv6 address; the 32 bits of an IPv4 address.
    public let low: UInt64

    public let family: IPFamily

    /// - Parameter bits: the address as a number, most significant octet first. Must fit the family.
    public init(family: IPFamily, bits: UInt128) {
        precondition(family == .ipv6 || bits <= 0xffff_ffff, "an IPv4 address has 32 bits")
        self.high = UInt64(truncatingIfNeeded: bits >> 64)
        self.low = UInt64(truncatingIfNeeded: bits)
        self.family = family
    }

    /// For bits that are known to fit: checked in debug builds alone.
    ///
    /// - Parameter high: zero for IPv4.
    /// - Parameter low: at most 32 bits for IPv4.
    @inlinable
    public init(family: IPFamily, knownHigh high: UInt64, low: UInt64) {
        assert(family == .ipv6 || high | low >> 32 == 0, "an IPv4 address has 32 bits")
        self.high = high
        self.low = low
        self.family = family
    }

    /// The address as a number, most significant octet first.
    public var bits: UInt128 { UInt128(high) << 64 | UInt128(low) }

    /// The highest number an address of `family` can be.
    public static func maximumBits(of family: IPFamily) -> UInt128 {
        family == .ipv4 ? 0xffff_ffff : .max
    }

    /// The address `distance` above this one, or nil past the end of the family's space. O(1).
    public func advanced(by distance: UInt128) -> IPAddress? {
        let (sum, overflow) = bits.addingReportingOverflow(distance)
        guard !overflow, sum <= Self.maximumBits(of: family) else { return nil }
        return IPAddress(family: family, bits: sum)
    }

    /// Whether the bits are those of an IPv4-mapped IPv6 address (`::ffff:0:0/96`).
    var isIPv4Mapped: Bool { family == .ipv6 && high == 0 && low >> 32 == 0xffff }
}

extension IPAddress: Comparable {
    public static func < (left: IPAddress, right: IPAddress) -> Bool {
        (left.family.rawValue, left.high, left.low) < (right.family.rawValue, right.high, right.low)
    }
}

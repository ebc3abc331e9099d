/// A range of addresses written as a network and a prefix length, such as `10.96.0.0/12` or `fd00::/108`.
///
/// No bit below the prefix is ever set in ``network``. Ranges order by network, then the wider one first.
public struct CIDR: Hashable, Sendable, BitwiseCopyable {
    /// The first address of the range, which also names it.
    public let network: IPAddress

    private let prefix: UInt8

    /// How many leading bits all addresses of the range share: 0...32 for IPv4, 0...128 for IPv6.
    public var prefixLength: Int { Int(prefix) }

    public var family: IPFamily { network.family }

    /// The range of that length that `address` lies in; bits below the prefix are dropped.
    ///
    /// - Parameter prefixLength: 0...32 for IPv4, 0...128 for IPv6.
    public init(containing address: IPAddress, prefixLength: Int) {
        let hostBits = address.family.addressBits - prefixLength
        precondition((0...address.family.addressBits).contains(prefixLength), "prefix length out of range")
        // Most are of one address.
        self.network =
            hostBits == 0
            ? address : IPAddress(family: address.family, bits: (address.bits >> hostBits) << hostBits)
        self.prefix = UInt8(prefixLength)
    }

    /// The range of one address: a /32 or a /128.
    public init(_ address: IPAddress) {
        self.network = address
        self.prefix = UInt8(address.family.addressBits)
    }

    /// The range that starts at `network`; nil when a bit below the prefix is set or the length does not fit the family.
    public init?(network: IPAddress, prefixLength: Int) {
        guard (0...network.family.addressBits).contains(prefixLength) else { return nil }
        self.init(containing: network, prefixLength: prefixLength)
        guard self.network == network else { return nil }
    }

    /// The number of address bits below the prefix.
    public var hostBits: Int { family.addressBits - prefixLength }

    public var first: IPAddress { network }

    public var last: IPAddress { IPAddress(family: family, bits: network.bits | hostMask) }

    /// How many addresses the range spans. `::/0` spans one more than a `UInt128` holds, and says `UInt128.max`.
    public var size: UInt128 { hostBits == 128 ? .max : 1 << hostBits }

    private var hostMask: UInt128 { ~(UInt128.max << hostBits) }

    public func contains(_ address: IPAddress) -> Bool {
        address.family == family && (address.bits ^ network.bits) >> hostBits == 0
    }

    public func contains(_ other: CIDR) -> Bool {
        other.prefixLength >= prefixLength && contains(other.network)
    }

    /// Two ranges overlap exactly when one of them contains the other.
    public func overlaps(_ other: CIDR) -> Bool {
        contains(other) || other.contains(self)
    }

    /// How far `address` is from ``first``, or nil when it lies outside.
    public func offset(of address: IPAddress) -> UInt128? {
        contains(address) ? address.bits & hostMask : nil
    }

    /// The address `offset` above ``first``, or nil past ``last``.
    public func address(at offset: UInt128) -> IPAddress? {
        offset <= hostMask ? IPAddress(family: family, bits: network.bits | offset) : nil
    }
}

extension CIDR: Comparable {
    public static func < (left: CIDR, right: CIDR) -> Bool {
        (left.network, left.prefix) < (right.network, right.prefix)
    }
}

/// Cutting a range into equal subnets, numbered from zero upward.
extension CIDR {
    /// How many subnets of that length the range is cut into; zero when it is shorter than the range's own or does not
    /// fit the family. Cutting `::/0` into single addresses says `UInt128.max`.
    public func subnetCount(prefixLength length: Int) -> UInt128 {
        guard (prefixLength...family.addressBits).contains(length) else { return 0 }
        return length - prefixLength == 128 ? .max : 1 << (length - prefixLength)
    }

    /// The subnet numbered `index`, or nil when there is none.
    public func subnet(at index: UInt128, prefixLength length: Int) -> CIDR? {
        guard (prefixLength...family.addressBits).contains(length) else { return nil }
        guard index <= ~(UInt128.max << (length - prefixLength)) else { return nil }
        let bits = network.bits | index << (family.addressBits - length)
        return CIDR(containing: IPAddress(family: family, bits: bits), prefixLength: length)
    }

    /// The number of `subnet` among the subnets of its length, or nil when it is not one of them.
    public func indexOfSubnet(_ subnet: CIDR) -> UInt128? {
        contains(subnet) ? (subnet.network.bits & hostMask) >> subnet.hostBits : nil
    }
}

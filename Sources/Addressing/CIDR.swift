/// A range of addresses that share a prefix: a network address without host bits, and a prefix length.
///
/// CIDRs order by their network address, a shorter prefix first.
public struct CIDR: Sendable, Hashable {
    /// The lowest address; its host bits are zero.
    public let network: IPAddress
    /// 0…32 or 0…128.
    public let prefixLength: Int

    /// The range of `prefixLength` that `address` lies in: host bits are cleared.
    public init(containing address: IPAddress, prefixLength: Int) {
        precondition((0...address.family.addressBits).contains(prefixLength), "no such prefix length")
        self.prefixLength = prefixLength
        network = IPAddress(
            family: address.family, bits: address.bits & ~Self.hostMask(address.family, prefixLength))
    }

    /// The range of one address: a /32 or /128.
    public init(_ address: IPAddress) {
        self.init(containing: address, prefixLength: address.family.addressBits)
    }

    public var family: IPFamily { network.family }

    private static func hostMask(_ family: IPFamily, _ prefixLength: Int) -> UInt128 {
        let hostBits = family.addressBits - prefixLength
        return hostBits == 128 ? .max : (1 << UInt128(hostBits)) - 1
    }

    /// The highest address.
    public var last: IPAddress {
        IPAddress(family: family, bits: network.bits | Self.hostMask(family, prefixLength))
    }

    /// The lowest address.
    public var first: IPAddress { network }

    /// The number of addresses; `UInt128.max` for ::/0, whose number does not fit.
    public var size: UInt128 {
        let mask = Self.hostMask(family, prefixLength)
        return mask == .max ? .max : mask + 1
    }

    public func contains(_ address: IPAddress) -> Bool {
        address.family == family && address.bits & ~Self.hostMask(family, prefixLength) == network.bits
    }

    /// Whether every address of `other` lies in this range.
    public func contains(_ other: CIDR) -> Bool {
        other.prefixLength >= prefixLength && contains(other.network)
    }

    /// Whether the two have an address in common; then one contains the other.
    public func overlaps(_ other: CIDR) -> Bool {
        contains(other.network) || other.contains(network)
    }
}

extension CIDR: Comparable {
    public static func < (left: CIDR, right: CIDR) -> Bool {
        (left.network, left.prefixLength) < (right.network, right.prefixLength)
    }
}

// MARK: Text

extension CIDR: LosslessStringConvertible, CustomStringConvertible {
    /// Why a text is no CIDR, in words that name the cure.
    public struct ParseError: Error, Sendable, Equatable, CustomStringConvertible {
        public let description: String
    }

    /// Parses `address/length`; host bits must be zero.
    public init(parsing text: some StringProtocol) throws(ParseError) {
        guard let slash = text.firstIndex(of: "/"), let address = IPAddress(String(text[..<slash])) else {
            throw ParseError(
                description: "\"\(text)\" is not a CIDR such as 10.96.0.0/16 or fd00:10:96::/112")
        }
        let digits = text[text.index(after: slash)...]
        let lengths = 0...address.family.addressBits
        guard let length = Int(digits), lengths.contains(length), String(length) == digits else {
            throw ParseError(
                description: "\"\(text)\": the prefix length of an \(address.family) CIDR is a number from 0 to "
                    + "\(lengths.upperBound)")
        }
        self.init(containing: address, prefixLength: length)
        guard network == address else {
            throw ParseError(description: "\"\(text)\" has host bits set; write \(self)")
        }
    }

    public init?(_ description: String) {
        guard let parsed = try? CIDR(parsing: description) else { return nil }
        self = parsed
    }

    public var description: String { "\(network)/\(prefixLength)" }
}

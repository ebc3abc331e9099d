/// Addresses of one family from a first to a last one: a CIDR, or such a range as no prefix describes. A value; thread-safe.
public struct AddressRange: Hashable, Sendable {
    public let first: IPAddress
    public let last: IPAddress
    /// Where the range was given as one; a range that was given by its ends is none, whatever they are.
    public let cidr: CIDR?

    public init(_ cidr: CIDR) {
        (first, last, self.cidr) = (cidr.first, cidr.last, cidr)
    }

    /// nil where the ends are of different families, or the last one comes before the first.
    public init?(first: IPAddress, last: IPAddress) {
        guard first.family == last.family, first.bits <= last.bits else { return nil }
        (self.first, self.last, cidr) = (first, last, nil)
    }

    public var family: IPFamily { first.family }

    public func contains(_ address: IPAddress) -> Bool {
        address.family == family && (first.bits...last.bits).contains(address.bits)
    }

    public func overlaps(_ other: AddressRange) -> Bool {
        family == other.family && first.bits <= other.last.bits && other.first.bits <= last.bits
    }

    /// The fewest CIDRs that make it up, in order: at most two of each length.
    public var cidrs: [CIDR] {
        if let cidr { return [cidr] }
        var cidrs: [CIDR] = []
        var start = first.bits
        while true {
            // As wide as the start's place and the rest of the range allow.
            let hostBits = min(start.trailingZeroBitCount, family.addressBits)
            var size = hostBits
            while size > 0, size == 128 || (1 << UInt128(size)) - 1 > last.bits - start { size -= 1 }
            cidrs.append(
                CIDR(
                    containing: IPAddress(family: family, bits: start), prefixLength: family.addressBits - size))
            let end = start + ((1 << UInt128(size)) - 1)
            guard end < last.bits else { return cidrs }
            start = end + 1
        }
    }
}

extension AddressRange: LosslessStringConvertible {
    /// A CIDR, or `first-last`.
    public init?(_ text: some StringProtocol) {
        if let cidr = CIDR(text) {
            self.init(cidr)
            return
        }
        let ends = text.split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, let first = IPAddress(ends[0]), let last = IPAddress(ends[1]) else { return nil }
        self.init(first: first, last: last)
    }

    public var description: String { cidr?.description ?? "\(first)-\(last)" }
}

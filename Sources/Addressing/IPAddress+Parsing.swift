extension IPAddress: LosslessStringConvertible {
    /// Reads a dotted quad without leading zeros, or any of RFC 4291's IPv6 forms; nil for everything else.
    ///
    /// Zones, brackets, blanks and port numbers are refused. O(length), without a heap allocation for native strings.
    public init?(_ text: some StringProtocol) {
        self.init(utf8: text.utf8)
    }

    /// As ``init(_:)``, from the text's bytes.
    public init?(utf8 bytes: some Collection<UInt8>) {
        self.init(utf8: bytes, .none)
    }

    /// As ``init(_:)``, but zeros may stand in front of a dotted quad's fields, which are decimal all the same: as Kubernetes reads the
    /// addresses in its objects.
    public init?(zeroPadded text: some StringProtocol) {
        self.init(utf8: text.utf8, .decimal)
    }

    private init?(utf8 bytes: some Collection<UInt8>, _ zeros: LeadingZeros) {
        let parsed = bytes.withContiguousStorageIfAvailable { IPAddress(parsing: $0, zeros) }
        guard let address = parsed ?? Array(bytes).withUnsafeBufferPointer({ IPAddress(parsing: $0, zeros) }) else {
            return nil
        }
        self = address
    }

    /// As ``init(_:)``, from bytes in memory.
    public init?(utf8 bytes: UnsafeRawBufferPointer) {
        guard let address = bytes.withMemoryRebound(to: UInt8.self, { IPAddress(parsing: $0, .none) })
        else { return nil }
        self = address
    }

    /// The pointer is only read during the call.
    private init?(parsing text: UnsafeBufferPointer<UInt8>, _ zeros: LeadingZeros) {
        if let bits = parseIPv4(text[...], zeros) {
            self.init(family: .ipv4, bits: UInt128(bits))
        } else if let bits = parseIPv6(text, zeros) {
            let address = IPAddress(family: .ipv6, bits: bits)
            self = address.isIPv4Mapped ? IPAddress(family: .ipv4, bits: bits & 0xffff_ffff) : address
        } else {
            return nil
        }
    }
}

/// Zeros in front of a dotted quad's fields.
private enum LeadingZeros {
    /// Refused, as half the world reads such a field as octal.
    case none
    case decimal
}

/// Exactly four decimal fields, each at most 255.
private func parseIPv4(_ text: Slice<UnsafeBufferPointer<UInt8>>, _ zeros: LeadingZeros) -> UInt32? {
    var bits: UInt32 = 0
    var fields = 0
    var position = text.startIndex
    while true {
        let start = position
        var value: UInt32 = 0
        while position < text.endIndex, let digit = decimalDigit(text[position]) {
            guard position == start || value != 0 || zeros == .decimal else { return nil }
            value = value * 10 + UInt32(digit)
            guard value <= 255 else { return nil }
            position += 1
        }
        guard position > start else { return nil }
        bits = bits << 8 | value
        fields += 1
        if position == text.endIndex { return fields == 4 ? bits : nil }
        guard text[position] == UInt8(ascii: "."), fields < 4 else { return nil }
        position += 1
    }
}

/// Up to eight groups of one to four hexadecimal digits, at most one `::` for one or more zero groups, and perhaps a
/// dotted quad in the place of the last two groups.
private func parseIPv6(_ text: UnsafeBufferPointer<UInt8>, _ zeros: LeadingZeros) -> UInt128? {
    let colon = UInt8(ascii: ":")
    var bits: UInt128 = 0
    var groups = 0
    var groupsBeforeGap: Int?
    var position = 0
    if text.first == colon {
        guard text.count >= 2, text[1] == colon else { return nil }
        groupsBeforeGap = 0
        position = 2
    }
    while position < text.count {
        guard groups < 8 else { return nil }
        let start = position
        var value: UInt128 = 0
        while position < text.count, let digit = hexadecimalDigit(text[position]) {
            guard position - start < 4 else { return nil }
            value = value << 4 | UInt128(digit)
            position += 1
        }
        guard position > start else { return nil }
        if position < text.count, text[position] == UInt8(ascii: ".") {
            guard groups <= 6, let quad = parseIPv4(text[start...], zeros) else { return nil }
            bits = bits << 32 | UInt128(quad)
            groups += 2
            break
        }
        bits = bits << 16 | value
        groups += 1
        if position == text.count { break }
        guard text[position] == colon else { return nil }
        position += 1
        guard position < text.count else { return nil }
        if text[position] == colon {
            guard groupsBeforeGap == nil else { return nil }
            groupsBeforeGap = groups
            position += 1
        }
    }
    guard let groupsBeforeGap else { return groups == 8 ? bits : nil }
    guard groups < 8 else { return nil }
    let bitsAfterGap = (groups - groupsBeforeGap) * 16
    let tail = bits & ~(UInt128.max << bitsAfterGap)
    return (bits >> bitsAfterGap) << (128 - groupsBeforeGap * 16) | tail
}

func decimalDigit(_ byte: UInt8) -> UInt8? {
    let digit = byte &- UInt8(ascii: "0")
    return digit <= 9 ? digit : nil
}

private func hexadecimalDigit(_ byte: UInt8) -> UInt8? {
    if let digit = decimalDigit(byte) { return digit }
    // Setting bit 5 turns A...F into a...f and puts nothing else there.
    let letter = (byte | 0x20) &- UInt8(ascii: "a")
    return letter <= 5 ? letter + 10 : nil
}

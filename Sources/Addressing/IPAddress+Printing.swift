extension IPAddress: CustomStringConvertible {
    /// The longest text of an address, in bytes: eight groups of four digits and seven colons.
    static let maximumTextBytes = 39

    /// The longest dotted quad, which a string holds without memory of its own.
    private static let maximumQuadBytes = 15

    /// Canonical text: dotted quad, or RFC 5952 for IPv6.
    public var description: String {
        String(unsafeUninitializedCapacity: family == .ipv4 ? Self.maximumQuadBytes : Self.maximumTextBytes) { buffer in
            var text = TextWriter(buffer)
            text.append(self)
            return text.count
        }
    }

    /// Appends ``description`` as UTF-8. O(1); allocates only if `bytes` must grow.
    public func write(into bytes: inout [UInt8]) {
        withUTF8 { bytes.append(contentsOf: $0) }
    }

    /// Whether ``description`` is this text. O(1); allocates nothing.
    public func isWritten(_ text: UnsafeRawBufferPointer) -> Bool {
        guard text.count <= Self.maximumTextBytes else { return false }
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Self.maximumTextBytes) { buffer in
            var written = TextWriter(buffer)
            written.append(self)
            guard written.count == text.count else { return false }
            for index in 0..<text.count where buffer[index] != text[index] { return false }
            return true
        }
    }

    /// Calls `body` with ``description`` as UTF-8, held on the stack. The pointer must not escape the call.
    public func withUTF8<Result>(_ body: (UnsafeBufferPointer<UInt8>) throws -> Result) rethrows -> Result {
        try withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Self.maximumTextBytes) { buffer in
            var text = TextWriter(buffer)
            text.append(self)
            return try body(UnsafeBufferPointer(rebasing: buffer[..<text.count]))
        }
    }
}

/// Appends ASCII to memory that its maker knows to be large enough for it.
struct TextWriter {
    // Lives only inside the closure that lends the memory; debug builds check each subscript against the capacity.
    private let buffer: UnsafeMutableBufferPointer<UInt8>
    private(set) var count = 0

    init(_ buffer: UnsafeMutableBufferPointer<UInt8>) { self.buffer = buffer }

    @inline(__always)
    mutating func append(byte: UInt8) {
        buffer[count] = byte
        count &+= 1
    }

    /// `value` in decimal, at most three digits.
    mutating func append(decimal value: UInt8) {
        if value >= 100 { append(byte: UInt8(ascii: "0") + value / 100) }
        if value >= 10 { append(byte: UInt8(ascii: "0") + value / 10 % 10) }
        append(byte: UInt8(ascii: "0") + value % 10)
    }

    mutating func append(_ address: IPAddress) {
        if address.family == .ipv4 {
            append(dottedQuad: UInt32(truncatingIfNeeded: address.low))
        } else if address.isIPv4Mapped {
            for byte in "::ffff:".utf8 { append(byte: byte) }
            append(dottedQuad: UInt32(truncatingIfNeeded: address.low))
        } else {
            append(groupsOf: address)
        }
    }

    private mutating func append(dottedQuad bits: UInt32) {
        append(decimal: UInt8(truncatingIfNeeded: bits >> 24))
        for shift: UInt32 in [16, 8, 0] {
            append(byte: UInt8(ascii: "."))
            append(decimal: UInt8(truncatingIfNeeded: bits >> shift))
        }
    }

    /// RFC 5952, section 4: lower case, no leading zeros, `::` for the longest run of two or more zero groups, the first
    /// of equally long ones.
    private mutating func append(groupsOf address: IPAddress) {
        let gap = Self.gap(address)
        if gap.isEmpty {
            append(groups: 0..<8, of: address)
        } else {
            append(groups: 0..<gap.lowerBound, of: address)
            append(byte: UInt8(ascii: ":"))
            append(byte: UInt8(ascii: ":"))
            append(groups: gap.upperBound..<8, of: address)
        }
    }

    /// The groups that `::` stands for; empty where it stands for none.
    private static func gap(_ address: IPAddress) -> Range<Int> {
        // A bit for each group that is zero, the lowest for the first one.
        var zeros: UInt16 = 0
        for index in 0..<8 where group(index, of: address) == 0 { zeros |= 1 &<< UInt16(index) }
        var gap = 0..<0
        while zeros != 0 {
            let start = zeros.trailingZeroBitCount
            let end = start + (~(zeros >> UInt16(start))).trailingZeroBitCount
            if end - start >= 2, end - start > gap.count { gap = start..<end }
            zeros = (zeros >> UInt16(end)) << UInt16(end)
        }
        return gap
    }

    @inline(__always)
    private static func group(_ index: Int, of address: IPAddress) -> UInt16 {
        let half = index < 4 ? address.high : address.low
        return UInt16(truncatingIfNeeded: half &>> UInt64(truncatingIfNeeded: (3 &- index & 3) &* 16))
    }

    private mutating func append(groups: Range<Int>, of address: IPAddress) {
        for index in groups {
            if index > groups.lowerBound { append(byte: UInt8(ascii: ":")) }
            append(hexadecimal: Self.group(index, of: address))
        }
    }

    private mutating func append(hexadecimal value: UInt16) {
        // The lowest bit stands for a zero's one digit.
        var shift = UInt16(truncatingIfNeeded: 15 &- (value | 1).leadingZeroBitCount) & 0xC
        while true {
            let digit = UInt8(truncatingIfNeeded: value &>> shift & 0xf)
            append(byte: digit &+ (digit < 10 ? UInt8(ascii: "0") : UInt8(ascii: "a") &- 10))
            if shift == 0 { return }
            shift &-= 4
        }
    }
}

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

    mutating func append(byte: UInt8) {
        buffer[count] = byte
        count += 1
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
        func group(_ index: Int) -> UInt16 {
            let half = index < 4 ? address.high : address.low
            return UInt16(truncatingIfNeeded: half >> UInt64((3 - index & 3) * 16))
        }
        var gap = 0..<0
        var index = 0
        while index < 8 {
            let start = index
            while index < 8, group(index) == 0 { index += 1 }
            if index - start >= 2, index - start > gap.count { gap = start..<index }
            index += 1
        }
        index = 0
        while index < 8 {
            if index == gap.lowerBound, !gap.isEmpty {
                append(byte: UInt8(ascii: ":"))
                append(byte: UInt8(ascii: ":"))
                index = gap.upperBound
                continue
            }
            if index > 0, index != gap.upperBound || gap.isEmpty { append(byte: UInt8(ascii: ":")) }
            append(hexadecimal: group(index))
            index += 1
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

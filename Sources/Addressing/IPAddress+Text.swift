extension IPAddress: LosslessStringConvertible, CustomStringConvertible {
    /// Parses a dotted quad without leading zeros, or any form of RFC 4291 §2.2; no zone, no brackets.
    ///
    /// An IPv4-mapped address (`::ffff:10.9.8.7`) is the IPv4 address, as it is for Kubernetes.
    public init?(_ description: String) {
        self.init(Substring(description))
    }

    public init?(_ text: Substring) {
        var text = text
        let parsed = text.withUTF8 { Self.parse($0[...]) }
        guard let parsed else { return nil }
        self = parsed
    }

    private static func parse(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> IPAddress? {
        if text.contains(UInt8(ascii: ":")) {
            guard let bits = parseIPv6(text) else { return nil }
            if bits >> 32 == 0xFFFF { return IPAddress(family: .ipv4, bits: bits & 0xFFFF_FFFF) }
            return IPAddress(family: .ipv6, bits: bits)
        }
        return parseIPv4(text).map { IPAddress(family: .ipv4, bits: UInt128($0)) }
    }

    private static func parseIPv4(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> UInt32? {
        var value: UInt32 = 0
        var octet: UInt32?
        var dots = 0
        for byte in text {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                // A leading zero would be octal to some readers and decimal to others.
                guard octet != 0 else { return nil }
                let next = (octet ?? 0) * 10 + UInt32(byte - UInt8(ascii: "0"))
                guard next <= 255 else { return nil }
                octet = next
            case UInt8(ascii: "."):
                guard let complete = octet, dots < 3 else { return nil }
                value = value << 8 | complete
                octet = nil
                dots += 1
            default: return nil
            }
        }
        guard dots == 3, let last = octet else { return nil }
        return value << 8 | last
    }

    private static func parseIPv6(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> UInt128? {
        var groups: (before: UInt128, after: UInt128) = (0, 0)
        var counts = (before: 0, after: 0)
        var hasGap = false
        var position = text.startIndex
        func append(_ group: UInt32) {
            if hasGap {
                groups.after = groups.after << 16 | UInt128(group)
                counts.after += 1
            } else {
                groups.before = groups.before << 16 | UInt128(group)
                counts.before += 1
            }
        }
        if text.starts(with: "::".utf8) {
            hasGap = true
            position += 2
        }
        var needsGroup = !hasGap
        while position < text.endIndex {
            let end = text[position...].firstIndex(of: UInt8(ascii: ":")) ?? text.endIndex
            let part = text[position..<end]
            if part.contains(UInt8(ascii: ".")) {
                // An embedded IPv4 address is the last part and stands for two groups.
                guard end == text.endIndex, let value = parseIPv4(part) else { return nil }
                append(value >> 16)
                append(value & 0xFFFF)
            } else {
                guard let group = parseGroup(part) else { return nil }
                append(group)
            }
            guard counts.before + counts.after <= 8 else { return nil }
            needsGroup = false
            position = end
            guard position < text.endIndex else { break }
            position += 1
            if position < text.endIndex, text[position] == UInt8(ascii: ":") {
                guard !hasGap else { return nil }
                hasGap = true
                position += 1
            } else {
                needsGroup = true
            }
        }
        guard !needsGroup else { return nil }
        let count = counts.before + counts.after
        // A gap stands for at least one group of zeros.
        guard hasGap ? count < 8 : count == 8 else { return nil }
        guard hasGap else { return groups.before }
        // With eight groups behind the gap there is no gap, so that the shift stays below 128 bits.
        let before = counts.before == 0 ? 0 : groups.before << UInt128((8 - counts.before) * 16)
        return before | groups.after
    }

    private static func parseGroup(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> UInt32? {
        guard (1...4).contains(text.count) else { return nil }
        var value: UInt32 = 0
        for byte in text {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt32(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt32(byte - UInt8(ascii: "a") + 10)
            case UInt8(ascii: "A")...UInt8(ascii: "F"): value = value << 4 | UInt32(byte - UInt8(ascii: "A") + 10)
            default: return nil
            }
        }
        return value
    }

    /// A dotted quad, or the canonical form of RFC 5952.
    public var description: String {
        // Eight groups of four digits and seven colons.
        String(unsafeUninitializedCapacity: 39) { buffer in
            var writer = AddressWriter(buffer)
            switch family {
            case .ipv4: writer.writeIPv4(UInt32(truncatingIfNeeded: bits))
            case .ipv6: writer.writeIPv6(bits)
            }
            return writer.count
        }
    }
}

/// Writes addresses into a buffer that is large enough for any.
private struct AddressWriter {
    // Lent by `String(unsafeUninitializedCapacity:)` for as long as its closure runs.
    private let buffer: UnsafeMutableBufferPointer<UInt8>
    private(set) var count = 0

    init(_ buffer: UnsafeMutableBufferPointer<UInt8>) {
        self.buffer = buffer
    }

    private mutating func write(_ byte: UInt8) {
        buffer[count] = byte
        count += 1
    }

    mutating func writeIPv4(_ value: UInt32) {
        for index in 0..<4 {
            if index > 0 { write(UInt8(ascii: ".")) }
            let octet = UInt8(truncatingIfNeeded: value >> UInt32(24 - index * 8))
            if octet >= 100 { write(UInt8(ascii: "0") + octet / 100) }
            if octet >= 10 { write(UInt8(ascii: "0") + octet / 10 % 10) }
            write(UInt8(ascii: "0") + octet % 10)
        }
    }

    mutating func writeIPv6(_ value: UInt128) {
        func group(_ index: Int) -> UInt16 { UInt16(truncatingIfNeeded: value >> UInt128(112 - index * 16)) }
        // The first of the longest runs of two or more zero groups becomes "::" (RFC 5952 §4.2).
        var gap = 0..<0
        var start = 0
        while start < 8 {
            var end = start
            while end < 8, group(end) == 0 { end += 1 }
            if end - start > max(gap.count, 1) { gap = start..<end }
            start = max(end, start + 1)
        }
        var index = 0
        while index < 8 {
            if index == gap.lowerBound, !gap.isEmpty {
                write(UInt8(ascii: ":"))
                write(UInt8(ascii: ":"))
                index = gap.upperBound
                continue
            }
            if index > 0, index != gap.upperBound || gap.isEmpty { write(UInt8(ascii: ":")) }
            writeHex(group(index))
            index += 1
        }
    }

    private mutating func writeHex(_ group: UInt16) {
        let digits: StaticString = "0123456789abcdef"
        var shift: UInt16 = 12
        while shift > 0, group >> shift == 0 { shift -= 4 }
        while true {
            write(digits.utf8Start[Int(group >> shift & 0xF)])
            guard shift > 0 else { return }
            shift -= 4
        }
    }
}

/// Where a string's contents lie in the text, and whether they can be taken as they are.
struct JSONStringScan {
    /// Offsets of the bytes between the quotes.
    var start: Int
    var end: Int
    var forms: Forms

    /// The parts other than plain ASCII.
    struct Forms: OptionSet {
        let rawValue: UInt8
        static let escapes = Forms(rawValue: 1)
        /// Escapes of four digits, beside `escapes`.
        static let unicodeEscapes = Forms(rawValue: 2)
        static let multibytes = Forms(rawValue: 4)
    }

    var hasEscapes: Bool { forms.contains(.escapes) }
    var isASCII: Bool { forms.rawValue <= Forms.escapes.rawValue }

    func string(in text: UnsafeRawBufferPointer) throws(JSONError) -> String {
        guard hasEscapes else { return String(decoding: text[start..<end], as: UTF8.self) }
        return try unescaped(in: text)
    }

    /// Swift compares strings, and hashes them, in a time that grows as the square of the marks in a row (`e` with a
    /// thousand accents): a string of more than `maximumMarks` is refused. So many no language needs (Unicode's UAX #15,
    /// "Stream-Safe Text Format").
    func checkMarks(of string: String) throws(JSONError) {
        var marks = 0
        for scalar in string.unicodeScalars {
            marks = scalar.properties.canonicalCombiningClass == .notReordered ? 0 : marks + 1
            guard marks <= Self.maximumMarks else {
                throw JSONError(.type, at: start, "more than \(Self.maximumMarks) combining marks in a row")
            }
        }
    }

    /// Combining marks in a row.
    static let maximumMarks = 30

    /// The scan has checked each escape's form, so that only surrogates can still be wrong.
    private func unescaped(in text: UnsafeRawBufferPointer) throws(JSONError) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(end - start)
        var position = start
        while position < end {
            let byte = text[position]
            guard byte == UInt8(ascii: "\\") else {
                bytes.append(byte)
                position += 1
                continue
            }
            let escape = text[position + 1]
            position += 2
            switch escape {
            case UInt8(ascii: "b"): bytes.append(0x08)
            case UInt8(ascii: "f"): bytes.append(0x0C)
            case UInt8(ascii: "n"): bytes.append(0x0A)
            case UInt8(ascii: "r"): bytes.append(0x0D)
            case UInt8(ascii: "t"): bytes.append(0x09)
            case UInt8(ascii: "u"):
                let scalar = try unicodeEscape(in: text, &position)
                bytes.append(contentsOf: UTF8.encode(scalar)!)
            default: bytes.append(escape)  // the quote, both slashes
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Reads the four digits at `position`, and a second escape where the first is a high surrogate.
    private func unicodeEscape(
        in text: UnsafeRawBufferPointer, _ position: inout Int
    ) throws(JSONError) -> Unicode.Scalar {
        let first = Self.hexValue(in: text, at: position)
        position += 4
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard first < 0xDC00, position + 6 <= end, text[position] == UInt8(ascii: "\\"),
            text[position + 1] == UInt8(ascii: "u")
        else { throw JSONError(.syntax, at: position - 6, "half of a surrogate pair") }
        let second = Self.hexValue(in: text, at: position + 2)
        guard (0xDC00..<0xE000).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        else { throw JSONError(.syntax, at: position - 6, "half of a surrogate pair") }
        position += 6
        return scalar
    }

    private static func hexValue(in text: UnsafeRawBufferPointer, at position: Int) -> UInt32 {
        var value: UInt32 = 0
        for index in position..<position + 4 { value = value << 4 | UInt32(hexDigit(text[index]) ?? 0) }
        return value
    }

    static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

/// A member's name, compared in place: no `String` is made for the names that the reader knows.
public struct JSONKey {
    // Lives no longer than the reader that made it, whose bytes it points into.
    let text: UnsafeRawBufferPointer
    let scan: JSONStringScan

    public static func ~= (name: StaticString, key: JSONKey) -> Bool {
        key.matches(name)
    }

    @inline(__always)
    func matches(_ name: StaticString) -> Bool {
        if scan.hasEscapes { return equals(name.description) }
        return hasBytes(name.bytes)
    }

    /// Whether the bytes between the quotes are these. O(length).
    @inline(__always)
    private func hasBytes(_ name: UnsafeRawBufferPointer) -> Bool {
        UnsafeRawBufferPointer(rebasing: text[scan.start..<scan.end]).hasSameBytes(as: name)
    }

    /// Whether this is `name`, byte for byte. O(length of `name`).
    func equals(_ name: String) -> Bool {
        guard scan.hasEscapes else {
            var name = name
            return name.withUTF8 { hasBytes(UnsafeRawBufferPointer($0)) }
        }
        // An escape takes six bytes where it makes the fewest: one.
        return scan.end - scan.start <= 6 * name.utf8.count && name.utf8.elementsEqual(string.utf8)
    }

    /// The name as a string.
    public var string: String {
        // The scan has decoded each escape once already, so that it can't fail here.
        (try? scan.string(in: text)) ?? ""
    }

    /// Its bytes, where these stand for themselves.
    var plainBytes: UnsafeRawBufferPointer? {
        scan.hasEscapes ? nil : UnsafeRawBufferPointer(rebasing: text[scan.start..<scan.end])
    }

    /// The same between its quotes.
    var quotedBytes: UnsafeRawBufferPointer? {
        scan.hasEscapes ? nil : UnsafeRawBufferPointer(rebasing: text[(scan.start - 1)...scan.end])
    }

    /// Where the name starts in the text, for messages.
    public var offset: Int { scan.start }
}

/// The two tokens of JSON that take more than a look: strings and numbers.

/// Where a string's contents lie in the text, and whether they can be taken as they are.
struct JSONStringScan {
    /// Offsets of the bytes between the quotes.
    var start: Int
    var end: Int
    var forms: Forms

    /// What is not plain ASCII in it.
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

    /// The string where it may be one of the words that the envelope knows; nil where it is too long for any.
    func word(in text: UnsafeRawBufferPointer) throws(JSONError) -> String? {
        // By escapes each letter takes six bytes.
        end - start <= 200 ? try string(in: text) : nil
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

extension JSONReader {
    /// Passes over a string, opening quote first; checks escapes, control characters, surrogates and UTF-8.
    mutating func scanString() throws(JSONError) -> JSONStringScan {
        position += 1
        let start = position
        var forms = JSONStringScan.Forms(rawValue: 0)
        while true {
            position += PlainRun.length(text, from: position, inASCII: true)
            guard position < text.count else { throw syntax("the text ends inside a string") }
            let byte = text[position]
            switch byte {
            case UInt8(ascii: "\""):
                let scan = JSONStringScan(start: start, end: position, forms: forms)
                position += 1
                // Only escapes of four digits can hide half a surrogate pair; decoding them finds it.
                if forms.contains(.unicodeEscapes) { _ = try scan.string(in: text) }
                return scan
            case UInt8(ascii: "\\"):
                forms.formUnion(.escapes)
                if try scanEscape() { forms.formUnion(.unicodeEscapes) }
            case 0x00..<0x20: throw syntax("a control character in a string must be escaped")
            default:
                forms.formUnion(.multibytes)
                try scanMultibyte(byte)
            }
        }
    }

    /// Whether the escape is one of four digits.
    private mutating func scanEscape() throws(JSONError) -> Bool {
        guard position + 1 < text.count else { throw syntax("the text ends inside a string") }
        switch text[position + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            position += 2
            return false
        case UInt8(ascii: "u"):
            guard position + 6 <= text.count else { throw syntax("the text ends inside a string") }
            for index in position + 2..<position + 6 where JSONStringScan.hexDigit(text[index]) == nil {
                throw syntax("'\\u' must be followed by four hexadecimal digits")
            }
            position += 6
            return true
        default: throw syntax("unknown escape in a string")
        }
    }

    /// One UTF-8 sequence of two to four bytes: no overlong form, no surrogate, nothing past U+10FFFF (RFC 3629 §4).
    private mutating func scanMultibyte(_ lead: UInt8) throws(JSONError) {
        let length: Int
        var second: ClosedRange<UInt8> = 0x80...0xBF
        switch lead {
        case 0xC2...0xDF: length = 2
        case 0xE0: (length, second) = (3, 0xA0...0xBF)
        case 0xED: (length, second) = (3, 0x80...0x9F)
        case 0xE1...0xEF: length = 3
        case 0xF0: (length, second) = (4, 0x90...0xBF)
        case 0xF1...0xF3: length = 4
        case 0xF4: (length, second) = (4, 0x80...0x8F)
        default: throw syntax("the text is not UTF-8")
        }
        guard position + length <= text.count, second.contains(text[position + 1]) else {
            throw syntax("the text is not UTF-8")
        }
        for index in position + 2..<position + length where text[index] & 0xC0 != 0x80 {
            throw syntax("the text is not UTF-8")
        }
        position += length
    }

    /// Passes over a number of RFC 8259 §6: no leading zero, no leading plus, digits on both sides of a point.
    mutating func scanNumber() throws(JSONError) {
        if text[position] == UInt8(ascii: "-") { position += 1 }
        if position < text.count, text[position] == UInt8(ascii: "0") {
            position += 1
        } else {
            try scanDigits()
        }
        if position < text.count, text[position] == UInt8(ascii: ".") {
            position += 1
            try scanDigits()
        }
        if position < text.count, text[position] | 0x20 == UInt8(ascii: "e") {
            position += 1
            if position < text.count, text[position] == UInt8(ascii: "+") || text[position] == UInt8(ascii: "-") {
                position += 1
            }
            try scanDigits()
        }
    }

    private mutating func scanDigits() throws(JSONError) {
        let start = position
        while position < text.count, case UInt8(ascii: "0")...UInt8(ascii: "9") = text[position] { position += 1 }
        guard position > start else { throw syntax("expected a digit") }
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
        let count = scan.end - scan.start
        guard count == name.utf8CodeUnitCount else { return false }
        for index in 0..<count where text[scan.start + index] != name.utf8Start[index] { return false }
        return true
    }

    /// Whether this is `name`, byte for byte. O(length of `name`).
    func equals(_ name: String) -> Bool {
        guard scan.hasEscapes else { return name.utf8.elementsEqual(text[scan.start..<scan.end]) }
        // An escape takes six bytes where it makes the fewest: one.
        return scan.end - scan.start <= 6 * name.utf8.count && name.utf8.elementsEqual(string.utf8)
    }

    /// The name as a string.
    public var string: String {
        // The scan has decoded each escape once already, so that it can't fail here.
        (try? scan.string(in: text)) ?? ""
    }

    /// Where the name starts in the text, for messages.
    public var offset: Int { scan.start }
}

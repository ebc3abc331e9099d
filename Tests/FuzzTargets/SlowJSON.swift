/// Whether a text is JSON, rule by rule as RFC 8259 has them: slow and obvious, to hold the reader to. Beside the grammar: UTF-8
/// throughout, no half of a surrogate pair, no more than 64 levels.
struct SlowJSON {
    private var rest: ArraySlice<Unicode.Scalar>

    static func accepts(_ text: UnsafeRawBufferPointer) -> Bool {
        guard let string = String(validating: text, as: UTF8.self) else { return false }
        var twin = SlowJSON(rest: ArraySlice(string.unicodeScalars))
        return twin.value(64) && twin.rest.isEmpty
    }

    /// A value with the white space around it.
    private mutating func value(_ levels: Int) -> Bool {
        space()
        defer { space() }
        switch rest.first {
        case "{": return levels > 0 && container("}") { $0.member(levels - 1) }
        case "[": return levels > 0 && container("]") { $0.value(levels - 1) }
        case "\"": return string()
        case "t": return word("true")
        case "f": return word("false")
        case "n": return word("null")
        default: return number()
        }
    }

    private mutating func container(_ end: Unicode.Scalar, _ item: (inout SlowJSON) -> Bool) -> Bool {
        rest.removeFirst()
        space()
        if take(end) { return true }
        while item(&self) {
            if take(end) { return true }
            guard take(",") else { return false }
        }
        return false
    }

    private mutating func member(_ levels: Int) -> Bool {
        space()
        guard string() else { return false }
        space()
        return take(":") && value(levels)
    }

    private mutating func string() -> Bool {
        guard take("\"") else { return false }
        while let scalar = rest.popFirst() {
            switch scalar {
            case "\"": return true
            case "\\": guard escape() else { return false }
            case "\0"..<" ": return false
            default: break
            }
        }
        return false
    }

    private mutating func escape() -> Bool {
        guard let letter = rest.popFirst() else { return false }
        guard letter == "u" else { return "\"\\/bfnrt".unicodeScalars.contains(letter) }
        guard let unit = codeUnit() else { return false }
        guard UTF16.isLeadSurrogate(unit) else { return !UTF16.isTrailSurrogate(unit) }
        guard take("\\"), take("u"), let second = codeUnit() else { return false }
        return UTF16.isTrailSurrogate(second)
    }

    private mutating func codeUnit() -> UInt16? {
        let digits = rest.prefix(4)
        guard digits.count == 4, digits.allSatisfy({ $0.isASCII && $0.properties.isASCIIHexDigit }) else { return nil }
        rest.removeFirst(4)
        return UInt16(String(String.UnicodeScalarView(digits)), radix: 16)
    }

    private mutating func number() -> Bool {
        _ = take("-")
        guard take("0") || digits() else { return false }
        if take("."), !digits() { return false }
        if take("e") || take("E") {
            _ = take("+") || take("-")
            return digits()
        }
        return true
    }

    private mutating func digits() -> Bool {
        let found = rest.prefix { ("0"..."9").contains($0) }
        rest.removeFirst(found.count)
        return !found.isEmpty
    }

    private mutating func word(_ word: String) -> Bool { word.unicodeScalars.allSatisfy { take($0) } }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard rest.first == scalar else { return false }
        rest.removeFirst()
        return true
    }

    private mutating func space() { rest = rest.drop { " \t\n\r".unicodeScalars.contains($0) } }
}

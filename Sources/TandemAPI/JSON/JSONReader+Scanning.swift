/// The two tokens of JSON that take more than a look: strings and numbers.
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

import TandemAPI

/// How scalars are written so that every reader gets the same value: YAML 1.1's and 1.2's.
enum YAMLText {
    /// In bytes; YAML lets a name in front of `:` have 1,024 characters.
    static let longestSimpleName = 512

    static func name(_ name: String) -> String { isPlain(name) ? name : quoted(name) }

    /// `indent` is that of a block's lines.
    static func scalar(_ value: JSONValue, indent: Int) -> String {
        switch value {
        case .null: "null"
        case .bool(let flag): flag ? "true" : "false"
        case .number(let digits): digits
        case .string(let text):
            isPlain(text) ? text : isBlock(text) ? block(text, indent: max(2, indent)) : quoted(text)
        case .array: "[]"
        case .object: "{}"
        }
    }

    // MARK: Plain

    private static let words: Set<String> = [
        "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity",
    ]

    private static func isPlain(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard let first = bytes.first, let last = bytes.last, first.isAlphanumeric || first == UInt8(ascii: "/"),
            last != UInt8(ascii: " "), last != UInt8(ascii: ":")
        else { return false }
        for (byte, next) in zip(bytes, bytes.dropFirst() + [0]) {
            switch byte {
            case UInt8(ascii: ":"): if next == UInt8(ascii: " ") { return false }
            case UInt8(ascii: " "): if next == UInt8(ascii: "#") { return false }
            default: if !byte.isAlphanumeric, !punctuation.contains(byte) { return false }
            }
        }
        if first.isDigit { return !looksLikeNumber(bytes) }
        return bytes.count > 8 || !words.contains(text.lowercased())
    }

    private static let punctuation = Set("-_./@%+,;()[]{}=*&!?<>|~^$#\\".utf8)

    /// A number in some version of YAML or a date. Addresses are neither.
    private static func looksLikeNumber(_ bytes: [UInt8]) -> Bool {
        if bytes.count >= 5, bytes[..<4].allSatisfy(\.isDigit), bytes[4] == UInt8(ascii: "-") { return true }
        let isIPv6 = zip(bytes, bytes.dropFirst()).contains { $0 == UInt8(ascii: ":") && $1 == UInt8(ascii: ":") }
        let isIPv4 = bytes.count { $0 == UInt8(ascii: ".") } == 3
        return !isIPv6 && !isIPv4 && bytes.allSatisfy { $0.isDigit || numeric.contains($0) }
    }

    private static let numeric = Set("abcdefABCDEFxXoO_+-.:".utf8)

    // MARK: Lines

    /// Whether the text stands in a block as it is: lines of printable characters, the first of which is neither empty nor
    /// indented, and at most one line end behind the last one.
    private static func isBlock(_ text: String) -> Bool {
        guard let first = text.utf8.first, first != UInt8(ascii: " "), first != UInt8(ascii: "\n"),
            text.utf8.contains(UInt8(ascii: "\n")), !text.utf8.reversed().starts(with: "\n\n".utf8)
        else { return false }
        return text.unicodeScalars.allSatisfy { $0 == "\n" || isPrintable($0) }
    }

    private static func block(_ text: String, indent: Int) -> String {
        let margin = String(repeating: " ", count: indent)
        let endsLine = text.utf8.last == UInt8(ascii: "\n")
        let lines = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false)
            .dropLast(endsLine ? 1 : 0).map { $0.isEmpty ? "" : margin + String($0) }
        return (endsLine ? "|" : "|-") + "\n" + lines.joined(separator: "\n")
    }

    // MARK: Quoted

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case "\r": result += "\\r"
            case _ where isPrintable(scalar): result.unicodeScalars.append(scalar)
            default:
                let hex = String(scalar.value, radix: 16, uppercase: true)
                let (letter, count) = scalar.value > 0xFFFF ? ("U", 8) : ("u", 4)
                result += "\\" + letter + String(repeating: "0", count: count - hex.count) + hex
            }
        }
        return result + "\""
    }

    /// In YAML, and on a terminal.
    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x20...0x7E, 0xA0...0xD7FF, 0xE000...0xFFFD, 0x10000...0x10FFFF:
            !scalar.isHidden
        default: false
        }
    }
}

extension UInt8 {
    fileprivate var isDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }
    fileprivate var isAlphanumeric: Bool { isDigit || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self | 0x20) }
}

extension YAMLScalar {
    /// A longer scalar is a string, whatever it looks like. In bytes.
    private static let longestNumber = 4_096

    private static let words: [String: YAMLScalar] = {
        var words: [String: YAMLScalar] = ["": .null, "~": .null]
        for (value, names) in [
            (YAMLScalar.null, ["null"]), (.bool(true), ["y", "yes", "true", "on"]),
            (.bool(false), ["n", "no", "false", "off"]),
        ] {
            for name in names {
                let capitalised = name.prefix(1).uppercased() + name.dropFirst()
                for spelling in [name, capitalised, name.uppercased()] { words[spelling] = value }
            }
        }
        for inf in ["inf", "Inf", "INF"] {
            for sign in ["", "+"] { words["\(sign).\(inf)"] = .float(.infinity) }
            words["-.\(inf)"] = .float(-.infinity)
        }
        for nan in [".nan", ".NaN", ".NAN"] { words[nan] = .float(.nan) }
        return words
    }()

    /// The type of a scalar without quotes and tag, by go-yaml's second version.
    init(plain text: String) {
        let bytes = Array(text.utf8.prefix(Self.longestNumber + 1))
        // To hash a string takes the square of the combining marks that it has in a row.
        if bytes.count <= 5, let word = Self.words[text] {
            self = word
            return
        }
        self = bytes.count > Self.longestNumber ? .string(text) : Self.number(bytes) ?? .string(text)
    }

    private static func number(_ bytes: [UInt8]) -> YAMLScalar? {
        switch bytes.first {
        // Go's own rules, by which `_` stands between digits.
        case UInt8(ascii: "."): return bytes.hasDigitsAroundUnderscores ? float(bytes.withoutUnderscores) : nil
        case UInt8(ascii: "+"), UInt8(ascii: "-"): break
        case let first? where first.isDigit: break
        default: return nil
        }
        let plain = bytes.withoutUnderscores
        if let integer = integer(plain) { return integer }
        if let float = float(plain) { return float }
        // `0b+1`: an extension of go-yaml beyond Go.
        let (sign, rest) = plain.first == UInt8(ascii: "-") ? (plain[..<1], plain[1...]) : (plain[..<0], plain[...])
        guard rest.starts(with: "0b".utf8) else { return nil }
        return Int64(String(decoding: sign + rest.dropFirst(2), as: UTF8.self), radix: 2).map(YAMLScalar.int)
    }

    /// Go's `ParseInt` and `ParseUint` with base 0: the prefix says the base.
    private static func integer(_ bytes: [UInt8]) -> YAMLScalar? {
        let hasSign = bytes.first == UInt8(ascii: "+") || bytes.first == UInt8(ascii: "-")
        var digits = hasSign ? bytes.dropFirst() : bytes[...]
        var radix = 10
        if digits.first == UInt8(ascii: "0"), digits.count > 1 {
            switch digits.dropFirst().first.map({ $0 | 0x20 }) {
            case UInt8(ascii: "x"): radix = 16
            case UInt8(ascii: "o"): radix = 8
            case UInt8(ascii: "b"): radix = 2
            default: radix = 0
            }
            digits = radix == 0 ? digits.dropFirst() : digits.dropFirst(2)
            if radix == 0 { radix = 8 }
        }
        // Swift takes another sign here.
        guard let first = digits.first, first != UInt8(ascii: "+"), first != UInt8(ascii: "-") else { return nil }
        let text = String(decoding: digits, as: UTF8.self)
        let sign = bytes.first == UInt8(ascii: "-") ? "-" : ""
        if let number = Int64(sign + text, radix: radix) { return .int(number) }
        return hasSign ? nil : UInt64(text, radix: radix).map(YAMLScalar.uint)
    }

    /// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, if it has a value.
    private static func float(_ bytes: [UInt8]) -> YAMLScalar? {
        var rest = bytes[...]
        func digits() -> Int {
            let count = rest.prefix { $0.isDigit }.count
            rest = rest.dropFirst(count)
            return count
        }
        func skip(_ characters: Unicode.Scalar...) -> Bool {
            guard let first = rest.first, characters.contains(where: { $0.value == UInt32(first) }) else {
                return false
            }
            rest = rest.dropFirst()
            return true
        }
        _ = skip("+", "-")
        let whole = digits()
        if skip(".") {
            let fraction = digits()
            guard whole + fraction > 0 else { return nil }
        } else if whole == 0 {
            return nil
        }
        if skip("e", "E") {
            _ = skip("+", "-")
            guard digits() > 0 else { return nil }
        }
        guard rest.isEmpty, let number = Double(String(decoding: bytes, as: UTF8.self)), number.isFinite else {
            return nil
        }
        return .float(number)
    }
}

extension UInt8 {
    fileprivate var isDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }
}

extension [UInt8] {
    fileprivate var withoutUnderscores: [UInt8] { filter { $0 != UInt8(ascii: "_") } }

    fileprivate var hasDigitsAroundUnderscores: Bool {
        indices.allSatisfy { index in
            self[index] != UInt8(ascii: "_")
                || index > 0 && self[index - 1].isDigit && index + 1 < count && self[index + 1].isDigit
        }
    }
}

extension Unicode.Scalar {
    /// Whether a terminal acts on it rather than shows it: control characters of both sets, line ends of Unicode, and characters that change
    /// the direction in which text is read.
    public var isHidden: Bool {
        switch value {
        case 0...0x1F, 0x7F...0x9F, 0x61C, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x206F, 0xFEFF, 0xFFF9...0xFFFB:
            true
        default: false
        }
    }
}

extension String {
    /// For a line of a terminal or a log, whatever the text's source: hidden characters are written as JSON escapes them, `\n` or `\u001b`.
    /// JSON stays the JSON that it is. O(length).
    public var visible: String { escaping { $0.isHidden } }

    /// The same of a text whose lines are its own.
    public var visibleLines: String { escaping { $0 != "\n" && $0.isHidden } }

    private func escaping(_ isEscaped: (Unicode.Scalar) -> Bool) -> String {
        guard unicodeScalars.contains(where: isEscaped) else { return self }
        var result = String.UnicodeScalarView()
        for scalar in unicodeScalars {
            guard isEscaped(scalar) else {
                result.append(scalar)
                continue
            }
            switch scalar {
            case "\n": result.append(contentsOf: "\\n".unicodeScalars)
            case "\r": result.append(contentsOf: "\\r".unicodeScalars)
            case "\t": result.append(contentsOf: "\\t".unicodeScalars)
            default:
                let digits = String(scalar.value, radix: 16)
                let zeros = String(repeating: "0", count: 4 - digits.utf8.count)
                result.append(contentsOf: "\\u\(zeros)\(digits)".unicodeScalars)
            }
        }
        return String(result)
    }
}

extension [UInt8] {
    /// Compact JSON in which nothing is hidden. O(length).
    public var visibleJSON: [UInt8] {
        // The first bytes of hidden characters: most texts have none of them.
        guard contains(where: { [0x7F, 0xC2, 0xD8, 0xE2, 0xEF].contains($0) }) else { return self }
        return Array(String(decoding: self, as: UTF8.self).visible.utf8)
    }
}

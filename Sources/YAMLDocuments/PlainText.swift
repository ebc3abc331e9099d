/// The encodings of texts.
enum PlainText {
    /// The text as UTF-8, without a mark in front (U+FEFF): that of UTF-16 says so. Invalid Unicode is U+FFFD, for UTF-8 byte by
    /// byte. O(length).
    static func utf8(_ bytes: [UInt8]) -> [UInt8] {
        if bytes.starts(with: [0xFF, 0xFE]) { return utf16(bytes) { UInt16($0) | UInt16($1) << 8 } }
        if bytes.starts(with: [0xFE, 0xFF]) { return utf16(bytes) { UInt16($0) << 8 | UInt16($1) } }
        let bytes = bytes.starts(with: mark) ? Array(bytes.dropFirst(mark.count)) : bytes
        return repaired(bytes)
    }

    static let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
    private static let replacement: [UInt8] = [0xEF, 0xBF, 0xBD]

    private static func utf16(_ bytes: [UInt8], _ unit: (UInt8, UInt8) -> UInt16) -> [UInt8] {
        let units = stride(from: 2, to: bytes.count - 1, by: 2).map { unit(bytes[$0], bytes[$0 + 1]) }
        return Array(String(decoding: units, as: UTF16.self).utf8)
    }

    /// With U+FFFD for each byte that belongs to no character.
    static func repaired(_ bytes: [UInt8]) -> [UInt8] {
        guard String(validating: bytes, as: UTF8.self) == nil else { return bytes }
        var parser = Unicode.UTF8.ForwardParser()
        var input = bytes.makeIterator()
        var output: [UInt8] = []
        while true {
            switch parser.parseScalar(from: &input) {
            case .valid(let scalar): output += scalar
            case .error(let length): for _ in 0..<length { output += replacement }
            case .emptyInput: return output
            }
        }
    }
}

import TandemAPI

/// JSON documents one after another, with or without white space between.
enum JSONRow {
    /// nil where it is none. O(length).
    static func read(_ text: [UInt8]) -> [YAMLDocument]? {
        guard text.first(where: { !isSpace($0) }) == UInt8(ascii: "{") else { return nil }
        return text.withUnsafeBytes { buffer in
            var documents: [YAMLDocument] = []
            var (start, line) = (0, 1)
            while let next = buffer[start...].firstIndex(where: { !isSpace($0) }) {
                // A reader for each, as it says how deep it is from its start.
                var reader = JSONReader(UnsafeRawBufferPointer(rebasing: buffer[next...]), isLimited: false)
                guard let document = try? reader.readValue() else { return nil }
                line += lineEnds(buffer[start..<next])
                documents.append((document, line))
                start = next + reader.position
                line += lineEnds(buffer[next..<start])
            }
            return documents
        }
    }

    private static func lineEnds(_ text: Slice<UnsafeRawBufferPointer>) -> Int {
        text.lazy.filter { $0 == UInt8(ascii: "\n") }.count
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || (UInt8(ascii: "\t")...UInt8(ascii: "\r")).contains(byte)
    }
}

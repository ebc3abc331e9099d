import TandemAPI

/// JSON documents one after another, with or without white space between.
enum JSONRow {
    /// nil where it is none. O(length).
    static func read(_ text: [UInt8]) -> [JSONValue]? {
        guard text.first(where: { !isSpace($0) }) == UInt8(ascii: "{") else { return nil }
        return text.withUnsafeBytes { buffer in
            var documents: [JSONValue] = []
            var start = 0
            while let next = buffer[start...].firstIndex(where: { !isSpace($0) }) {
                // A reader for each, as it says how deep it is from its start.
                var reader = JSONReader(UnsafeRawBufferPointer(rebasing: buffer[next...]), isLimited: false)
                guard let document = try? reader.readValue() else { return nil }
                documents.append(document)
                start = next + reader.position
            }
            return documents
        }
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || (UInt8(ascii: "\t")...UInt8(ascii: "\r")).contains(byte)
    }
}

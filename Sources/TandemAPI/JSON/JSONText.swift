/// A JSON value kept as text: checked, compact (no white space between tokens, so no line break), never interpreted.
///
/// Members that address management does not use travel in this form, so that they come back exactly as they came.
public struct JSONText: Sendable, Hashable {
    public let bytes: [UInt8]

    /// The caller vouches that the bytes are one valid JSON value.
    public init(unchecked bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// Copies a valid JSON text without the white space between its tokens.
    init(compacting text: UnsafeRawBufferPointer) {
        guard text.contains(where: { $0 <= 0x20 || $0 == UInt8(ascii: "\"") }) else {
            // A number, or a word.
            bytes = Array(text)
            return
        }
        bytes = [UInt8](unsafeUninitializedCapacity: text.count) { buffer, count in
            var inString = false
            var position = 0
            count = 0
            while position < text.count {
                let byte = text[position]
                position += 1
                if !inString, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { continue }
                buffer[count] = byte
                count += 1
                if byte == UInt8(ascii: "\"") {
                    inString.toggle()
                } else if inString, byte == UInt8(ascii: "\\") {
                    // The text is valid, so that a byte follows.
                    buffer[count] = text[position]
                    count += 1
                    position += 1
                }
            }
        }
    }

    public static let `true` = JSONText(unchecked: Array("true".utf8))
    public static let emptyObject = JSONText(unchecked: Array("{}".utf8))
}

extension JSONText: CustomStringConvertible {
    public var description: String { String(decoding: bytes, as: UTF8.self) }
}

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
        guard Self.mayHaveWhitespace(text) else {
            bytes = Array(text)
            return
        }
        bytes = [UInt8](unsafeUninitializedCapacity: text.count) { buffer, count in
            count = 0
            Self.compact(text) { byte in
                buffer[count] = byte
                count += 1
            }
        }
    }

    /// Whether there may be white space between tokens; where there is none in strings either this is exact. O(length).
    static func mayHaveWhitespace(_ text: UnsafeRawBufferPointer) -> Bool {
        var index = 0
        while index &+ 8 <= text.count {
            // A byte of at most 0x20 has its high bit set once 0x21 is taken from it, and not before; a borrow from the byte below it only ever
            // says "may".
            let word = text.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            if (word &- 0x2121_2121_2121_2121) & ~word & 0x8080_8080_8080_8080 != 0 { return true }
            index &+= 8
        }
        while index < text.count {
            if text[index] <= 0x20 { return true }
            index &+= 1
        }
        return false
    }

    /// Calls `put` with each byte of a valid JSON text but the white space between its tokens. O(length).
    @inline(__always)
    static func compact(_ text: UnsafeRawBufferPointer, _ put: (UInt8) -> Void) {
        var inString = false
        var position = 0
        while position < text.count {
            let byte = text[position]
            position += 1
            if !inString, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { continue }
            put(byte)
            if byte == UInt8(ascii: "\"") {
                inString.toggle()
            } else if inString, byte == UInt8(ascii: "\\") {
                // The text is valid, so that a byte follows.
                put(text[position])
                position += 1
            }
        }
    }

    public static let `true` = JSONText(unchecked: Array("true".utf8))
    public static let emptyObject = JSONText(unchecked: Array("{}".utf8))
}

extension JSONText: CustomStringConvertible {
    public var description: String { String(decoding: bytes, as: UTF8.self) }
}

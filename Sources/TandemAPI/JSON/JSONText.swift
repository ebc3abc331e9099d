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

/// Members of an object that are kept as they came, in their order.
public struct JSONMembers: Sendable, Hashable {
    private var values = NamedValues<JSONText>()

    public init() {}

    public var members: [(name: String, value: JSONText)] { values.members }
    public var isEmpty: Bool { members.isEmpty }

    public subscript(name: String) -> JSONText? {
        get { values[name] }
        set { values[name] = newValue }
    }

    /// Puts the members in the order of their names. O(n log n).
    public mutating func sort() { values.sort() }

    /// Equal where they would be written the same.
    public static func == (left: Self, right: Self) -> Bool {
        left.members.count == right.members.count
            && zip(left.members, right.members).allSatisfy {
                NameBytes($0.name) == NameBytes($1.name) && $0.value == $1.value
            }
    }

    public func hash(into hasher: inout Hasher) {
        for (name, value) in members {
            hasher.combine(NameBytes(name))
            hasher.combine(value)
        }
    }

    /// Reads the value behind `key` and keeps it; a member that is null counts as absent, a repeated one replaces.
    mutating func keep(_ key: JSONKey, _ reader: inout JSONReader) throws(JSONError) {
        guard try !reader.skipNull() else { return }
        let value = try reader.readText()
        // Nothing more is kept of what is refused in any case.
        try reader.checkMembers()
        values[try reader.string(key.scan)] = value
    }
}

public import NIOCore

/// Bytes that are no message, or none that this client takes.
public struct ProtobufError: Error, Sendable, Hashable, CustomStringConvertible {
    /// A sentence without a full stop.
    public let description: String

    public init(_ description: String) { self.description = description }
}

/// Reads the fields of a message, in the order in which they were sent; whatever the bytes are, it ends or throws.
///
/// Each byte is read once. Values are slices of `bytes`, so that they keep the message in memory.
public struct ProtobufReader {
    public struct Field {
        public let number: Int
        let value: Value
    }

    enum Value {
        case varint(UInt64)
        case bytes(ByteBuffer)
        /// Eight or four bytes, which no message of etcd's API has.
        case fixed
    }

    /// Elements of one list.
    static let maximumElements = 1 << 16
    /// Messages in one another. Only a transaction can hold another of its kind.
    static let maximumDepth = 16

    private var bytes: ByteBuffer
    private let depth: Int

    public init(_ bytes: ByteBuffer) {
        self.init(bytes, depth: 1)
    }

    private init(_ bytes: ByteBuffer, depth: Int) {
        self.bytes = bytes
        self.depth = depth
    }

    /// The next field, of whatever number; nil behind the last.
    public mutating func next() throws(ProtobufError) -> Field? {
        guard bytes.readableBytes > 0 else { return nil }
        let tag = try varint()
        guard let number = Int(exactly: tag >> 3), 1..<1 << 29 ~= number else {
            throw ProtobufError("a field has a number that none can have")
        }
        switch tag & 7 {
        case 0: return Field(number: number, value: .varint(try varint()))
        case 1: return try fixed(number, 8)
        case 2: return Field(number: number, value: .bytes(try slice(try varint())))
        case 5: return try fixed(number, 4)
        default: throw ProtobufError("field \(number) has a form that is not in use")
        }
    }

    private mutating func fixed(_ number: Int, _ size: UInt64) throws(ProtobufError) -> Field {
        _ = try slice(size)
        return Field(number: number, value: .fixed)
    }

    private mutating func slice(_ length: UInt64) throws(ProtobufError) -> ByteBuffer {
        guard let length = Int(exactly: length), let slice = bytes.readSlice(length: length) else {
            throw ProtobufError("a field is longer than its message")
        }
        return slice
    }

    private mutating func varint() throws(ProtobufError) -> UInt64 {
        var result: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard let byte = bytes.readInteger(as: UInt8.self) else {
                throw ProtobufError("a number is cut off")
            }
            // Of a tenth byte one bit has a place.
            guard shift < 63 || byte <= 1 else { break }
            result |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return result }
        }
        throw ProtobufError("a number has more than 64 bits")
    }

    /// A reader for the message that a field holds.
    public func nested(_ field: Field) throws(ProtobufError) -> ProtobufReader {
        guard depth < Self.maximumDepth else {
            throw ProtobufError("more than \(Self.maximumDepth) messages are in one another")
        }
        return ProtobufReader(try field.bytes, depth: depth + 1)
    }

    /// Puts the message that a field holds behind the others of its list.
    public func append<Message: ProtobufMessage>(
        _ field: Field, to list: inout [Message]
    ) throws(ProtobufError) {
        guard list.count < Self.maximumElements else {
            throw ProtobufError("a list has more than \(Self.maximumElements) elements")
        }
        list.append(try Message(from: try nested(field)))
    }
}

/// A message that comes from a member.
public protocol ProtobufMessage: Sendable {
    /// Fields that it does not know are passed over. Of a field that comes twice the last one counts.
    init(from reader: ProtobufReader) throws(ProtobufError)
}

extension ProtobufReader.Field {
    public var integer: Int64 {
        get throws(ProtobufError) { Int64(bitPattern: try unsigned) }
    }

    public var unsigned: UInt64 {
        get throws(ProtobufError) {
            guard case .varint(let number) = value else { throw unexpected }
            return number
        }
    }

    public var bool: Bool {
        get throws(ProtobufError) { try unsigned != 0 }
    }

    public var bytes: ByteBuffer {
        get throws(ProtobufError) {
            guard case .bytes(let bytes) = value else { throw unexpected }
            return bytes
        }
    }

    /// Invalid UTF-8 is replaced.
    public var string: String {
        get throws(ProtobufError) { String(buffer: try bytes) }
    }

    private var unexpected: ProtobufError { ProtobufError("field \(number) has another form than it must have") }
}

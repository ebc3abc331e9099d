import NIOCore

/// Cuts a stream of bytes into gRPC's messages: a byte that says whether it is compressed, four with the length, and the
/// message.
struct GRPCMessageBuffer {
    enum Next {
        /// No whole message is here yet.
        case none
        /// A slice of the received bytes.
        case message(ByteBuffer)
        case tooLong(bytes: UInt32)
        /// Nothing that this client asked for can be compressed.
        case compressed
    }

    private static let prefixBytes = 5

    private let maximumBytes: Int
    private var buffer = ByteBuffer()

    init(maximumBytes: Int) {
        self.maximumBytes = maximumBytes
    }

    /// Nothing of a message that is not whole is left.
    var isEmpty: Bool { buffer.readableBytes == 0 }

    mutating func append(_ bytes: ByteBuffer) {
        if buffer.readableBytes == 0 {
            buffer = bytes
        } else {
            buffer.writeImmutableBuffer(bytes)
        }
    }

    mutating func next() -> Next {
        let start = buffer.readerIndex
        guard let flag = buffer.getInteger(at: start, as: UInt8.self) else { return .none }
        guard flag == 0 else { return .compressed }
        guard let length = buffer.getInteger(at: start + 1, as: UInt32.self) else { return .none }
        guard length <= maximumBytes else { return .tooLong(bytes: length) }
        guard buffer.readableBytes - Self.prefixBytes >= Int(length) else { return .none }
        buffer.moveReaderIndex(forwardBy: Self.prefixBytes)
        guard let message = buffer.readSlice(length: Int(length)) else { return .none }
        // A slice, so that the next bytes are not written after messages that are still in use, which would copy them.
        buffer = buffer.readableBytes == 0 ? ByteBuffer() : buffer.slice()
        return .message(message)
    }

    /// A message as it is sent.
    static func frame(_ body: (inout ProtobufWriter) -> Void) -> ByteBuffer {
        var prefix = ByteBuffer()
        prefix.writeRepeatingByte(0, count: prefixBytes)
        var writer = ProtobufWriter(prefix)
        body(&writer)
        var bytes = writer.bytes
        bytes.setInteger(UInt32(bytes.readableBytes - prefixBytes), at: 1)
        return bytes
    }
}

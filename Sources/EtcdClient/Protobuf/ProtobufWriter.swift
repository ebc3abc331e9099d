public import NIOCore

/// Writes the fields of a message. A number that is 0 and bytes that are none are left out, as they are the defaults of a reader.
public struct ProtobufWriter {
    public private(set) var bytes: ByteBuffer

    /// Appends to `bytes`.
    public init(_ bytes: ByteBuffer = ByteBuffer()) {
        self.bytes = bytes
    }

    public mutating func integer(_ field: Int, _ value: Int64) {
        guard value != 0 else { return }
        writtenInteger(field, value)
    }

    /// For a member of a oneof, which is written though it is 0.
    public mutating func writtenInteger(_ field: Int, _ value: Int64) {
        varint(UInt64(field) << 3)
        varint(UInt64(bitPattern: value))
    }

    public mutating func bool(_ field: Int, _ value: Bool) {
        integer(field, value ? 1 : 0)
    }

    public mutating func bytes(_ field: Int, _ value: ByteBuffer) {
        guard value.readableBytes > 0 else { return }
        writtenBytes(field, value)
    }

    /// For a member of a oneof, which is written though it is empty.
    public mutating func writtenBytes(_ field: Int, _ value: ByteBuffer) {
        varint(UInt64(field) << 3 | 2)
        varint(UInt64(value.readableBytes))
        bytes.writeImmutableBuffer(value)
    }

    public mutating func string(_ field: Int, _ value: String) {
        bytes(field, ByteBuffer(string: value))
    }

    /// Written though it is empty: that it is there says something. Its bytes are copied once more for each message around it.
    public mutating func message(_ field: Int, _ body: (inout ProtobufWriter) -> Void) {
        var inner = ProtobufWriter()
        body(&inner)
        writtenBytes(field, inner.bytes)
    }

    private mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.writeInteger(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.writeInteger(UInt8(rest))
    }
}

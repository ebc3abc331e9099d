public import NIOCore

/// A key as it is stored. The buffers are slices of the message that they came in, and keep it in memory.
public struct KeyValue: ProtobufMessage, Hashable {
    public var key = ByteBuffer()
    /// The revision that made the key; 0 in the event of a deletion.
    public var createRevision: Int64 = 0
    /// The revision that changed it last.
    public var modRevision: Int64 = 0
    /// Counts the changes from the one that made it, which is 1; 0 in the event of a deletion.
    public var version: Int64 = 0
    public var value = ByteBuffer()
    /// 0 for none.
    public var lease: Int64 = 0

    public init() {}

    public init(from reader: ProtobufReader) throws(ProtobufError) {
        var reader = reader
        while let field = try reader.next() {
            switch field.number {
            case 1: key = try field.bytes
            case 2: createRevision = try field.integer
            case 3: modRevision = try field.integer
            case 4: version = try field.integer
            case 5: value = try field.bytes
            case 6: lease = try field.integer
            default: break
            }
        }
    }
}

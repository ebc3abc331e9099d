public import NIOCore

/// Reads keys.
public struct RangeRequest: EtcdRequest, Hashable {
    public static let method = GRPCMethod<RangeResponse>("/etcdserverpb.KV/Range")

    public var key: ByteBuffer
    /// The first key behind those that are read; empty for one key alone.
    public var rangeEnd: ByteBuffer
    /// How many keys at most; 0 for all.
    public var limit: Int64
    /// 0 for the newest.
    public var revision: Int64
    /// The member may answer from its own copy, which may be old, also where there is no leader.
    public var isSerializable: Bool
    public var isKeysOnly: Bool
    public var isCountOnly: Bool

    public init(
        _ key: ByteBuffer, to rangeEnd: ByteBuffer = ByteBuffer(), limit: Int64 = 0, revision: Int64 = 0,
        isSerializable: Bool = false, isKeysOnly: Bool = false, isCountOnly: Bool = false
    ) {
        self.key = key
        self.rangeEnd = rangeEnd
        self.limit = limit
        self.revision = revision
        self.isSerializable = isSerializable
        self.isKeysOnly = isKeysOnly
        self.isCountOnly = isCountOnly
    }

    public func encode(into writer: inout ProtobufWriter) {
        writer.bytes(1, key)
        writer.bytes(2, rangeEnd)
        writer.integer(3, limit)
        writer.integer(4, revision)
        writer.bool(7, isSerializable)
        writer.bool(8, isKeysOnly)
        writer.bool(9, isCountOnly)
    }
}

public struct RangeResponse: EtcdResponse, Hashable {
    public var header = ResponseHeader()
    /// In the order of the keys.
    public var keyValues: [KeyValue] = []
    /// The limit left some out.
    public var hasMore = false
    /// Of all keys in the range, also of those that the limit left out.
    public var count: Int64 = 0

    public init() {}

    public init(from reader: ProtobufReader) throws(ProtobufError) {
        var reader = reader
        while let field = try reader.next() {
            switch field.number {
            case 1: header = try ResponseHeader(from: try reader.nested(field))
            case 2: try reader.append(field, to: &keyValues)
            case 3: hasMore = try field.bool
            case 4: count = try field.integer
            default: break
            }
        }
    }
}

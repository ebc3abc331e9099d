public import NIOCore

/// Sets a key.
public struct PutRequest: EtcdRequest, Hashable {
    public static let method = GRPCMethod<PutResponse>("/etcdserverpb.KV/Put")

    public var key: ByteBuffer
    public var value: ByteBuffer
    /// The key goes when this lease is over; 0 for none.
    public var lease: Int64

    public init(_ key: ByteBuffer, _ value: ByteBuffer, lease: Int64 = 0) {
        self.key = key
        self.value = value
        self.lease = lease
    }

    public func encode(into writer: inout ProtobufWriter) {
        writer.bytes(1, key)
        writer.bytes(2, value)
        writer.integer(3, lease)
    }
}

public struct PutResponse: EtcdResponse, Hashable {
    public var header = ResponseHeader()

    public init(from reader: ProtobufReader) throws(ProtobufError) {
        header = try .first(of: reader)
    }
}

/// Deletes keys.
public struct DeleteRangeRequest: EtcdRequest, Hashable {
    public static let method = GRPCMethod<DeleteRangeResponse>("/etcdserverpb.KV/DeleteRange")

    public var key: ByteBuffer
    /// The first key behind those that go; empty for one key alone.
    public var rangeEnd: ByteBuffer

    public init(_ key: ByteBuffer, to rangeEnd: ByteBuffer = ByteBuffer()) {
        self.key = key
        self.rangeEnd = rangeEnd
    }

    public func encode(into writer: inout ProtobufWriter) {
        writer.bytes(1, key)
        writer.bytes(2, rangeEnd)
    }
}

public struct DeleteRangeResponse: EtcdResponse, Hashable {
    public var header = ResponseHeader()
    /// How many keys went.
    public var deleted: Int64 = 0

    public init(from reader: ProtobufReader) throws(ProtobufError) {
        var reader = reader
        while let field = try reader.next() {
            switch field.number {
            case 1: header = try ResponseHeader(from: try reader.nested(field))
            case 2: deleted = try field.integer
            default: break
            }
        }
    }
}

extension ResponseHeader {
    /// Of an answer that has nothing else that is wanted.
    static func first(of reader: ProtobufReader) throws(ProtobufError) -> ResponseHeader {
        var reader = reader
        var header = ResponseHeader()
        while let field = try reader.next() {
            if field.number == 1 { header = try ResponseHeader(from: try reader.nested(field)) }
        }
        return header
    }
}

public import NIOCore

/// Asks to be told of every change of some keys.
public struct WatchRequest: Sendable, Hashable {
    static let path = "/etcdserverpb.Watch/Watch"

    public var key: ByteBuffer
    /// The first key behind those that are watched; empty for one key alone.
    public var rangeEnd: ByteBuffer
    /// The first revision to be told of; 0 for the one after the watch has begun.
    public var startRevision: Int64

    public init(_ key: ByteBuffer, to rangeEnd: ByteBuffer = ByteBuffer(), startRevision: Int64 = 0) {
        self.key = key
        self.rangeEnd = rangeEnd
        self.startRevision = startRevision
    }

    func encode(into writer: inout ProtobufWriter) {
        writer.message(1) { create in
            create.bytes(1, key)
            create.bytes(2, rangeEnd)
            create.integer(3, startRevision)
            // A member splits an answer that is larger than a request may be; without this, one message could exceed our limit.
            create.bool(8, true)
        }
    }
}

/// A change of a key.
public struct WatchEvent: ProtobufMessage, Hashable {
    public var isDeletion = false
    /// Of a deletion key and `modRevision` alone.
    public var keyValue = KeyValue()

    public init() {}

    public init(from reader: ProtobufReader) throws(ProtobufError) {
        var reader = reader
        while let field = try reader.next() {
            switch field.number {
            case 1: isDeletion = try field.integer == 1
            case 2: keyValue = try KeyValue(from: try reader.nested(field))
            default: break
            }
        }
    }
}

package struct WatchResponse: EtcdResponse, Hashable {
    package var header = ResponseHeader()
    var isCreated = false
    var isCancelled = false
    var compactRevision: Int64 = 0
    var cancelReason = ""
    /// More of the same revision is to come.
    var isFragment = false
    var events: [WatchEvent] = []

    init() {}

    package init(from reader: ProtobufReader) throws(ProtobufError) {
        var reader = reader
        while let field = try reader.next() {
            switch field.number {
            case 1: header = try ResponseHeader(from: try reader.nested(field))
            case 3: isCreated = try field.bool
            case 4: isCancelled = try field.bool
            case 5: compactRevision = try field.integer
            case 6: cancelReason = try field.string
            case 7: isFragment = try field.bool
            case 11: try reader.append(field, to: &events)
            default: break
            }
        }
    }
}

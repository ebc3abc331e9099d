public import NIOCore

/// One of two lists of operations, by whether all comparisons hold; the operations as one change at one revision.
///
/// etcd takes at most 128 comparisons and 128 operations on a path through transactions that lie in one another, and no key
/// twice among the puts and deletions.
public struct TxnRequest: EtcdRequest, Hashable {
    public static let method = GRPCMethod<TxnResponse>("/etcdserverpb.KV/Txn")

    public var compare: [Compare]
    public var success: [RequestOperation]
    public var failure: [RequestOperation]

    public init(compare: [Compare] = [], success: [RequestOperation], failure: [RequestOperation] = []) {
        self.compare = compare
        self.success = success
        self.failure = failure
    }

    public func encode(into writer: inout ProtobufWriter) {
        for comparison in compare { writer.message(1, comparison.encode) }
        for operation in success { writer.message(2, operation.encode) }
        for operation in failure { writer.message(3, operation.encode) }
    }
}

/// A condition on a key, or on all keys of a range; revisions and version of a missing key are 0.
public struct Compare: Sendable, Hashable {
    public enum Result: Int64, Sendable {
        case equal = 0
        case greater = 1
        case less = 2
        case notEqual = 3
    }

    public enum Target: Sendable, Hashable {
        case version(Int64)
        case createRevision(Int64)
        case modRevision(Int64)
        /// Holds for no key that is not there.
        case value(ByteBuffer)
    }

    public var key: ByteBuffer
    /// The first key behind those that are compared; empty for one key alone.
    public var rangeEnd: ByteBuffer
    public var result: Result
    public var target: Target

    public init(
        _ key: ByteBuffer, to rangeEnd: ByteBuffer = ByteBuffer(), is result: Result = .equal, _ target: Target
    ) {
        self.key = key
        self.rangeEnd = rangeEnd
        self.result = result
        self.target = target
    }

    func encode(into writer: inout ProtobufWriter) {
        writer.integer(1, result.rawValue)
        switch target {
        case .version(let version):
            writer.bytes(3, key)
            writer.writtenInteger(4, version)
        case .createRevision(let revision):
            writer.integer(2, 1)
            writer.bytes(3, key)
            writer.writtenInteger(5, revision)
        case .modRevision(let revision):
            writer.integer(2, 2)
            writer.bytes(3, key)
            writer.writtenInteger(6, revision)
        case .value(let value):
            writer.integer(2, 3)
            writer.bytes(3, key)
            writer.writtenBytes(7, value)
        }
        writer.bytes(64, rangeEnd)
    }
}

public indirect enum RequestOperation: Sendable, Hashable {
    case range(RangeRequest)
    case put(PutRequest)
    case delete(DeleteRangeRequest)
    case txn(TxnRequest)

    func encode(into writer: inout ProtobufWriter) {
        switch self {
        case .range(let request): writer.message(1, request.encode)
        case .put(let request): writer.message(2, request.encode)
        case .delete(let request): writer.message(3, request.encode)
        case .txn(let request): writer.message(4, request.encode)
        }
    }
}

public struct TxnResponse: EtcdResponse, Hashable {
    public var header = ResponseHeader()
    /// Whether all comparisons held.
    public var isSucceeded = false
    /// One for each operation that was carried out, in their order.
    public var responses: [ResponseOperation] = []

    public init() {}

    public init(from reader: ProtobufReader) throws(ProtobufError) {
        var reader = reader
        while let field = try reader.next() {
            switch field.number {
            case 1: header = try ResponseHeader(from: try reader.nested(field))
            case 2: isSucceeded = try field.bool
            case 3: try reader.append(field, to: &responses)
            default: break
            }
        }
    }
}

public indirect enum ResponseOperation: ProtobufMessage, Hashable {
    case range(RangeResponse)
    case put(PutResponse)
    case delete(DeleteRangeResponse)
    case txn(TxnResponse)

    public init(from reader: ProtobufReader) throws(ProtobufError) {
        var reader = reader
        var found: ResponseOperation?
        while let field = try reader.next() {
            switch field.number {
            case 1: found = .range(try RangeResponse(from: try reader.nested(field)))
            case 2: found = .put(try PutResponse(from: try reader.nested(field)))
            case 3: found = .delete(try DeleteRangeResponse(from: try reader.nested(field)))
            case 4: found = .txn(try TxnResponse(from: try reader.nested(field)))
            default: break
            }
        }
        guard let found else { throw ProtobufError("the answer to an operation has none of the known kinds") }
        self = found
    }
}

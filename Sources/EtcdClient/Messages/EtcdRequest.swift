/// A request of etcd's API that has one answer.
public protocol EtcdRequest: Sendable {
    associatedtype Response: EtcdResponse

    static var method: GRPCMethod<Response> { get }

    func encode(into writer: inout ProtobufWriter)
}

/// An answer, which says by which cluster and at which revision it was given.
public protocol EtcdResponse: ProtobufMessage {
    var header: ResponseHeader { get }
}

/// Where an answer is from.
public struct ResponseHeader: ProtobufMessage, Hashable {
    public var clusterID: UInt64 = 0
    public var memberID: UInt64 = 0
    /// Of the store, when the request was carried out.
    public var revision: Int64 = 0
    public var raftTerm: UInt64 = 0

    public init() {}

    public init(from reader: ProtobufReader) throws(ProtobufError) {
        var reader = reader
        while let field = try reader.next() {
            switch field.number {
            case 1: clusterID = try field.unsigned
            case 2: memberID = try field.unsigned
            case 3: revision = try field.integer
            case 4: raftTerm = try field.unsigned
            default: break
            }
        }
    }
}

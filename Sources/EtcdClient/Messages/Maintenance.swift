/// Compacts the revisions before one, for all users of the cluster.
public struct CompactionRequest: EtcdRequest, Hashable {
    public static let method = GRPCMethod<CompactionResponse>("/etcdserverpb.KV/Compact")

    public var revision: Int64

    public init(revision: Int64) { self.revision = revision }

    public func encode(into writer: inout ProtobufWriter) {
        writer.integer(1, revision)
    }
}

public struct CompactionResponse: EtcdResponse, Hashable {
    public var header = ResponseHeader()

    public init(from reader: ProtobufReader) throws(ProtobufError) {
        header = try .first(of: reader)
    }
}

/// Asks the member how it is.
public struct StatusRequest: EtcdRequest, Hashable {
    public static let method = GRPCMethod<StatusResponse>("/etcdserverpb.Maintenance/Status")

    public init() {}

    public func encode(into writer: inout ProtobufWriter) {}
}

public struct StatusResponse: EtcdResponse, Hashable {
    public var header = ResponseHeader()
    /// As `3.5.1`.
    public var version = ""
    /// The database's file.
    public var databaseBytes: Int64 = 0
    /// The leader's member ID; 0 where the member knows of none.
    public var leader: UInt64 = 0
    public var errors: [String] = []
    /// The part of the file that is in use.
    public var databaseBytesInUse: Int64 = 0

    /// Errors past these are left out.
    private static let maximumErrors = 64

    public init(from reader: ProtobufReader) throws(ProtobufError) {
        var reader = reader
        while let field = try reader.next() {
            switch field.number {
            case 1: header = try ResponseHeader(from: try reader.nested(field))
            case 2: version = try field.string
            case 3: databaseBytes = try field.integer
            case 4: leader = try field.unsigned
            case 8: if errors.count < Self.maximumErrors { errors.append(try field.string) }
            case 9: databaseBytesInUse = try field.integer
            default: break
            }
        }
    }
}

/// Exchanges a password for a token.
struct AuthenticateRequest: EtcdRequest {
    static let method = GRPCMethod<AuthenticateResponse>("/etcdserverpb.Auth/Authenticate")

    var name: String
    var password: String

    func encode(into writer: inout ProtobufWriter) {
        writer.string(1, name)
        writer.string(2, password)
    }
}

struct AuthenticateResponse: EtcdResponse {
    var header = ResponseHeader()
    var token = ""

    init(from reader: ProtobufReader) throws(ProtobufError) {
        var reader = reader
        while let field = try reader.next() {
            switch field.number {
            case 1: header = try ResponseHeader(from: try reader.nested(field))
            case 2: token = try field.string
            default: break
            }
        }
    }
}

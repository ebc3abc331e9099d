/// Makes a lease: time for the keys that are put under it, which go when it is over.
public struct LeaseGrantRequest: EtcdRequest, Hashable {
    public static let method = GRPCMethod<LeaseGrantResponse>("/etcdserverpb.Lease/LeaseGrant")

    /// In seconds. etcd takes no less than a few of its election timeouts; the answer has the effective time.
    public var timeToLive: Int64
    /// 0 lets etcd choose.
    public var id: Int64

    public init(timeToLive: Int64, id: Int64 = 0) {
        self.timeToLive = timeToLive
        self.id = id
    }

    public func encode(into writer: inout ProtobufWriter) {
        writer.integer(1, timeToLive)
        writer.integer(2, id)
    }
}

public struct LeaseGrantResponse: EtcdResponse, Hashable {
    public var header = ResponseHeader()
    public var id: Int64 = 0
    /// In seconds.
    public var timeToLive: Int64 = 0

    public init(from reader: ProtobufReader) throws(ProtobufError) {
        (header, id, timeToLive) = try reader.lease()
    }
}

/// Gives a lease its whole time again.
///
/// etcd's method takes a stream of these; one stream for each keeps every one of them to its own deadline, and lets it go to
/// another member.
public struct LeaseKeepAliveRequest: EtcdRequest, Hashable {
    public static let method = GRPCMethod<LeaseKeepAliveResponse>("/etcdserverpb.Lease/LeaseKeepAlive")

    public var id: Int64

    public init(id: Int64) { self.id = id }

    public func encode(into writer: inout ProtobufWriter) {
        writer.integer(1, id)
    }
}

public struct LeaseKeepAliveResponse: EtcdResponse, Hashable {
    public var header = ResponseHeader()
    public var id: Int64 = 0
    /// In seconds; 0 where the lease is over.
    public var timeToLive: Int64 = 0

    public init(from reader: ProtobufReader) throws(ProtobufError) {
        (header, id, timeToLive) = try reader.lease()
    }
}

/// Ends a lease: its keys go.
public struct LeaseRevokeRequest: EtcdRequest, Hashable {
    public static let method = GRPCMethod<LeaseRevokeResponse>("/etcdserverpb.Lease/LeaseRevoke")

    public var id: Int64

    public init(id: Int64) { self.id = id }

    public func encode(into writer: inout ProtobufWriter) {
        writer.integer(1, id)
    }
}

public struct LeaseRevokeResponse: EtcdResponse, Hashable {
    public var header = ResponseHeader()

    public init(from reader: ProtobufReader) throws(ProtobufError) {
        header = try .first(of: reader)
    }
}

extension ProtobufReader {
    /// Answers about leases are alike.
    fileprivate func lease() throws(ProtobufError) -> (ResponseHeader, id: Int64, timeToLive: Int64) {
        var reader = self
        var found: (ResponseHeader, id: Int64, timeToLive: Int64) = (ResponseHeader(), 0, 0)
        while let field = try reader.next() {
            switch field.number {
            case 1: found.0 = try ResponseHeader(from: try reader.nested(field))
            case 2: found.id = try field.integer
            case 3: found.timeToLive = try field.integer
            default: break
            }
        }
        return found
    }
}

public import OpenSSLTLS

/// Where a server is, whom to trust, and who this client is.
public struct ClientConfiguration: Sendable {
    /// A host name or an IP address; the server's certificate must be made out to it.
    public var host: String
    public var port: Int
    public var caFile: String
    /// The client's certificate; nil for calls that need none.
    public var identity: TLSIdentity?

    public init(host: String, port: Int, caFile: String, identity: TLSIdentity? = nil) {
        self.host = host
        self.port = port
        self.caFile = caFile
        self.identity = identity
    }
}

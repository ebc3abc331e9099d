public import NIOCore
public import OpenSSLTLS
public import TandemAPI

/// The servers' addresses, the trusted authorities, and this client's identity.
public struct ClientConfiguration: Sendable {
    /// Servers of one range, any of which answers any call, in the order in which they are tried; at least one. Each one's
    /// certificate must be made out to its own host.
    public var servers: [ServerAddress]
    public var caFile: String
    /// The client's certificate; nil for calls that need none.
    public var identity: TLSIdentity?
    /// The longest that an answer to a call is waited for, and, of 10 s at most, a connection.
    public var callTimeout = TimeAmount.seconds(60)
    /// Whether a single server that is lost is come back to, and a call sent to it again, as it is with several: until the call's time is
    /// up. For programs that live long; one that makes a few calls would rather hear at once.
    public var comesBack = true
    /// Told of each line that is sent or comes, as `> 127.0.0.1:8443 {…}`; of `GET`s their first line and status. On an event loop:
    /// it must not block for long.
    public var trace: (@Sendable (String) -> Void)?

    public init(servers: [ServerAddress], caFile: String, identity: TLSIdentity? = nil) {
        self.servers = servers
        self.caFile = caFile
        self.identity = identity
    }

    /// One server: a host name or an IP address, and a port.
    public init(host: String, port: Int, caFile: String, identity: TLSIdentity? = nil) {
        self.init(servers: [ServerAddress(host: host, port: port)], caFile: caFile, identity: identity)
    }

    /// For connections to that server. Throws `TLSError` where one of the files can't be used. Blocks while they are read.
    public func tlsContext(for server: ServerAddress, _ applicationProtocol: String) throws(TLSError) -> TLSContext {
        try TLSContext(
            client: TLSClientConfiguration(
                caFile: caFile, identity: identity, serverName: server.host,
                applicationProtocols: [applicationProtocol]))
    }

    /// Each server's part of the time for all of them.
    func share(of time: TimeAmount) -> TimeAmount { .nanoseconds(time.nanoseconds / Int64(servers.count)) }

    /// The answer of the first reachable server; a `ClientError` leads to the next one, and the last error has the failures of all
    /// of them.
    func first<Answer>(_ ask: (ServerAddress) async throws -> Answer) async throws -> Answer {
        var failures = Failures()
        for server in servers {
            do {
                return try await ask(server)
            } catch let error as ClientError {
                failures.note("\(server)", error)
            }
        }
        throw failures.error
    }
}

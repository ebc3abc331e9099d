public import NIOCore
import NIOPosix
import OpenSSLTLS
public import TandemAPI

/// A connection to a server, or to one of several over the same range: JSON-RPC over the stream of lines, any number of calls
/// at a time. Thread-safe.
///
/// A call whose server is lost, is silent for 5 s (or half of the call's time) or answers UNAVAILABLE is sent to the next one of several,
/// or to the one there is, and so round, with pauses of 50 to 500 ms, until the call's time is up. It may so be done twice, of which the
/// second finds the result of the first. Where the configuration says that a single server is not come back to, nothing is sent again, and
/// a connection that is lost stays so.
public final class TandemClient: Sendable {
    private let loop: any EventLoop
    private let failover: NIOLoopBound<Failover>
    private let callTimeout: TimeAmount

    /// Connects to the first server that shakes hands; takes at most twice `timeout`, by default 10 s or the time of a call. Without a group, that of the process.
    /// Throws `ClientError`, or `TLSError` where one of the files can't be used.
    public static func connect(
        _ configuration: ClientConfiguration, on group: (any EventLoopGroup)? = nil, timeout: TimeAmount? = nil
    ) async throws -> TandemClient {
        precondition(!configuration.servers.isEmpty, "a client needs a server")
        let timeout = timeout ?? min(.seconds(10), configuration.callTimeout)
        var contexts: [String: TLSContext] = [:]
        for server in configuration.servers where contexts[server.host] == nil {
            contexts[server.host] = try configuration.tlsContext(for: server, "jsonrpc")
        }
        let loop = (group ?? MultiThreadedEventLoopGroup.singleton).next()
        let client = try await loop.submit { [contexts] in
            let wire = Failover.Wire(
                lookUp: { server, done in lookUp(server, on: loop, timeout: timeout, done) },
                open: { peer, done in
                    ServerConnection.open(
                        peer, contexts[peer.host]!, on: loop, timeout: timeout, trace: configuration.trace, done)
                })
            let failover = Failover(configuration.servers, on: loop, wire, comesBack: configuration.comesBack)
            return TandemClient(loop, NIOLoopBound(failover, eventLoop: loop), configuration.callTimeout)
        }.get()
        try await loop.flatSubmit { client.failover.value.connect() }.get()
        return client
    }

    private init(_ loop: any EventLoop, _ failover: NIOLoopBound<Failover>, _ callTimeout: TimeAmount) {
        self.callTimeout = callTimeout
        self.loop = loop
        self.failover = failover
    }

    /// The system's way to look a name up blocks, so that it has a thread of its own; it is not waited for beyond `timeout`.
    private static func lookUp(
        _ server: ServerAddress, on loop: any EventLoop, timeout: TimeAmount,
        _ done: @escaping (Result<[PeerAddress], any Error>) -> Void
    ) {
        if let peer = PeerAddress(ipAddress: server.host, port: server.port) { return done(.success([peer])) }
        let found = loop.makePromise(of: [PeerAddress].self)
        let timer = loop.scheduleTask(in: timeout) {
            found.fail(ClientError.notReached("\(server)", "its name was not looked up in time"))
        }
        NIOThreadPool.singleton.runIfActive(eventLoop: loop) {
            do throws(PeerAddress.NotFound) {
                return try PeerAddress.all(of: server.host, port: server.port)
            } catch {
                throw ClientError.notReached("\(server)", "\(error)", cause: error)
            }
        }.cascade(to: found)
        found.futureResult.assumeIsolated().whenComplete { result in
            timer.cancel()
            done(result)
        }
    }

    /// Sends one call and waits for its answer: the value of `result`.
    ///
    /// Throws `APIError` where the server refuses it, else `ClientError`; of several servers, with the last failure of each.
    /// `timeout`, by default the configuration's, is the client's own: the server does not know of it, unless `params` has a `timeoutMs`.
    public func call(
        _ method: Method, _ params: JSONValue = [:], timeout: TimeAmount? = nil
    ) async throws -> JSONValue {
        let timeout = timeout ?? callTimeout
        return try await loop.flatSubmit { self.failover.value.call(method, params, timeout: timeout) }.get()
    }

    /// The same of several calls as one JSON-RPC batch, in their order: of at most 1,000 calls and 1 MiB, which the server refuses past
    /// that. It runs them side by side; each succeeds or fails alone.
    public func batch(
        _ calls: [(method: Method, params: JSONValue)], timeout: TimeAmount? = nil
    ) async throws -> [Result<JSONValue, any Error>] {
        guard !calls.isEmpty else { return [] }
        let timeout = timeout ?? callTimeout
        return try await loop.flatSubmit {
            EventLoopFuture.whenAllComplete(self.failover.value.batch(calls, timeout: timeout), on: self.loop)
        }.get()
    }

    /// A call of `Watch`, whose notifications go to the feed.
    func begin(_ params: JSONValue, _ feed: WatchFeed) async throws -> JSONValue {
        try await loop.flatSubmit { self.failover.value.watch(params, feed, timeout: self.callTimeout) }.get()
    }

    /// nil where nothing more comes of it, or nothing came for so long.
    func next(of feed: WatchFeed, within time: TimeAmount) async -> JSONValue? {
        let timer = loop.scheduleTask(in: time) { feed.end() }
        defer { timer.cancel() }
        return await feed.next()
    }

    /// Ends the connection in an orderly way; calls in flight have no answer.
    public func close() async {
        try? await loop.flatSubmit { self.failover.value.close() }.get()
    }
}

public import NIOCore
import NIOPosix
import OpenSSLTLS
public import TandemAPI

/// One connection to a server: JSON-RPC over the stream of lines, any number of calls at a time. Thread-safe.
///
/// It does not come back by itself once it is lost: connect again, and repeat what had no answer.
public final class TandemClient: Sendable {
    private let channel: any Channel
    private let calls: NIOLoopBound<AnswerHandler>

    /// Connects and shakes hands; takes at most `timeout` for each. Without a group, that of the process. Throws
    /// `ClientError`, or `TLSError` where one of the files can't be used.
    public static func connect(
        _ configuration: ClientConfiguration, on group: (any EventLoopGroup)? = nil, timeout: TimeAmount = .seconds(10)
    ) async throws -> TandemClient {
        let tls = try TLSContext(
            client: TLSClientConfiguration(
                caFile: configuration.caFile, identity: configuration.identity, serverName: configuration.host,
                applicationProtocols: ["jsonrpc"]))
        let bootstrap = ClientBootstrap(group: group ?? MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(timeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let ready = channel.eventLoop.makePromise(of: Void.self)
                    try channel.pipeline.syncOperations.addHandlers([
                        TLSHandler(context: tls, handshakeTimeout: timeout), AnswerHandler(ready: ready),
                    ])
                }
            }
        do {
            let channel = try await bootstrap.connect(host: configuration.host, port: configuration.port).get()
            let calls = try await channel.eventLoop.submit {
                NIOLoopBound(
                    try channel.pipeline.syncOperations.handler(type: AnswerHandler.self), eventLoop: channel.eventLoop)
            }.get()
            try await channel.eventLoop.flatSubmit { calls.value.ready.futureResult }.get()
            return TandemClient(channel, calls)
        } catch let error as ClientError {
            throw error
        } catch {
            throw ClientError.notReached(configuration, cause: error)
        }
    }

    private init(_ channel: any Channel, _ calls: NIOLoopBound<AnswerHandler>) {
        self.channel = channel
        self.calls = calls
    }

    /// Sends one call and waits for its answer: the value of `result`.
    ///
    /// Throws `APIError` where the server refuses it, else `ClientError`. `timeout` is the client's own: the server does
    /// not know of it, unless `params` has a `timeoutMs`.
    public func call(
        _ method: Method, _ params: JSONValue = [:], timeout: TimeAmount = .seconds(60)
    ) async throws -> JSONValue {
        let answer = channel.eventLoop.flatSubmit {
            self.calls.value.send(method.rawValue, params, timeout: timeout)
        }
        let message = try await answer.get()
        if let error = message["error"] { throw try APIError(decoding: error) }
        guard let result = message["result"] else {
            throw ClientError.malformedAnswer("it has neither result nor error")
        }
        return result
    }

    /// Ends the connection in an orderly way; calls under way have no answer.
    public func close() async {
        try? await channel.close().get()
    }
}

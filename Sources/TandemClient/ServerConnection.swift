import NIOCore
import NIOPosix
import OpenSSLTLS
import TandemAPI

/// One connection to one server: JSON-RPC over the stream of lines. On its event loop alone.
final class ServerConnection: CallConnection {
    let peer: PeerAddress
    private let channel: any Channel
    private let calls: AnswerHandler

    private init(_ peer: PeerAddress, _ channel: any Channel) throws {
        self.peer = peer
        self.channel = channel
        calls = try channel.pipeline.syncOperations.handler(type: AnswerHandler.self)
    }

    /// Connects and shakes hands, with `timeout` for each.
    static func open(
        _ peer: PeerAddress, _ tls: TLSContext, on loop: any EventLoop, timeout: TimeAmount,
        trace: (@Sendable (String) -> Void)?, _ done: @escaping (Result<any CallConnection, any Error>) -> Void
    ) {
        let bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(timeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let ready = channel.eventLoop.makePromise(of: Void.self)
                    try channel.pipeline.syncOperations.addHandlers([
                        TLSHandler(context: tls, handshakeTimeout: timeout),
                        AnswerHandler(
                            ready: ready,
                            trace: trace.map { trace in { trace("\($0) \(peer) \(String(buffer: $1))") } }),
                    ])
                }
            }
        bootstrap.connect(to: peer.address).assumeIsolated().whenComplete { result in
            do {
                let connection = try ServerConnection(peer, result.get())
                connection.calls.ready.futureResult.assumeIsolated().whenComplete { ready in
                    done(
                        ready.map { connection }.mapError { error in
                            // Nothing was sent yet.
                            let cause = (error as? ClientError)?.cause as? TLSError
                            return cause.flatMap { $0.isRefusal ? ClientError.notReached("\(peer)", cause: $0) : nil }
                                ?? error
                        })
                }
            } catch {
                done(.failure(ClientError.notReached("\(peer)", cause: error)))
            }
        }
    }

    func send(
        _ calls: [(method: TandemAPI.Method, params: JSONValue)], timeout: TimeAmount,
        _ answer: @escaping (Int, Result<JSONValue, any Error>) -> Void
    ) {
        let answers = self.calls.send(calls.map { ($0.method.rawValue, $0.params) }, timeout: timeout)
        for (index, future) in answers.enumerated() {
            future.assumeIsolated().whenComplete { answer(index, $0) }
        }
    }

    func subscribe(_ name: String, _ feed: WatchFeed) { calls.subscribe(name, feed) }

    var isOpen: Bool { calls.isOpen }

    func retire() { calls.retire() }

    func close() -> EventLoopFuture<Void> { channel.close() }
}

import NIOCore
import NIOHPACK
import NIOHTTP2
import NIOPosix
import OpenSSLTLS
import TestSupport

@testable import EtcdClient

/// A member of the test's own: HTTP/2 on a free port of loopback, which treats each call as the test says.
final class FakeMember: Sendable {
    typealias Answer = @Sendable (Call) -> Void

    /// A call that has come in whole, or a watch with its first message. On the connection's event loop.
    struct Call {
        let path: String
        let headers: HPACKHeaders
        let message: ByteBuffer
        /// Which of the member's connections it came by, from 1.
        let connection: Int
        let stream: any Channel

        func send(_ headers: [(String, String)], endsStream: Bool = false) {
            stream.writeAndFlush(
                HTTP2Frame.FramePayload.headers(.init(headers: HPACKHeaders(headers), endStream: endsStream)),
                promise: nil)
        }

        func send(_ bytes: ByteBuffer, endsStream: Bool = false) {
            stream.writeAndFlush(
                HTTP2Frame.FramePayload.data(.init(data: .byteBuffer(bytes), endStream: endsStream)), promise: nil)
        }

        func begin() { send([(":status", "200"), ("content-type", "application/grpc")]) }

        func end(_ status: Int = 0, _ message: String = "") {
            send([("grpc-status", "\(status)"), ("grpc-message", message)], endsStream: true)
        }

        /// A whole answer to a call.
        func answer(_ body: (inout ProtobufWriter) -> Void) {
            begin()
            send(GRPCMessageBuffer.frame(body))
            end()
        }

        /// An answer with a header alone.
        func answer(cluster: UInt64 = 1, revision: Int64 = 1) {
            answer { $0.header(cluster: cluster, revision: revision) }
        }

        func refuse(_ status: Int, _ message: String) {
            send(
                [
                    (":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "\(status)"),
                    ("grpc-message", message),
                ], endsStream: true)
        }

        /// Takes a watch up.
        func beginWatch() {
            begin()
            send(
                GRPCMessageBuffer.frame {
                    $0.header(revision: 1)
                    $0.bool(3, true)
                })
        }

        func reset(_ code: HTTP2ErrorCode) {
            stream.writeAndFlush(HTTP2Frame.FramePayload.rstStream(code), promise: nil)
        }

        /// Sends a frame of the connection's own.
        func control(_ payload: HTTP2Frame.FramePayload) {
            // Proof: parent and stream have one event loop, which this is on.
            stream.parent?.writeAndFlush(HTTP2Frame(streamID: .rootStream, payload: payload), promise: nil)
        }

        func closeConnection() { stream.parent?.close(promise: nil) }
    }

    private let listener: any Channel
    let url: String
    private let accepted: Noted<Int>
    var connections: Int { accepted.all.count }
    /// The names of the certificates that clients showed; nil for none.
    let clients = Noted<String?>()

    init(tls: TLSContext? = nil, host: String = "127.0.0.1", answer: @escaping Answer) async throws {
        let (accepted, clients) = (Noted<Int>(), clients)
        self.accepted = accepted
        listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    accepted.add(1)
                    let number = accepted.all.count
                    if let tls { try channel.pipeline.syncOperations.addHandler(TLSHandler(context: tls)) }
                    try Self.install(in: channel, number, answer)
                    try channel.pipeline.syncOperations.addHandler(NotingHandshakes(clients))
                }
            }
            .bind(host: host, port: 0).get()
        url = "\(tls == nil ? "http" : "https")://\(host):\(listener.localAddress?.port ?? 0)"
    }

    /// A member's side of a connection.
    static func install(in channel: any Channel, _ number: Int, _ answer: @escaping Answer) throws {
        var settings = NIOHTTP2Handler.ConnectionConfiguration()
        settings.controlFrameRateLimit.maximumCount = 1_000_000
        _ = try channel.pipeline.syncOperations.configureHTTP2Pipeline(
            mode: .server, connectionConfiguration: settings, streamConfiguration: .init()
        ) { stream in
            stream.eventLoop.makeCompletedFuture {
                try stream.pipeline.syncOperations.addHandler(CallHandler(number, answer))
            }
        }
        try channel.pipeline.syncOperations.addHandler(Ignoring())
    }

    func close() async throws { try await listener.close() }
}

/// Gathers a call's first message and hands it to the test.
private final class CallHandler: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame.FramePayload

    private let connection: Int
    private let answer: FakeMember.Answer
    private var headers = HPACKHeaders()
    private var messages = GRPCMessageBuffer(maximumBytes: 1 << 24)

    init(_ connection: Int, _ answer: @escaping FakeMember.Answer) {
        self.connection = connection
        self.answer = answer
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch Self.unwrapInboundIn(data) {
        case .headers(let frame): headers = frame.headers
        case .data(let frame):
            guard case .byteBuffer(let bytes) = frame.data else { return }
            messages.append(bytes)
            guard case .message(let message) = messages.next() else { return }
            answer(
                FakeMember.Call(
                    path: headers.first(name: ":path") ?? "", headers: headers, message: message,
                    connection: connection,
                    stream: context.channel))
        default: break
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}

/// The end of a server's pipeline: failures there are the test's purpose.
private final class Ignoring: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

private final class NotingHandshakes: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame

    private let clients: Noted<String?>

    init(_ clients: Noted<String?>) { self.clients = clients }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let handshake = event as? TLSHandshakeCompleted { clients.add(handshake.peerCertificate?.commonName) }
    }
}

extension ProtobufWriter {
    mutating func header(cluster: UInt64 = 1, revision: Int64) {
        message(1) {
            $0.integer(1, Int64(bitPattern: cluster))
            $0.integer(3, revision)
        }
    }
}

extension EtcdClient {
    /// A client of these members, which gives them time enough on a busy machine.
    convenience init(of members: FakeMember..., changing change: (inout EtcdConfiguration) -> Void = { _ in }) throws {
        var configuration = try EtcdConfiguration(servers: members.map(\.url).joined(separator: ","))
        configuration.connectTimeout = .seconds(60)
        change(&configuration)
        self.init(configuration)
    }

    func result<Request: EtcdRequest>(
        _ request: Request, within timeout: TimeAmount = .seconds(60)
    ) async -> Result<Request.Response, EtcdError> {
        await withCheckedContinuation { continuation in
            call(request, deadline: .now() + timeout) { continuation.resume(returning: $0) }
        }
    }

    func callAsFunction<Request: EtcdRequest>(
        _ request: Request, within timeout: TimeAmount = .seconds(60)
    ) async throws -> Request.Response {
        try await result(request, within: timeout).get()
    }

    func error<Request: EtcdRequest>(
        _ request: Request, within timeout: TimeAmount = .seconds(60)
    ) async throws -> EtcdError {
        switch await result(request, within: timeout) {
        case .success(let response): throw Unexpected(description: "\(response)")
        case .failure(let error): return error
        }
    }

    struct Unexpected: Error, CustomStringConvertible {
        var description: String
    }

    /// The updates of a watch, and the watch.
    func updates(
        _ request: WatchRequest, within timeout: TimeAmount = .seconds(60)
    ) -> (stream: AsyncStream<WatchUpdate>, watch: EtcdWatch) {
        let (stream, continuation) = AsyncStream<WatchUpdate>.makeStream()
        let watch = watch(request, deadline: .now() + timeout) { update in
            continuation.yield(update)
            if case .ended = update { continuation.finish() }
        }
        return (stream, watch)
    }
}

extension AsyncStream<WatchUpdate>.Iterator {
    /// The next revision that changed something, with the keys.
    mutating func changed() async throws -> (revision: Int64, keys: [String]) {
        guard case .changed(let revision, let events)? = await next() else {
            throw EtcdClient.Unexpected(description: "no change")
        }
        return (revision, events.map { String(buffer: $0.keyValue.key) })
    }

    mutating func began() async throws -> EtcdConnectionID {
        let update = await next()
        guard case .began(_, let connection)? = update else {
            throw EtcdClient.Unexpected(description: "\(String(describing: update))")
        }
        return connection
    }

    mutating func ended() async throws -> EtcdError {
        let update = await next()
        guard case .ended(let error)? = update else {
            throw EtcdClient.Unexpected(description: "\(String(describing: update))")
        }
        return error
    }
}

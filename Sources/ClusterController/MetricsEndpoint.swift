import NIOCore
import NIOHTTP1
import NIOPosix

/// `GET /metrics`, `/healthz` and `/readyz` over plain HTTP, for Prometheus and for probes. Thread-safe.
public struct MetricsEndpoint: Sendable {
    private let channel: any Channel

    /// The port that is listened on.
    public var port: Int { channel.localAddress?.port ?? 0 }

    /// Listens on a host and a port, 0 for any. Throws where that can't be done.
    public static func start(host: String, port: Int, _ metrics: ControllerMetrics) async throws -> MetricsEndpoint {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 64)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: true)
                    try channel.pipeline.syncOperations.addHandlers([
                        IdleStateHandler(allTimeout: .seconds(60)), Handler(metrics),
                    ])
                }
            }
            .bind(host: host, port: port).get()
        return MetricsEndpoint(channel: channel)
    }

    public func stop() async { try? await channel.close() }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart

        private let metrics: ControllerMetrics
        private var head: HTTPRequestHead?

        init(_ metrics: ControllerMetrics) { self.metrics = metrics }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch Self.unwrapInboundIn(data) {
            case .head(let head): self.head = head
            // No request here has a body.
            case .body: context.close(promise: nil)
            case .end:
                guard let head else { return }
                self.head = nil
                answer(head, context)
            }
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if event is IdleStateHandler.IdleStateEvent { context.close(promise: nil) }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

        private func answer(_ request: HTTPRequestHead, _ context: ChannelHandlerContext) {
            let (status, text): (HTTPResponseStatus, String)
            let isRead = request.method == .GET || request.method == .HEAD
            switch request.uri.split(separator: "?").first.map(String.init) ?? "" {
            case "/metrics" where isRead: (status, text) = (.ok, metrics.text)
            // One that stands by is as well as one that leads.
            case "/healthz" where isRead, "/livez" where isRead, "/readyz" where isRead: (status, text) = (.ok, "ok\n")
            case "/metrics", "/healthz", "/livez", "/readyz":
                (status, text) = (.methodNotAllowed, "only GET and HEAD\n")
            default: (status, text) = (.notFound, "not found; there are /metrics and /healthz\n")
            }
            let body = ByteBuffer(string: text)
            var headers = HTTPHeaders([
                ("Content-Type", "text/plain; version=0.0.4; charset=utf-8"),
                ("Content-Length", String(body.readableBytes)),
            ])
            if status == .methodNotAllowed { headers.add(name: "Allow", value: "GET, HEAD") }
            if !request.isKeepAlive { headers.add(name: "Connection", value: "close") }
            let head = HTTPResponseHead(version: request.version, status: status, headers: headers)
            context.write(Self.wrapOutboundOut(.head(head)), promise: nil)
            if request.method != .HEAD { context.write(Self.wrapOutboundOut(.body(.byteBuffer(body))), promise: nil) }
            let written = context.writeAndFlush(Self.wrapOutboundOut(.end(nil)))
            if !request.isKeepAlive { written.assumeIsolated().whenComplete { _ in context.close(promise: nil) } }
        }
    }
}

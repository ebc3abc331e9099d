import NIOCore
import NIOHPACK
import NIOHTTP2
import OpenSSLTLS

/// One connection to a member, from the first byte to its loss: the last handler of its channel, on its event loop alone.
final class MemberConnection: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    let id: EtcdConnectionID
    private let member: EtcdMember
    private let configuration: EtcdConfiguration
    /// The member has said that it is there.
    private let onReady: (MemberConnection) -> Void
    /// Called once, also where it never was ready.
    private let onLost: (MemberConnection, String) -> Void

    private var context: ChannelHandlerContext?
    private var multiplexer: NIOHTTP2Handler.StreamMultiplexer?
    private var isReady = false
    private var isLost = false
    /// How often something came, whatever it was.
    private(set) var reads = 0
    /// Streams so far. A connection has numbers for 2^30; at the end of them HTTP/2's implementation traps.
    private(set) var begunStreams = 0
    private var openStreams = 0
    private var keepAlive: Scheduled<Void>?
    /// A ping has no answer yet.
    private var isPinging = false

    static let maximumStreams = 1 << 29

    init(
        _ id: EtcdConnectionID, _ member: EtcdMember, _ configuration: EtcdConfiguration,
        onReady: @escaping (MemberConnection) -> Void, onLost: @escaping (MemberConnection, String) -> Void
    ) {
        self.id = id
        self.member = member
        self.configuration = configuration
        self.onReady = onReady
        self.onLost = onLost
    }

    /// Puts everything that the connection needs into a channel's pipeline.
    func install(in channel: any Channel, _ tls: TLSContext?) throws {
        let pipeline = channel.pipeline.syncOperations
        if let tls {
            try pipeline.addHandler(TLSHandler(context: tls, handshakeTimeout: configuration.connectTimeout))
        }
        multiplexer = try pipeline.configureHTTP2Pipeline(
            mode: .client, connectionConfiguration: Self.connectionSettings, streamConfiguration: Self.streamSettings
        ) { pushed in pushed.close() }
        try pipeline.addHandler(self)
        // It was given up while the channel came into being.
        if isLost { channel.close(promise: nil) }
    }

    private static let streamWindowBytes = 4 << 20

    private static let connectionSettings = {
        var settings = NIOHTTP2Handler.ConnectionConfiguration()
        settings.initialSettings = [
            HTTP2Setting(parameter: .enablePush, value: 0),
            HTTP2Setting(parameter: .initialWindowSize, value: streamWindowBytes),
            HTTP2Setting(parameter: .maxHeaderListSize, value: 16 << 10),
        ]
        settings.targetWindowSize = 2 * streamWindowBytes
        // Without TLS a member sends pings with its data, to measure the bytes in flight; 200 in 30 seconds would be the end.
        settings.controlFrameRateLimit.maximumCount = 1_000_000
        return settings
    }()

    private static let streamSettings = {
        var settings = NIOHTTP2Handler.StreamConfiguration()
        settings.targetWindowSize = streamWindowBytes
        // A member that refuses a call may reset its stream, and a caller may be refused as often as it calls.
        settings.streamResetFrameRateLimit.maximumCount = 1_000_000
        settings.streamErrorRateLimit.maximumCount = 1_000_000
        return settings
    }()

    // MARK: Streams

    /// Begins a stream and sends its first message. `onOutput` may be called before this returns.
    func begin(
        _ path: String, _ message: ByteBuffer, token: String?, timeout: TimeAmount?, isWatch: Bool,
        onOutput: @escaping (GRPCStream.Output) -> Void
    ) -> GRPCStreamHandler {
        begunStreams += 1
        openStreams += 1
        let handler = GRPCStreamHandler(maximumMessageBytes: configuration.maximumMessageBytes) { [weak self] output in
            if case .end = output { self?.openStreams -= 1 }
            onOutput(output)
        }
        guard let context, let multiplexer, !isLost else {
            handler.abort(Self.notSent)
            return handler
        }
        let headers = headers(path, token: token, timeout: timeout, isWatch: isWatch)
        let bound = NIOLoopBound(handler, eventLoop: context.eventLoop)
        multiplexer.createStreamChannel { stream in
            stream.eventLoop.makeCompletedFuture { try stream.pipeline.syncOperations.addHandler(bound.value) }
        }.assumeIsolated().whenComplete { result in
            switch result {
            // A stream that comes into being on a channel that is closed is told of no end.
            case .success where self.isLost: handler.abort(Self.notSent)
            case .success: handler.send(headers, message, keepOpen: isWatch)
            case .failure: handler.abort(Self.notSent)
            }
        }
        scheduleKeepAlive(context)
        return handler
    }

    private static let notSent = EtcdError(
        .unavailable, "the connection to the member was lost before the call was sent", mayHaveBeenApplied: false)

    private func headers(_ path: String, token: String?, timeout: TimeAmount?, isWatch: Bool) -> HPACKHeaders {
        var headers = HPACKHeaders([
            (":method", "POST"), (":scheme", member.scheme), (":authority", member.authority), (":path", path),
            ("content-type", "application/grpc"), ("te", "trailers"), ("user-agent", "tandem"),
        ])
        if let timeout {
            // At most eight digits.
            let milliseconds = min(max(timeout.nanoseconds / 1_000_000, 1), 99_999_999)
            headers.add(name: "grpc-timeout", value: "\(milliseconds)m", indexing: .nonIndexable)
        }
        // Ends a watch at a member without a leader, which would be silent for ever.
        if isWatch { headers.add(name: "hasleader", value: "true") }
        if let token { headers.add(name: "token", value: token, indexing: .neverIndexed) }
        return headers
    }

    // MARK: Life

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        lose("it was closed")
        self.context = nil
        multiplexer = nil
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let handshake = event as? TLSHandshakeCompleted, handshake.applicationProtocol != "h2" {
            close("it does not speak HTTP/2")
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch Self.unwrapInboundIn(data).payload {
        case .settings(.settings) where !isReady && !isLost:
            isReady = true
            onReady(self)
        case .ping(_, ack: true) where isPinging:
            isPinging = false
            keepAlive?.cancel()
            keepAlive = nil
            scheduleKeepAlive(context)
        case .goAway(_, let code, _): close("it goes away (\(code))")
        default: break
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        reads &+= 1
        context.fireChannelReadComplete()
    }

    /// NIOHTTP2 leaves the channel open behind an error of the connection, silent for ever.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if error is NIOHTTP2Errors.StreamError { return }
        close("\(error)")
    }

    func channelInactive(context: ChannelHandlerContext) {
        lose("it closed the connection")
        context.fireChannelInactive()
    }

    /// Ends the connection and all that is on it.
    func close(_ why: String) {
        let context = context
        lose(why)
        context?.close(promise: nil)
    }

    private func lose(_ why: String) {
        guard !isLost else { return }
        isLost = true
        keepAlive?.cancel()
        keepAlive = nil
        onLost(self, why)
    }

    // MARK: Keep-alive

    /// Looks in a while whether something waits then; the clock is not wound up anew by each of thousands of calls a second.
    private func scheduleKeepAlive(_ context: ChannelHandlerContext) {
        guard keepAlive == nil, !isLost else { return }
        keepAlive = context.eventLoop.assumeIsolated().scheduleTask(in: configuration.keepAliveInterval) {
            self.keepAlive = nil
            if self.openStreams > 0 { self.ping(context) }
        }
    }

    private func ping(_ context: ChannelHandlerContext) {
        isPinging = true
        let ping = HTTP2Frame(streamID: .rootStream, payload: .ping(HTTP2PingData(), ack: false))
        context.writeAndFlush(Self.wrapOutboundOut(ping), promise: nil)
        keepAlive = context.eventLoop.assumeIsolated().scheduleTask(in: configuration.keepAliveTimeout) {
            self.keepAlive = nil
            self.close("it gives no sign of life")
        }
    }
}

import NIOCore
import NIOHTTP1
import OpenSSLTLS

/// One connection to the server: the last handler of its channel, on its event loop alone.
final class KubeConnection: ChannelDuplexHandler, ResponseSource {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundIn = Never
    typealias OutboundOut = HTTPClientRequestPart

    /// The receiver of its events.
    struct Owner {
        /// The handshake is done.
        var onReady: (KubeConnection) -> Void
        /// An answer is whole, and another request may be sent.
        var onIdle: (KubeConnection) -> Void
        /// Told once, also where it never was ready.
        var onLost: (KubeConnection, KubeError) -> Void
    }

    private var owner: Owner?
    private var context: ChannelHandlerContext?
    private var state = ConnectionState()
    private var exchange: Exchange?
    private var source: ResponseBody.Source?
    private var bodyDeadline: Scheduled<Void>?
    private var silence: Scheduled<Void>?
    private var lastHeard = NIODeadline.now()
    /// Of the request in flight.
    private var number = 0
    /// The reader has enough for now.
    private var isPaused = false
    private var wantsRead = false
    private var isReady = false
    private var loss: KubeError?
    /// When it was used last.
    private(set) var idleSince = NIODeadline.now()

    /// Unread bytes: each at most one read of the socket.
    private static let maximumChunks = 8

    /// Of several attempts to connect one gets an owner, which is told of earlier events.
    func attach(_ owner: Owner) {
        self.owner = owner
        if let loss { owner.onLost(self, loss) } else if isReady { owner.onReady(self) }
    }

    func install(in channel: any Channel, _ tls: TLSContext, handshakeTimeout: TimeAmount) throws {
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(TLSHandler(context: tls, handshakeTimeout: handshakeTimeout))
        try pipeline.addHTTPClientHandlers()
        try pipeline.addHandler(self)
    }

    // MARK: Requests

    /// False where the connection can't be used any more.
    func send(_ exchange: Exchange) -> Bool {
        guard let context, loss == nil, state.begin() else { return false }
        number += 1
        self.exchange = exchange
        exchange.onOver = { [weak self] error in self?.lose(error, closing: true) }
        context.write(Self.wrapOutboundOut(.head(exchange.head)), promise: nil)
        if let body = exchange.request.body {
            context.write(Self.wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        }
        context.writeAndFlush(Self.wrapOutboundOut(.end(nil)), promise: nil)
        return true
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = Self.unwrapInboundIn(data)
        switch state.receive(part) {
        case .tell(let status, let retryAfter): begin(status, retryAfter, context)
        case .pass:
            guard case .body(let bytes) = part, let source else { return }
            lastHeard = .now()
            if case .stopProducing = source.yield(bytes) { isPaused = true }
        case .end(let keepAlive): finish(keepAlive)
        case .close: lose(.malformed("the server said something that it was not asked"), closing: true)
        }
    }

    private func begin(_ status: Int, _ retryAfter: String?, _ context: ChannelHandlerContext) {
        guard let exchange else { return }
        let made = ResponseBody.makeSequence(
            elementType: ByteBuffer.self, failureType: (any Error).self,
            backPressureStrategy: .init(lowWatermark: 2, highWatermark: Self.maximumChunks), finishOnDeinit: true,
            delegate: ResponseBodyDelegate(self, number: number, context.eventLoop))
        source = made.source
        bodyDeadline = context.eventLoop.assumeIsolated().scheduleTask(in: exchange.bodyTimeout) { [weak self] in
            self?.lose(.noAnswer(mayHaveBeenApplied: true), closing: true)
        }
        lastHeard = .now()
        if let silence = exchange.silence { watchSilence(silence, context.eventLoop.assumeIsolated(), in: silence) }
        exchange.succeed(HTTPResponse(status: status, retryAfter: retryAfter, body: made.sequence))
    }

    /// Looks in a while; the clock is not wound up anew for each line.
    private func watchSilence(_ longest: TimeAmount, _ loop: NIOIsolatedEventLoop, in pause: TimeAmount) {
        silence = loop.scheduleTask(in: pause) { [weak self] in
            guard let self else { return }
            let left = lastHeard + longest - .now()
            if left > .zero { watchSilence(longest, loop, in: left) } else { lose(Self.silent, closing: true) }
        }
    }

    private static let silent = KubeError(.timedOut, "the watch told nothing for too long")

    private func finish(_ keepAlive: Bool) {
        bodyDeadline?.cancel()
        silence?.cancel()
        let source = source
        (self.source, exchange, isPaused) = (nil, nil, false)
        source?.finish()
        idleSince = .now()
        if keepAlive { owner?.onIdle(self) } else { lose(Self.closed, closing: true) }
    }

    // MARK: The reader's pace

    func read(context: ChannelHandlerContext) {
        if isPaused { wantsRead = true } else { context.read() }
    }

    func resume(_ number: Int) {
        guard number == self.number, isPaused else { return }
        isPaused = false
        guard wantsRead else { return }
        wantsRead = false
        context?.read()
    }

    /// The caller does not read the rest of an answer.
    func abandon(_ number: Int) {
        guard number == self.number, state.isInAnswer else { return }
        lose(.cancelled, closing: true)
    }

    // MARK: Life

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        lose(Self.closed, closing: false)
        self.context = nil
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is TLSHandshakeCompleted:
            isReady = true
            owner?.onReady(self)
        case ChannelEvent.inputClosed: lose(Self.closed, closing: true)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        lose(Self.closed(by: error, wasReady: isReady), closing: true)
    }

    func channelInactive(context: ChannelHandlerContext) {
        lose(Self.closed, closing: false)
        context.fireChannelInactive()
    }

    func close() { lose(.shutDown, closing: true) }

    private static let closed = closed("the server closed it")

    /// A handshake that failed leaves no doubt that nothing was sent.
    private static func closed(by error: any Error, wasReady: Bool) -> KubeError {
        wasReady ? closed("\(error)") : KubeError(.notReached, "can't reach the API server: \(error)")
    }

    private static func closed(_ why: String) -> KubeError {
        KubeError(.connectionLost, "the connection to the API server was lost: \(why)", mayHaveBeenApplied: true)
    }

    /// A request failed here perhaps only because the server had closed the connection by then.
    private(set) var wasStale = false

    private func lose(_ error: KubeError, closing: Bool) {
        guard loss == nil else { return }
        loss = error
        wasStale = state.isReused && state.isWaiting
        state.close()
        bodyDeadline?.cancel()
        silence?.cancel()
        let (source, context) = (source, context)
        (self.source, exchange) = (nil, nil)
        source?.finish(error)
        owner?.onLost(self, error)
        if closing { context?.close(promise: nil) }
    }
}

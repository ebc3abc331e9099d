import Logging
import Measures
import NIOCore
import OpenSSLTLS

/// Puts the handlers of one connection in place: TLS first, and the protocol of ALPN once the handshake is done.
struct ConnectionSetup: Sendable {
    let certificates: CertificateReload
    let limits: ConnectionLimits
    let service: RPCService
    let budget: BufferBudget
    /// For clients without a certificate: their unread answers take nothing from the others.
    let strangersBudget = BufferBudget(maximumBytes: 16 << 20)
    let pace: RefusalPace
    let queues = LoopQueues()
    let flows = ClientFlows()
    let operations: Operations
    let hubs: WatchHubs
    let connections: Connections
    /// The caller where no certificates are asked for.
    let anonymous: Identity?
    let failures: HandshakeFailures
    let logger: Logger

    /// On the connection's event loop.
    func install(on channel: any Channel) throws {
        let pipeline = channel.pipeline.syncOperations
        switch connections.admit(channel) {
        case .admitted: break
        case .refused: return try pipeline.addHandlers([LingeringClose(), RefusedConnection()])
        case .dropped: throw ChannelError.eof
        }
        try pipeline.addHandlers([LingeringClose(), PlainTextAnswer()])
        try pipeline.addHandler(TLSHandler(context: certificates.context, handshakeTimeout: limits.handshakeTimeout))
        try pipeline.addHandler(ProtocolChooser(setup: self))
    }

    fileprivate func install(_ handshake: TLSHandshakeCompleted, on channel: any Channel) throws {
        let identity = handshake.peerCertificate.flatMap(Identity.init) ?? anonymous
        connections.metrics.handshakes.add(handshake.isResumed ? .resumed : .full)
        let session = RPCSession(
            identity: identity, nameFault: handshake.peerCertificate?.nameFault, eventLoop: channel.eventLoop,
            peer: channel.remoteAddress, budget: identity == nil ? strangersBudget : budget,
            flow: flows.flow(of: identity), queue: queues.queue(of: channel.eventLoop))
        channel.closeFuture.whenComplete { _ in session.close() }
        connections.handshakeDone(channel, session, hasIdentities: anonymous == nil)
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(ProgressWatch(session, timeout: limits.idleTimeout(of: identity)))
        try pipeline.addHandler(OverloadPause(session, pace))
        try pipeline.addHandler(BackPressureHandler())
        switch handshake.applicationProtocol.flatMap(ApplicationProtocol.init) ?? .http {
        case .stream:
            try pipeline.addHandler(StreamHandler(service: service, session: session, hubs: hubs))
        case .http:
            try pipeline.addHandler(
                HTTPHandler(
                    service: service, session: session, operations: operations,
                    hub: hubs.hub(of: channel.eventLoop)))
        }
        try pipeline.addHandler(ConnectionErrors(logger: logger))
    }
}

/// Waits for the end of the handshake, then makes way for the agreed protocol.
private final class ProtocolChooser: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let setup: ConnectionSetup

    init(setup: ConnectionSetup) {
        self.setup = setup
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let handshake = event as? TLSHandshakeCompleted else {
            return context.fireUserInboundEventTriggered(event)
        }
        do {
            try setup.install(handshake, on: context.channel)
            // The event comes before any data, so that nothing can be waiting here.
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        } catch {
            context.fireErrorCaught(error)
            context.close(promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        setup.failures.note(error, from: context.remoteAddress)
        context.close(promise: nil)
    }
}

/// The end of the line for errors: a connection that failed is closed, and no other is affected.
private final class ConnectionErrors: ChannelInboundHandler {
    typealias InboundIn = NIOAny

    private let logger: Logger

    init(logger: Logger) {
        self.logger = logger
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        logger.debug("a connection failed", metadata: ["error": "\(error)"])
        context.close(promise: nil)
    }
}

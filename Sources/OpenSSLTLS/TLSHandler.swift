public import NIOCore

/// TLS for a channel, either side of it: ciphertext towards the socket, plaintext towards the rest of the pipeline.
///
/// Put it first. It fires `TLSHandshakeCompleted` before any data, `ChannelEvent.inputClosed` when the peer has said
/// that it sends no more, and `TLSError` when the connection failed, which it then closes. What is written before the
/// handshake is done waits for it; what is written between two flushes leaves in as few records as hold it. Closing
/// says so to the peer and waits for it to do likewise, but not for long.
///
/// One instance a channel; it runs on the channel's event loop and never blocks.
public final class TLSHandler: ChannelDuplexHandler {
    public typealias InboundIn = ByteBuffer
    public typealias InboundOut = ByteBuffer
    public typealias OutboundIn = ByteBuffer
    public typealias OutboundOut = ByteBuffer

    private enum State {
        case inactive
        case handshaking(TLSConnection)
        case open(TLSConnection)
        /// We have said that we are done; the peer has not.
        case closing(TLSConnection)
        case closed
    }

    /// For the peer to answer the end of the connection with its own.
    private static let closeTimeout = TimeAmount.seconds(2)

    private let tls: TLSContext
    private let handshakeTimeout: TimeAmount
    private var state = State.inactive
    private var timer: Scheduled<Void>?
    private var waiting = WaitingWrites()
    /// The peer has said that it sends no more.
    private var isInputClosed = false
    /// We have closed, and the time in which the peer may answer that runs.
    private var isAwaitingPeer = false
    private var closePromise: EventLoopPromise<Void>?

    public init(context: TLSContext, handshakeTimeout: TimeAmount = .seconds(10)) {
        tls = context
        self.handshakeTimeout = handshakeTimeout
    }

    // MARK: Life

    public func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { start(context) }
    }

    public func channelActive(context: ChannelHandlerContext) {
        start(context)
        context.fireChannelActive()
    }

    public func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        state = .closed
        waiting.fail(ChannelError.ioOnClosedChannel)
        closePromise?.succeed()
        closePromise = nil
    }

    private func start(_ context: ChannelHandlerContext) {
        guard case .inactive = state else { return }
        do throws(TLSError) {
            let connection = try TLSConnection(tls, allocator: context.channel.allocator)
            state = .handshaking(connection)
            schedule(context, after: handshakeTimeout) { handler, context in
                handler.fail(context, TLSError(.handshakeTimedOut, "the TLS handshake took too long"))
            }
            handshake(context, connection)
        } catch {
            fail(context, error)
        }
    }

    private func handshake(_ context: ChannelHandlerContext, _ connection: TLSConnection) {
        do throws(TLSError) {
            let step = try connection.handshake()
            send(context, connection)
            switch step {
            case .needsBytes: return
            case .peerIsDone: fail(context, Self.closedInHandshake)
            case .done:
                timer?.cancel()
                state = .open(connection)
                context.fireUserInboundEventTriggered(connection.agreement)
                if waiting.isFlushed { flush(context: context) }
            }
        } catch {
            // The alert that tells the peer why.
            send(context, connection)
            fail(context, error)
        }
    }

    public func channelInactive(context: ChannelHandlerContext) {
        switch state {
        case .handshaking: fail(context, Self.closedInHandshake)
        case .open where !isInputClosed:
            fail(context, TLSError(.truncated, "the connection closed without the peer having ended it"))
        default: break
        }
        timer?.cancel()
        state = .closed
        waiting.fail(ChannelError.ioOnClosedChannel)
        closePromise?.succeed()
        closePromise = nil
        context.fireChannelInactive()
    }

    private static let closedInHandshake = TLSError(
        .closedInHandshake, "the connection closed before the TLS handshake was done")

    /// Reports and closes, without a further word to the peer.
    private func fail(_ context: ChannelHandlerContext, _ error: TLSError) {
        timer?.cancel()
        state = .closed
        waiting.fail(error)
        context.fireErrorCaught(error)
        let promise = closePromise
        closePromise = nil
        context.close(mode: .all, promise: promise)
    }

    private func schedule(
        _ context: ChannelHandlerContext, after delay: TimeAmount,
        _ task: @escaping @Sendable (TLSHandler, ChannelHandlerContext) -> Void
    ) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: delay) { task(bound.value.0, bound.value.1) }
    }

    // MARK: Inbound

    public func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = Self.unwrapInboundIn(data)
        let size = bytes.readableBytes
        if case .handshaking(let connection) = state {
            connection.bio.receive(bytes)
            handshake(context, connection)
        } else {
            connection?.bio.receive(bytes)
        }
        decrypt(context, expecting: size)
    }

    public func channelReadComplete(context: ChannelHandlerContext) {
        context.fireChannelReadComplete()
        // What OpenSSL says of its own accord, such as the answer to a key update.
        if let connection { send(context, connection) }
    }

    private func decrypt(_ context: ChannelHandlerContext, expecting size: Int) {
        guard let connection else { return }
        // There is never more plaintext than there was ciphertext.
        var plaintext = context.channel.allocator.buffer(capacity: size)
        var step = TLSConnection.Step.done
        var failure: TLSError?
        do throws(TLSError) {
            step = try connection.read(into: &plaintext)
        } catch {
            failure = error
        }
        // When we are done, what the peer still says has no reader.
        if case .open = state, plaintext.readableBytes > 0 {
            context.fireChannelRead(Self.wrapInboundOut(plaintext))
        }
        if let failure {
            send(context, connection)
            fail(context, failure)
        } else if case .peerIsDone = step {
            inputClosed(context)
        }
    }

    private func inputClosed(_ context: ChannelHandlerContext) {
        guard !isInputClosed else { return }
        isInputClosed = true
        switch state {
        case .closing: finishClosing(context)
        case .open: context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        default: break
        }
    }

    // MARK: Outbound

    public func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        waiting.append(Self.unwrapOutboundIn(data), promise)
    }

    public func flush(context: ChannelHandlerContext) {
        switch state {
        case .open(let connection): encrypt(context, connection)
        // It goes when the handshake is done.
        case .inactive, .handshaking: waiting.isFlushed = true
        case .closing, .closed: waiting.fail(ChannelError.ioOnClosedChannel)
        }
    }

    private func encrypt(_ context: ChannelHandlerContext, _ connection: TLSConnection) {
        guard let (plaintext, promise) = waiting.take() else { return context.flush() }
        do throws(TLSError) {
            try connection.write(plaintext)
        } catch {
            promise?.fail(error)
            return fail(context, error)
        }
        context.writeAndFlush(Self.wrapOutboundOut(connection.bio.takeOutbound()), promise: promise)
    }

    private func send(_ context: ChannelHandlerContext, _ connection: TLSConnection) {
        guard connection.bio.hasOutbound else { return }
        context.writeAndFlush(Self.wrapOutboundOut(connection.bio.takeOutbound()), promise: nil)
    }

    public func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard mode != .input else {
            promise?.fail(ChannelError.operationUnsupported)
            return
        }
        switch state {
        case .open(let connection):
            connection.sendCloseNotify()
            send(context, connection)
            waiting.fail(ChannelError.ioOnClosedChannel)
            state = .closing(connection)
            guard mode == .all else {
                promise?.succeed()
                return
            }
            keep(promise)
            awaitPeer(context)
        case .closing:
            guard mode == .all else {
                promise?.succeed()
                return
            }
            keep(promise)
            awaitPeer(context)
        case .inactive, .handshaking, .closed:
            timer?.cancel()
            state = .closed
            waiting.fail(ChannelError.ioOnClosedChannel)
            context.close(mode: .all, promise: promise)
        }
    }

    private func keep(_ promise: EventLoopPromise<Void>?) {
        closePromise.setOrCascade(to: promise)
    }

    private func awaitPeer(_ context: ChannelHandlerContext) {
        if isInputClosed { return finishClosing(context) }
        // Who closes again and again must not put off the end.
        guard !isAwaitingPeer else { return }
        isAwaitingPeer = true
        timer?.cancel()
        schedule(context, after: Self.closeTimeout) { handler, context in handler.finishClosing(context) }
    }

    private func finishClosing(_ context: ChannelHandlerContext) {
        guard case .closing = state else { return }
        timer?.cancel()
        state = .closed
        let promise = closePromise
        closePromise = nil
        context.close(mode: .all, promise: promise)
    }

    /// The connection, once its handshake is done and until it is closed.
    private var connection: TLSConnection? {
        switch state {
        case .open(let connection), .closing(let connection): connection
        case .inactive, .handshaking, .closed: nil
        }
    }
}

public import NIOCore

/// TLS for a channel, either side of it: ciphertext towards the socket, plaintext towards the rest of the pipeline.
///
/// Put it next to the socket. It fires `TLSHandshakeCompleted` before any data, `ChannelEvent.inputClosed` when the peer has
/// said that it sends no more, be it in TLS's words or TCP's, and `TLSError` when the connection failed, which it then closes.
/// Writes before the end of the handshake wait for it; writes between two flushes leave in as few records as
/// hold it. Closing says so to the peer; that it, or the alert of a failure, gets there is the responsibility of the socket's owner.
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
        /// We have said that we send no more.
        case ended(TLSConnection)
        case closed
    }

    private let tls: TLSContext
    private let handshakeTimeout: TimeAmount
    private var state = State.inactive
    private var timer: Scheduled<Void>?
    private var waiting = WaitingWrites()
    /// The peer has said that it sends no more.
    private var isInputClosed = false

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
    }

    private func start(_ context: ChannelHandlerContext) {
        guard case .inactive = state else { return }
        do throws(TLSError) {
            let connection = try TLSConnection(tls, allocator: context.channel.allocator)
            state = .handshaking(connection)
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            timer = context.eventLoop.scheduleTask(in: handshakeTimeout) {
                bound.value.0.fail(
                    bound.value.1, TLSError(.handshakeTimedOut, "the TLS handshake took too long"))
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
        context.fireChannelInactive()
    }

    private static let closedInHandshake = TLSError(
        .closedInHandshake, "the connection closed before the TLS handshake was done")

    /// Reports and closes.
    private func fail(_ context: ChannelHandlerContext, _ error: TLSError) {
        timer?.cancel()
        state = .closed
        waiting.fail(error)
        context.fireErrorCaught(error)
        context.close(promise: nil)
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
        // Output of OpenSSL's own, such as the answer to a key update.
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
        if plaintext.readableBytes > 0 {
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
        case .handshaking: fail(context, Self.closedInHandshake)
        case .open, .ended: context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        case .inactive, .closed: break
        }
    }

    public func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // Where a socket may be closed on one side. Whether a message was cut off is for handlers that know its length.
        if case ChannelEvent.inputClosed = event {
            inputClosed(context)
        } else {
            context.fireUserInboundEventTriggered(event)
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
        case .ended, .closed: waiting.fail(ChannelError.ioOnClosedChannel)
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
        timer?.cancel()
        waiting.fail(ChannelError.ioOnClosedChannel)
        if case .open(let connection) = state {
            connection.sendCloseNotify()
            send(context, connection)
            state = .ended(connection)
        }
        if case .ended = state, mode == .output {
            promise?.succeed()
        } else {
            state = .closed
            context.close(promise: promise)
        }
    }

    /// The connection, once its handshake is done and until it is closed.
    private var connection: TLSConnection? {
        switch state {
        case .open(let connection), .ended(let connection): connection
        case .inactive, .handshaking, .closed: nil
        }
    }
}

import NIOCore

/// Closes so that the peer gets the last thing that it was told: an alert, an answer, the end of a drain. To be put first.
///
/// A socket that is closed with unread bytes in it answers with a reset, which may overtake pending data
/// and make the peer discard unread data. So everything leaves first; then the peer is told that nothing
/// follows; its further input is read and discarded, until it ends its side too, for a bounded time and number of bytes.
final class LingeringClose: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = NIOAny

    /// For the peer to end its side; also how long it may read none of the pending data.
    static let patience = TimeAmount.seconds(2)
    /// For the peer to read the pending data.
    static let longestFlush = TimeAmount.seconds(30)
    /// That are thrown away at most. The longest message fits, so that a client that is told of a fault in it can finish sending it.
    static let maximumDropped = 32 << 20

    private enum State {
        case open
        /// The written data is on its way.
        case flushing(since: NIODeadline)
        /// The peer has been told that nothing follows.
        case draining
        case closed
    }

    private var state = State.open
    private var isInputClosed = false
    private var dropped = 0
    private var timer: Scheduled<Void>?
    private var promise: EventLoopPromise<Void>?

    /// Closes at once, whatever the peer still has to be told: there is no descriptor to spare for that. Any thread.
    static func cut(_ channel: any Channel) {
        channel.eventLoop.execute {
            let own = try? channel.pipeline.syncOperations.context(handlerType: LingeringClose.self)
            // Not for this handler, but for the socket in front of it.
            if let own { own.close(promise: nil) } else { channel.close(promise: nil) }
        }
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard mode == .all else { return context.close(mode: mode, promise: promise) }
        guard case .open = state, context.channel.isActive else {
            switch state {
            case .open, .closed: return context.close(promise: promise)
            case .flushing, .draining: return keep(promise)
            }
        }
        keep(promise)
        state = .flushing(since: context.eventLoop.now)
        schedule(context) { handler, context in handler.look(context, left: .max) }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.writeAndFlush(NIOAny(ByteBuffer())).whenComplete { _ in bound.value.0.endOutput(bound.value.1) }
        // A handler behind may hold reads back.
        context.read()
    }

    private func keep(_ promise: EventLoopPromise<Void>?) {
        guard let promise else { return }
        if let first = self.promise { first.futureResult.cascade(to: promise) } else { self.promise = promise }
    }

    private func schedule(
        _ context: ChannelHandlerContext, _ task: @escaping @Sendable (LingeringClose, ChannelHandlerContext) -> Void
    ) {
        timer?.cancel()
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: Self.patience) { task(bound.value.0, bound.value.1) }
    }

    /// Goes on waiting for as long as the peer reads some of the pending data.
    private func look(_ context: ChannelHandlerContext, left before: Int) {
        guard case .flushing(let start) = state else { return }
        let left = (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? before
        guard left < before, context.eventLoop.now < start + Self.longestFlush else { return finish(context) }
        schedule(context) { handler, context in handler.look(context, left: left) }
    }

    private func endOutput(_ context: ChannelHandlerContext) {
        guard case .flushing = state else { return }
        guard !isInputClosed else { return finish(context) }
        state = .draining
        context.close(mode: .output, promise: nil)
        schedule(context) { handler, context in handler.finish(context) }
    }

    private func finish(_ context: ChannelHandlerContext) {
        timer?.cancel()
        state = .closed
        let promise = promise
        self.promise = nil
        context.close(promise: promise)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .open = state { return context.fireChannelRead(data) }
        dropped += Self.unwrapInboundIn(data).readableBytes
        if dropped > Self.maximumDropped, case .draining = state { finish(context) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if case .open = state { return context.fireChannelReadComplete() }
        if dropped <= Self.maximumDropped { context.read() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event { isInputClosed = true }
        switch state {
        case .open: context.fireUserInboundEventTriggered(event)
        case .draining where isInputClosed: finish(context)
        default: break
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        state = .closed
        promise?.succeed()
        promise = nil
        context.fireChannelInactive()
    }
}

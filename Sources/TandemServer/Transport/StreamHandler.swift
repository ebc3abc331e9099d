import LineFraming
import NIOCore
import TandemAPI

/// ALPN `jsonrpc`: a stream of messages, one per line, answered in any order, one per line.
final class StreamHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let service: RPCService
    private let session: RPCSession
    private var lines: LineBuffer
    private var outbox: Outbox?
    /// Messages whose calls are under way or whose answers wait in the outbox.
    private var unanswered = 0
    /// The client sends no more; it still gets what it asked for.
    private var isInputClosed = false

    init(service: RPCService, session: RPCSession) {
        self.service = service
        self.session = session
        lines = LineBuffer(maximumBytes: session.maximumMessageBytes)
    }

    /// An answer longer than this is the client's to take before it counts as taken; shorter ones are held down by the
    /// channel's own watermark.
    private static let trackedBytes = 64 << 10

    func handlerAdded(context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        outbox = Outbox(eventLoop: context.eventLoop) { replies in
            let (handler, context) = bound.value
            handler.unanswered -= replies.count
            handler.send(replies.compactMap { $0 }, context)
        }
    }

    private func send(_ replies: [RPCReply], _ context: ChannelHandlerContext) {
        guard context.channel.isActive else { return }
        if !replies.isEmpty {
            let bytes = replies.reduce(0) { $0 + $1.bytes.count }
            var buffer = context.channel.allocator.buffer(capacity: bytes + replies.count)
            for reply in replies {
                buffer.writeBytes(reply.bytes)
                buffer.writeInteger(UInt8(ascii: "\n"))
            }
            if bytes > Self.trackedBytes {
                let session = session
                context.writeAndFlush(Self.wrapOutboundOut(buffer)).whenComplete { _ in session.pay(bytes) }
            } else {
                context.writeAndFlush(Self.wrapOutboundOut(buffer), promise: nil)
                session.pay(bytes)
            }
        }
        guard isInputClosed, unanswered == 0 else { return }
        // Behind everything that is still on its way to a slow reader.
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(Self.wrapOutboundOut(ByteBuffer())).whenComplete { _ in
            bound.value.close(promise: nil)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        lines.append(Self.unwrapInboundIn(data))
        while true {
            switch lines.next() {
            case .none: return
            case .line(let line):
                handle(line.withUnsafeReadableBytes(service.parse))
            case .tooLong:
                // Where the next message starts can't be told: say why, then hang up.
                isInputClosed = true
                unanswered += 1
                outbox?.put(
                    RPCReply(id: nil, .failure(.messageTooLarge(maximum: session.maximumMessageBytes))))
                return
            }
        }
    }

    private func handle(_ message: RPCMessage) {
        guard let outbox else { return }
        unanswered += 1
        session.noteProgress()
        service.handle(message, from: session) { outbox.put($0) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed:
            isInputClosed = true
            send([], context)
        default: context.fireUserInboundEventTriggered(event)
        }
    }
}

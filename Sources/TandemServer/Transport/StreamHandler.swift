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
    private var unfinished: UnfinishedBytes
    private var outbox: Outbox?
    /// Messages whose calls are under way or whose answers wait in the outbox.
    private var unanswered = 0
    /// The client sends no more; it still gets what it asked for.
    private var isInputClosed = false

    init(service: RPCService, session: RPCSession) {
        self.service = service
        self.session = session
        lines = LineBuffer(maximumBytes: session.maximumMessageBytes)
        unfinished = UnfinishedBytes(session)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        outbox = Outbox(eventLoop: context.eventLoop) { replies in
            let (handler, context) = bound.value
            handler.unanswered -= replies.count
            handler.send(replies.compactMap { $0 }, context)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        // It leads back here: neither would ever go.
        outbox = nil
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
            session.release(bytes)
            context.send(buffer, to: session)
        }
        guard isInputClosed, unanswered == 0 else { return }
        context.closeBehindAnswers()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        lines.append(Self.unwrapInboundIn(data))
        while true {
            switch lines.next() {
            case .line(let line):
                session.noteProgress()
                let message = line.withUnsafeReadableBytes { service.parse($0, from: session) }
                handle(message, of: line.readableBytes)
            case .none:
                if let refusal = unfinished.note(lines.storedBytes) { end(refusal) }
                return
            case .tooLong: return end(.messageTooLarge(maximum: session.maximumMessageBytes))
            }
        }
    }

    private func handle(_ message: RPCMessage, of bytes: Int) {
        guard let outbox else { return }
        unanswered += 1
        service.handle(message, of: bytes, from: session) { outbox.put($0) }
    }

    /// Where the next message starts can't be told: says why, then hangs up.
    private func end(_ error: APIError) {
        isInputClosed = true
        lines.close()
        _ = unfinished.note(0)
        handle(.invalid(error), of: 0)
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

import LineFraming
import NIOCore
import TandemAPI

/// ALPN `jsonrpc`: a stream of messages, one per line, answered in any order, one per line.
final class StreamHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = NIOAny
    typealias OutboundOut = ByteBuffer

    private let service: RPCService
    private let session: RPCSession
    private var lines: LineBuffer
    private var unfinished: UnfinishedBytes
    private var outbox: Outbox?
    private let hubs: WatchHubs
    private var watches: WatchConnection?
    /// Messages whose calls are in flight or whose answers wait in the outbox.
    private var unanswered = 0
    /// The client sends no more; it still gets the answers to its requests.
    private var isInputClosed = false
    /// A long batch has not begun all of its calls: later input waits, unread.
    private var isBeginning = false
    /// The client has had its turn: its input waits for the next one, and nothing more is read.
    private var isParked = false
    private var isReadDue = false

    init(service: RPCService, session: RPCSession, hubs: WatchHubs) {
        self.hubs = hubs
        self.service = service
        self.session = session
        lines = LineBuffer(maximumBytes: session.maximumMessageBytes)
        unfinished = UnfinishedBytes(session)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        outbox = Outbox(session.lane) { replies in
            let (handler, context) = bound.value
            handler.unanswered -= replies.count
            handler.send(replies.compactMap { $0 }, context)
        }
        watches = WatchConnection(session, hubs.hub(of: context.eventLoop), .notifications) {
            context.channel.isActive && context.channel.isWritable
        } send: { [session] in
            context.send($0, to: session)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        watches?.close()
        context.fireChannelInactive()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { watches?.becameWritable() }
        context.fireChannelWritabilityChanged()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        // It leads back here: neither would ever go.
        outbox = nil
        watches?.close()
        watches = nil
    }

    private func send(_ replies: [RPCReply], _ context: ChannelHandlerContext) {
        guard context.channel.isActive else { return }
        if !replies.isEmpty {
            let bytes = replies.reduce(0) { $0 + $1.byteCount }
            var buffer = context.channel.allocator.buffer(capacity: bytes + replies.count)
            for reply in replies {
                buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: reply.byteCount + 1) { memory in
                    let count = reply.write(to: memory)
                    memory[count] = UInt8(ascii: "\n")
                    return count + 1
                }
            }
            session.release(bytes)
            context.send(buffer, to: session)
        }
        guard isInputClosed, unanswered == 0, !isParked else { return }
        context.closeBehindAnswers()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        lines.append(Self.unwrapInboundIn(data))
        handleLines(context)
    }

    func read(context: ChannelHandlerContext) {
        if isBeginning || isParked { isReadDue = true } else { context.read() }
    }

    private func goOn(_ context: ChannelHandlerContext) {
        // The connection may have ended meanwhile.
        guard outbox != nil else { return }
        (isBeginning, isParked) = (false, false)
        handleLines(context)
        guard !isBeginning, !isParked else { return }
        // Input before the client's end is answered now, or was no complete message.
        if isInputClosed { send([], context) }
        guard isReadDue else { return }
        isReadDue = false
        context.read()
    }

    private func handleLines(_ context: ChannelHandlerContext) {
        guard !isBeginning, !isParked else { return }
        session.lane.begin()
        while !isBeginning {
            // Of a client that has had its turn messages wait.
            guard session.lane.hasCredit || lines.storedBytes == 0 else { return park(context) }
            switch lines.next() {
            case .line(let line):
                session.noteProgress()
                let message = line.withUnsafeReadableBytes { service.parse($0, from: session) }
                handle(message, of: line.readableBytes, context)
                session.lane.charge()
            case .none:
                if let refusal = unfinished.note(lines.storedBytes) { end(refusal, context) }
                return
            case .tooLong: return end(.messageTooLarge(maximum: session.maximumMessageBytes), context)
            }
        }
    }

    /// Goes on behind others, where they have something waiting.
    private func park(_ context: ChannelHandlerContext) {
        isParked = true
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        session.lane.execute {
            let (handler, context) = bound.value
            handler.goOn(context)
        }
    }

    private func handle(_ message: RPCMessage, of bytes: Int, _ context: ChannelHandlerContext) {
        guard let outbox else { return }
        unanswered += 1
        guard case .batch = message else {
            _ = service.handle(message, of: bytes, from: session, watches: watches) { outbox.put($0) }
            return
        }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let hasBegun = service.handle(message, of: bytes, from: session) {
            let (handler, context) = bound.value
            handler.goOn(context)
        } _: {
            outbox.put($0)
        }
        isBeginning = !hasBegun
    }

    /// Where the next message starts can't be told: says why, then hangs up.
    private func end(_ error: APIError, _ context: ChannelHandlerContext) {
        isInputClosed = true
        lines.close()
        _ = unfinished.note(0)
        handle(.invalid(error), of: 0, context)
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

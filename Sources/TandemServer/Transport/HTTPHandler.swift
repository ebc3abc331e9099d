import NIOCore
import NIOHTTP1
import TandemAPI

/// HTTP/1.1: `POST /rpc`, and what operators look at. Behind NIO's decoder; answers leave as bytes.
///
/// One request at a time: what a client pipelines behind one that is not answered yet, or whose answer it does not take,
/// waits here, and nothing more is read meanwhile.
final class HTTPHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = Never
    typealias OutboundOut = ByteBuffer

    private let service: RPCService
    private let session: RPCSession
    private let operations: Operations
    private var head: HTTPRequestHead?
    private var body = ByteBuffer()
    private var unfinished: UnfinishedBytes
    /// The request was answered before its end; what is left of it is passed over.
    private var isRefused = false
    /// A request is here in whole or in part, and not answered to its end.
    private var isAnswering = false
    /// A whole request is here and not answered: those behind it wait.
    private var isBusy = false
    private var waiting = CircularBuffer<(part: HTTPServerRequestPart, bytes: Int)>()
    private var waitingBytes = 0
    private var isResuming = false
    private var holdsRead = false
    /// The client sends no more; it still gets what it asked for.
    private var isInputClosed = false
    /// The last answer is on its way: nothing that comes now counts.
    private var isClosing = false

    init(service: RPCService, session: RPCSession, operations: Operations) {
        self.service = service
        self.session = session
        self.operations = operations
        unfinished = UnfinishedBytes(session)
    }

    /// Headers take 16 KiB at most, as is usual: they are kept before anybody looks at a certificate.
    static func makeDecoder() -> HTTPRequestDecoder {
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = 16 << 10
        limits.maxHeaderListSize = 16 << 10
        return HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes, limitConfiguration: limits)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isClosing, !isInputClosed else { return }
        let part = Self.unwrapInboundIn(data)
        if isBusy || !waiting.isEmpty || !context.channel.isWritable {
            let bytes = part.storedBytes
            waiting.append((part, bytes))
            waitingBytes += bytes
        } else {
            receive(context, part)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        noteUnfinished(context)
        context.fireChannelReadComplete()
    }

    private func noteUnfinished(_ context: ChannelHandlerContext) {
        guard let refusal = unfinished.note(waitingBytes + body.storageCapacity) else { return }
        waiting.removeAll()
        waitingBytes = 0
        if isAnswering, !isBusy, !isRefused {
            refuse(context, .serviceUnavailable, refusal)
        } else {
            service.noteRefused(refusal, from: session)
            isInputClosed = true
            if !isAnswering { close(context) }
        }
        _ = unfinished.note(0)
    }

    func read(context: ChannelHandlerContext) {
        if isBusy { holdsRead = true } else { context.read() }
    }

    /// After an answer: what waited behind its request.
    private func resume(_ context: ChannelHandlerContext) {
        // An answer that is given at once comes back here: the loop below goes on with what is behind it, on a flat stack.
        guard !isResuming else { return }
        isResuming = true
        while !isBusy, context.channel.isWritable, let (part, bytes) = waiting.popFirst() {
            waitingBytes -= bytes
            receive(context, part)
        }
        isResuming = false
        noteUnfinished(context)
        guard !isBusy, !isClosing, waiting.isEmpty else { return }
        if isInputClosed, !isAnswering { return close(context) }
        if holdsRead {
            holdsRead = false
            context.read()
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable, !isBusy { resume(context) }
        context.fireChannelWritabilityChanged()
    }

    private func receive(_ context: ChannelHandlerContext, _ part: HTTPServerRequestPart) {
        guard !isClosing else { return }
        switch part {
        case .head(let head):
            self.head = head
            isAnswering = true
            isRefused = false
            let announced = head.headers.first(name: "content-length").flatMap(Int.init)
            if let announced, announced > session.maximumMessageBytes {
                refuse(context, .payloadTooLarge, .messageTooLarge(maximum: session.maximumMessageBytes))
            } else if head.word("expect")?.lowercased() == "100-continue" {
                let buffer = ByteBuffer(staticString: "HTTP/1.1 100 Continue\r\n\r\n")
                context.writeAndFlush(Self.wrapOutboundOut(buffer), promise: nil)
            }
        case .body(var part):
            guard !isRefused else { return }
            guard body.readableBytes + part.readableBytes <= session.maximumMessageBytes else {
                return refuse(context, .payloadTooLarge, .messageTooLarge(maximum: session.maximumMessageBytes))
            }
            if body.readableBytes == 0 { body = part } else { body.writeBuffer(&part) }
        case .end:
            guard !isRefused, let head else { return }
            isBusy = true
            session.noteProgress()
            respond(context, head)
        }
    }

    private func respond(_ context: ChannelHandlerContext, _ head: HTTPRequestHead) {
        let message = body
        // Not merely cleared, which would keep its memory for as long as the client is silent.
        body = ByteBuffer()
        guard head.uri.isASCII else { return send(context, .text(.badRequest, "a path is ASCII\n"), to: head) }
        let path = head.uri.prefix { $0 != "?" }
        if path == "/backup" { return sendBackup(context, head) }
        guard path == "/rpc" else {
            return send(context, operations.answer(head.method, uri: head.uri, identity: session.identity), to: head)
        }
        guard head.method == .POST else {
            return send(context, .wrongMethod(allowed: "POST"), to: head)
        }
        guard head.isJSON else {
            return send(context, .text(.unsupportedMediaType, "send Content-Type: application/json\n"), to: head)
        }
        let (session, eventLoop) = (session, context.eventLoop)
        let call = message.withUnsafeReadableBytes { service.parse($0, from: session) }
        let bound = NIOLoopBound((self, context), eventLoop: eventLoop)
        service.handle(call, of: message.readableBytes, from: session) { reply in
            eventLoop.execute {
                let (handler, context) = bound.value
                session.release(reply?.bytes.count ?? 0)
                guard context.channel.isActive else { return }
                let answer = reply.map { HTTPAnswer(.ok, HTTPAnswer.json, $0.bytes) } ?? HTTPAnswer(.noContent)
                handler.send(context, answer, to: head)
            }
        }
    }

    private func sendBackup(_ context: ChannelHandlerContext, _ head: HTTPRequestHead) {
        if let refusal = operations.backupRefusal(head.method, session.identity) {
            return send(context, refusal, to: head)
        }
        let (backups, session, eventLoop) = (operations.backups, session, context.eventLoop)
        let bound = NIOLoopBound((self, context), eventLoop: eventLoop)
        // Counted as a call, so that a client which only reads is not taken for an idle one.
        if case .failure = session.enter(1) {
            session.leave()
            return send(context, .text(.tooManyRequests, "too many calls\n"), to: head)
        }
        backups.copy(on: eventLoop).flatMap { copy in
            var buffer = ByteBuffer()
            buffer.writeHTTPHead(.ok, "application/vnd.sqlite3", length: copy.bytes)
            buffer.endHTTPHead(keepsAlive: head.isKeepAlive)
            bound.value.1.write(Self.wrapOutboundOut(buffer), promise: nil)
            return backups.send(copy, on: eventLoop) { piece in
                bound.value.1.writeAndFlush(Self.wrapOutboundOut(piece))
            }
            // The head has gone: what is left is to hang up, which tells the client that it has not all of it.
            .flatMapErrorThrowing { _ in bound.value.1.close(promise: nil) }
        }.whenComplete { result in
            session.leave()
            let (handler, context) = bound.value
            switch result {
            case .success: handler.answered(context, keepsAlive: head.isKeepAlive)
            case .failure(let error): handler.send(context, .text(.serviceUnavailable, "\(error)\n"), to: head)
            }
        }
    }

    /// What is left of the request is passed over.
    private func refuse(_ context: ChannelHandlerContext, _ status: HTTPResponseStatus, _ error: APIError) {
        isRefused = true
        body = ByteBuffer()
        guard let head else { return }
        service.noteRefused(error, from: session)
        send(context, .refused(status, error), to: head)
    }

    private func send(_ context: ChannelHandlerContext, _ answer: HTTPAnswer, to head: HTTPRequestHead) {
        let keepsAlive = head.isKeepAlive && !answer.closesConnection && !operations.isDraining
        var buffer = context.channel.allocator.buffer(capacity: 0)
        buffer.writeHTTP(answer, headOnly: head.method == .HEAD, keepsAlive: keepsAlive)
        context.send(buffer, to: session)
        answered(context, keepsAlive: keepsAlive)
    }

    private func answered(_ context: ChannelHandlerContext, keepsAlive: Bool) {
        isAnswering = false
        isBusy = false
        if keepsAlive { resume(context) } else { close(context) }
    }

    private func close(_ context: ChannelHandlerContext) {
        guard !isClosing else { return }
        isClosing = true
        context.closeBehindAnswers()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed:
            isInputClosed = true
            if !isAnswering, waiting.isEmpty { close(context) }
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    /// What is no HTTP gets an answer that says so; everything else is for whoever stands behind.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard error is HTTPParserError, !isClosing else { return context.fireErrorCaught(error) }
        if !isAnswering {
            var buffer = ByteBuffer()
            buffer.writeHTTP(.unreadable(error), keepsAlive: false)
            context.write(Self.wrapOutboundOut(buffer), promise: nil)
        }
        close(context)
    }
}

extension HTTPAnswer {
    fileprivate static func unreadable(_ error: any Error) -> HTTPAnswer {
        error as? HTTPParserError == .headerOverflow
            ? .text(.requestHeaderFieldsTooLarge, "headers hold at most 16384 bytes, and are at most 256\n")
            : .text(.badRequest, "this is no HTTP/1.1 request: \(error)\n")
    }
}

extension HTTPServerRequestPart {
    /// The memory that it takes while it waits, roughly, in bytes.
    fileprivate var storedBytes: Int {
        switch self {
        case .head(let head):
            head.headers.reduce(1024 + head.uri.utf8.count) { $0 + $1.name.utf8.count + $1.value.utf8.count }
        case .body(let bytes): 64 + bytes.readableBytes
        case .end: 64
        }
    }
}

extension HTTPRequestHead {
    /// `application/json`, whatever its parameters; also what `curl -d` says when nobody tells it what it sends. From
    /// anything but curl that type is refused: a form in a browser can send it to a server that its user may call.
    fileprivate var isJSON: Bool {
        guard let type = word("content-type") else { return true }
        if type == "application/json" { return true }
        let media = type.prefix { $0 != ";" }.lowercased().trimmingSpaces
        return media == "application/json" || media == "application/json-rpc"
            || media == "application/x-www-form-urlencoded" && isFromCurl
    }

    private var isFromCurl: Bool { word("user-agent")?.hasPrefix("curl/") ?? false }

    /// A header's value; empty where it is not ASCII.
    fileprivate func word(_ name: String) -> String? { headers.first(name: name).map { $0.isASCII ? $0 : "" } }
}

extension String {
    /// Of other text Swift's comparison takes a time that grows as the square of the marks in a row.
    fileprivate var isASCII: Bool { utf8.allSatisfy { $0 < 0x80 } }

    fileprivate var trimmingSpaces: Substring {
        var text = self[...]
        while text.last == " " || text.last == "\t" { text.removeLast() }
        while text.first == " " || text.first == "\t" { text.removeFirst() }
        return text
    }
}

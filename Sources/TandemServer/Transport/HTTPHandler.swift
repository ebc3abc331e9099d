import NIOCore
import NIOHTTP1
import TandemAPI

/// HTTP/1.1: `POST /rpc`, and the operators' paths. Bytes come in and leave.
///
/// One request at a time: requests that a client pipelines after one that is not answered yet, or whose answer it does not read,
/// waits here, and nothing more is read meanwhile.
final class HTTPHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = Never
    typealias OutboundOut = ByteBuffer

    private let service: RPCService
    private let session: RPCSession
    private let operations: Operations
    private let hub: WatchHub
    /// Where the answer is a watch.
    private var watches: WatchConnection?
    private var reader = HTTPRequestReader()
    /// The request being read, until its end; then the one being answered.
    private var request: HTTPRequest?
    private var body = ByteBuffer()
    private var unfinished: UnfinishedBytes
    /// A whole request is here and not answered: those behind it wait.
    private var isBusy = false
    private var isReading = false
    private var holdsRead = false
    /// The client sends no more; it still gets the answers to its requests.
    private var isInputClosed = false
    /// The last answer is on its way: nothing that comes now counts.
    private var isClosing = false

    init(service: RPCService, session: RPCSession, operations: Operations, hub: WatchHub) {
        self.hub = hub
        self.service = service
        self.session = session
        self.operations = operations
        unfinished = UnfinishedBytes(session)
    }

    // MARK: Reading

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isClosing else { return }
        reader.append(Self.unwrapInboundIn(data))
        goOn(context)
    }

    func read(context: ChannelHandlerContext) {
        if isBusy { holdsRead = true } else { context.read() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            watches?.becameWritable()
            goOn(context)
        }
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed = event else { return context.fireUserInboundEventTriggered(event) }
        isInputClosed = true
        goOn(context)
    }

    /// Reads the input so far, as far as it may be read now.
    private func goOn(_ context: ChannelHandlerContext) {
        // An answer that is given at once comes back here: the loop below goes on with the input after it, on a flat stack.
        guard !isReading else { return }
        isReading = true
        var isEmpty = false
        while !isBusy, !isClosing, !isEmpty, context.channel.isWritable {
            switch reader.next() {
            case .none: isEmpty = true
            case .request(let request): begin(context, request)
            case .body(let part): append(context, part)
            case .end:
                isBusy = true
                session.noteProgress()
                respondInTurn(context)
            case .fault(let fault): close(context, behind: .text(fault.status, fault.message + "\n"))
            }
        }
        isReading = false
        noteUnfinished(context)
        guard !isBusy, !isClosing, isEmpty else { return }
        if isInputClosed { return close(context) }
        if holdsRead {
            holdsRead = false
            context.read()
        }
    }

    private func noteUnfinished(_ context: ChannelHandlerContext) {
        guard let refusal = unfinished.note(reader.storedBytes + body.storageCapacity) else { return }
        reader.close()
        isInputClosed = true
        if request != nil, !isBusy {
            refuse(context, .serviceUnavailable, refusal)
        } else {
            service.noteRefused(refusal, from: session)
            if !isBusy { close(context) }
        }
        _ = unfinished.note(0)
    }

    private func begin(_ context: ChannelHandlerContext, _ request: HTTPRequest) {
        self.request = request
        if case .bytes(let count) = request.body, count > session.maximumMessageBytes {
            return refuse(context, .payloadTooLarge, .messageTooLarge(maximum: session.maximumMessageBytes))
        }
        switch request.expectation {
        case .none: break
        case .unknown:
            close(context, behind: .text(.expectationFailed, "nothing can be expected here but 100-continue\n"))
        case .toContinue:
            // A client that waits with the body learns at once that it is not wanted.
            if request.path == "/rpc", let refusal = request.refusal { return close(context, behind: refusal) }
            let buffer = ByteBuffer(staticString: "HTTP/1.1 100 Continue\r\n\r\n")
            context.writeAndFlush(Self.wrapOutboundOut(buffer), promise: nil)
        }
    }

    private func append(_ context: ChannelHandlerContext, _ part: ByteBuffer) {
        guard body.readableBytes + part.readableBytes <= session.maximumMessageBytes else {
            return refuse(context, .payloadTooLarge, .messageTooLarge(maximum: session.maximumMessageBytes))
        }
        var part = part
        if body.readableBytes == 0 { body = part } else { body.writeBuffer(&part) }
    }

    // MARK: Answering

    /// At once, or where the client has had its turn behind others that have something waiting.
    private func respondInTurn(_ context: ChannelHandlerContext) {
        let lane = session.lane
        guard !lane.hasCredit else {
            lane.begin()
            respond(context)
            return lane.charge()
        }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        lane.execute {
            let (handler, context) = bound.value
            if context.channel.isActive { handler.respond(context) }
        }
    }

    private func respond(_ context: ChannelHandlerContext) {
        guard let request else { return }
        let message = body
        // Not merely cleared, which would keep its memory for as long as the client is silent.
        body = ByteBuffer()
        switch request.path {
        case "/rpc": break
        case "/watch": return watch(context, request)
        case "/backup": return sendBackup(context, request)
        case "*": return send(context, .options)
        case _ where request.method == .CONNECT:
            return close(context, behind: .wrongMethod(allowed: "GET, HEAD, POST"))
        default:
            return send(context, operations.answer(request.method, uri: request.target, for: session))
        }
        if let refusal = request.refusal { return send(context, refusal) }
        let (session, eventLoop) = (session, context.eventLoop)
        let call = message.withUnsafeReadableBytes { service.parse($0, from: session) }
        let bound = NIOLoopBound((self, context), eventLoop: eventLoop)
        service.handle(call, of: message.readableBytes, from: session) { reply in
            session.lane.execute {
                let (handler, context) = bound.value
                session.release(reply?.byteCount ?? 0)
                guard context.channel.isActive else { return }
                handler.send(
                    context, reply.map { HTTPAnswer(.ok, HTTPAnswer.json, $0.bytes) } ?? HTTPAnswer(.noContent))
            }
        }
    }

    // MARK: Watching

    func channelInactive(context: ChannelHandlerContext) {
        endWatches()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { endWatches() }

    private func endWatches() {
        watches?.close()
        watches = nil
    }

    /// As a call of the stream would, whose notifications' params are the body: it has no end of its own.
    private func watch(_ context: ChannelHandlerContext, _ request: HTTPRequest) {
        guard request.method == .GET else { return send(context, .wrongMethod(allowed: "GET")) }
        let message: [UInt8]
        do throws(APIError) {
            message = try WatchPath.message(request)
        } catch {
            return send(context, WatchPath.refusal(error))
        }
        let (session, isChunked, form) = (session, request.isVersion11, WatchPath.form(request))
        // With the first line, or before it: whichever of the call's answer and the watch's work has its turn first.
        var hasHead = false
        func sendHead() {
            guard !hasHead else { return }
            hasHead = true
            var buffer = ByteBuffer()
            buffer.writeHTTPHead(.ok, form.contentType, length: nil)
            buffer.writeStaticString("\r\ncache-control: no-cache")
            if isChunked { buffer.writeStaticString("\r\ntransfer-encoding: chunked") }
            buffer.endHTTPHead(.close)
            context.send(buffer, to: session)
        }
        let watches = WatchConnection(session, hub, form) {
            context.channel.isActive && context.channel.isWritable
        } onEnd: {
            sendHead()
            if isChunked { context.write(Self.wrapOutboundOut(ByteBuffer(string: "0\r\n\r\n")), promise: nil) }
            self.endWatches()
            self.answered(context, keepsAlive: false)
        } send: { line in
            sendHead()
            guard isChunked else { return context.send(line, to: session) }
            var chunk = ByteBuffer()
            chunk.writeString(String(line.readableBytes, radix: 16) + "\r\n")
            chunk.writeImmutableBuffer(line)
            chunk.writeStaticString("\r\n")
            context.send(chunk, to: session)
        }
        self.watches = watches
        let call = message.withUnsafeBytes { service.parse($0, from: session) }
        let bound = NIOLoopBound((self, context, sendHead), eventLoop: context.eventLoop)
        service.handle(call, of: message.count, from: session, watches: watches) { reply in
            session.lane.execute {
                let (handler, context, sendHead) = bound.value
                session.release(reply?.byteCount ?? 0)
                // It may have ended already, and its head been sent.
                guard context.channel.isActive, let watches = handler.watches else { return }
                guard watches.isEmpty else { return sendHead() }
                handler.watches = nil
                handler.send(context, WatchPath.refusal(reply))
            }
        }
    }

    private func sendBackup(_ context: ChannelHandlerContext, _ request: HTTPRequest) {
        if let refusal = operations.backupRefusal(request.method, for: session) { return send(context, refusal) }
        let (backups, session, eventLoop) = (operations.backups, session, context.eventLoop)
        let bound = NIOLoopBound((self, context), eventLoop: eventLoop)
        guard backups.begin() else {
            return send(
                context, .text(.tooManyRequests, "\(OpenFiles.backups) backups are under way; try again later\n"))
        }
        // Counted as a call until the copy is made: a client that waits for it is not idle.
        if case .failure = session.enter(1) {
            session.leave()
            backups.end()
            return send(context, .text(.tooManyRequests, "too many calls\n"))
        }
        backups.copy(on: eventLoop).always { _ in session.leave() }.flatMap { copy in
            var buffer = ByteBuffer()
            buffer.writeHTTPHead(.ok, "application/vnd.sqlite3", length: copy.bytes)
            buffer.endHTTPHead(request.connection(keepsAlive: request.isKeepAlive))
            bound.value.1.write(Self.wrapOutboundOut(buffer), promise: nil)
            return backups.send(copy, on: eventLoop) { piece in
                // A client that reads nothing of it is idle, and keeps others from theirs.
                session.noteProgress()
                return bound.value.1.writeAndFlush(Self.wrapOutboundOut(piece))
            }
            // The head has been sent: closing the connection tells the client that the body is incomplete.
            .flatMapErrorThrowing { _ in bound.value.1.close(promise: nil) }
        }.whenComplete { result in
            backups.end()
            let (handler, context) = bound.value
            switch result {
            case .success: handler.answered(context, keepsAlive: request.isKeepAlive)
            case .failure(let error): handler.send(context, .text(.serviceUnavailable, "\(error)\n"))
            }
        }
    }

    /// The rest of the request is skipped.
    private func refuse(_ context: ChannelHandlerContext, _ status: HTTPResponseStatus, _ error: APIError) {
        service.noteRefused(error, from: session)
        close(context, behind: .refused(status, error))
    }

    private func send(_ context: ChannelHandlerContext, _ answer: HTTPAnswer, closing: Bool = false) {
        let keepsAlive = !closing && !operations.isDraining && request?.isKeepAlive ?? false
        var buffer = context.channel.allocator.buffer(capacity: 0)
        buffer.writeHTTP(
            answer, headOnly: request?.method == .HEAD,
            request?.connection(keepsAlive: keepsAlive) ?? .close)
        session.noteIfStranger(calls: 1)
        context.send(buffer, to: session)
        answered(context, keepsAlive: keepsAlive)
    }

    private func answered(_ context: ChannelHandlerContext, keepsAlive: Bool) {
        request = nil
        isBusy = false
        if keepsAlive { goOn(context) } else { close(context) }
    }

    /// The last answer, as the start of the next request is unknown, or no further request is wanted.
    private func close(_ context: ChannelHandlerContext, behind answer: HTTPAnswer) {
        send(context, answer, closing: true)
    }

    private func close(_ context: ChannelHandlerContext) {
        guard !isClosing else { return }
        isClosing = true
        reader.close()
        body = ByteBuffer()
        context.closeBehindAnswers()
    }
}

extension HTTPRequest {
    /// Why a request of `/rpc` is refused, whatever its body.
    fileprivate var refusal: HTTPAnswer? {
        guard method == .POST else { return .wrongMethod(allowed: "POST") }
        guard isJSON else { return .text(.unsupportedMediaType, "send Content-Type: application/json\n") }
        guard contentEncoding == nil || contentEncoding == "identity" else {
            var answer = HTTPAnswer.text(.unsupportedMediaType, "send the body as it is, without Content-Encoding\n")
            answer.header = ("accept-encoding", "identity")
            return answer
        }
        return nil
    }

    /// `application/json`, whatever its parameters; also the default type of `curl -d`. From
    /// anything but curl that type is refused: a form in a browser can send it to a server that its user may call.
    private var isJSON: Bool {
        guard let type = contentType else { return true }
        if type == "application/json" { return true }
        let media = type.prefix { $0 != ";" }.lowercased().trimmingSpaces
        return media == "application/json" || media == "application/json-rpc"
            || media == "application/x-www-form-urlencoded" && (userAgent?.hasPrefix("curl/") ?? false)
    }

    /// The answer's statement on the connection, where that differs from the version's default.
    fileprivate func connection(keepsAlive: Bool) -> HTTPAnswer.Connection {
        guard keepsAlive else { return .close }
        return isVersion11 ? .unsaid : .keepAlive
    }
}

extension String {
    fileprivate var trimmingSpaces: Substring {
        var text = self[...]
        while text.last == " " || text.last == "\t" { text.removeLast() }
        while text.first == " " || text.first == "\t" { text.removeFirst() }
        return text
    }
}

import NIOCore
import NIOHTTP1
import TandemAPI

/// HTTP/1.1: `POST /rpc`, and what operators look at. One request at a time; NIO holds pipelined ones back.
final class HTTPHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let service: RPCService
    private let session: RPCSession
    private let operations: Operations
    private var head: HTTPRequestHead?
    private var body = ByteBuffer()
    /// The request was answered before its end; what is left of it is passed over.
    private var isRefused = false
    /// A request is here in whole or in part, and not answered to its end.
    private var isAnswering = false
    /// The client sends no more; it still gets what it asked for.
    private var isInputClosed = false

    init(service: RPCService, session: RPCSession, operations: Operations) {
        self.service = service
        self.session = session
        self.operations = operations
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch Self.unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            isAnswering = true
            body.clear()
            isRefused = false
            let announced = head.headers.first(name: "content-length").flatMap(Int.init)
            if let announced, announced > RPCMessage.maximumBytes {
                refuseBody(context)
            } else if head.headers.first(name: "expect")?.lowercased() == "100-continue" {
                context.writeAndFlush(
                    Self.wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .continue))), promise: nil)
            }
        case .body(var part):
            guard !isRefused else { return }
            guard body.readableBytes + part.readableBytes <= RPCMessage.maximumBytes else {
                return refuseBody(context)
            }
            if body.readableBytes == 0 { body = part } else { body.writeBuffer(&part) }
        case .end:
            guard !isRefused, let head else { return }
            respond(context, head)
        }
    }

    private func respond(_ context: ChannelHandlerContext, _ head: HTTPRequestHead) {
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
        let message = body.withUnsafeReadableBytes { RPCMessage(parsing: $0) }
        body.clear()
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let eventLoop = context.eventLoop
        service.handle(message, from: session) { reply in
            eventLoop.execute {
                let (handler, context) = bound.value
                guard context.channel.isActive else { return }
                let answer = reply.map { HTTPAnswer(.ok, "application/json", $0.bytes) } ?? HTTPAnswer(.noContent)
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
            return send(context, .text(.tooManyRequests, "too many calls\n"), to: head)
        }
        backups.copy(on: eventLoop).flatMap { copy in
            let context = bound.value.1
            var headers = HTTPHeaders([
                ("content-type", "application/vnd.sqlite3"), ("content-length", "\(copy.bytes)"),
            ])
            if !head.isKeepAlive { headers.add(name: "connection", value: "close") }
            let answer = HTTPResponseHead(version: .http1_1, status: .ok, headers: headers)
            context.write(Self.wrapOutboundOut(.head(answer)), promise: nil)
            return backups.send(copy, on: eventLoop) { piece in
                bound.value.1.writeAndFlush(Self.wrapOutboundOut(.body(.byteBuffer(piece))))
            }.flatMap { bound.value.1.writeAndFlush(Self.wrapOutboundOut(.end(nil))) }
                // The head has gone: what is left is to hang up, which tells the client that it has not all of it.
                .flatMapErrorThrowing { _ in bound.value.1.close(promise: nil) }
        }.whenComplete { result in
            session.leave()
            let (handler, context) = bound.value
            switch result {
            case .success:
                handler.isAnswering = false
                if !head.isKeepAlive || handler.isInputClosed { context.close(promise: nil) }
            case .failure(let error): handler.send(context, .text(.serviceUnavailable, "\(error)\n"), to: head)
            }
        }
    }

    private func refuseBody(_ context: ChannelHandlerContext) {
        isRefused = true
        guard let head else { return }
        send(
            context,
            .text(.payloadTooLarge, "a message holds at most \(RPCMessage.maximumBytes) bytes\n", closing: true),
            to: head)
    }

    private func send(_ context: ChannelHandlerContext, _ answer: HTTPAnswer, to head: HTTPRequestHead) {
        let keepsAlive =
            head.isKeepAlive && !answer.closesConnection && !operations.isDraining && !isInputClosed
        var headers = answer.headers
        if answer.status != .noContent { headers.add(name: "content-length", value: String(answer.body.count)) }
        if !keepsAlive { headers.add(name: "connection", value: "close") }
        let responseHead = HTTPResponseHead(version: .http1_1, status: answer.status, headers: headers)
        context.write(Self.wrapOutboundOut(.head(responseHead)), promise: nil)
        if !answer.body.isEmpty, head.method != .HEAD {
            context.write(
                Self.wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: answer.body)))), promise: nil)
        }
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        isAnswering = false
        context.writeAndFlush(Self.wrapOutboundOut(.end(nil))).whenComplete { _ in
            if !keepsAlive { bound.value.close(promise: nil) }
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is IdleStateHandler.IdleStateEvent where session.isIdle: context.close(promise: nil)
        case ChannelEvent.inputClosed:
            isInputClosed = true
            if !isAnswering { context.close(promise: nil) }
        default: context.fireUserInboundEventTriggered(event)
        }
    }
}

extension HTTPRequestHead {
    /// `application/json`, whatever its parameters; also what `curl -d` says when nobody tells it what it sends. From
    /// anything but curl that type is refused: a form in a browser can send it to a server that its user may call.
    fileprivate var isJSON: Bool {
        guard let type = headers.first(name: "content-type") else { return true }
        let media = type.prefix { $0 != ";" }.lowercased().trimmingSpaces
        return media == "application/json" || media == "application/json-rpc"
            || media == "application/x-www-form-urlencoded" && isFromCurl
    }

    private var isFromCurl: Bool { headers.first(name: "user-agent")?.hasPrefix("curl/") ?? false }
}

extension String {
    fileprivate var trimmingSpaces: Substring {
        var text = self[...]
        while text.last == " " || text.last == "\t" { text.removeLast() }
        while text.first == " " || text.first == "\t" { text.removeFirst() }
        return text
    }
}

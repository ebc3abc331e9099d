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

    init(service: RPCService, session: RPCSession, operations: Operations) {
        self.service = service
        self.session = session
        self.operations = operations
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch Self.unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
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

    private func refuseBody(_ context: ChannelHandlerContext) {
        isRefused = true
        guard let head else { return }
        send(
            context,
            .text(.payloadTooLarge, "a message holds at most \(RPCMessage.maximumBytes) bytes\n", closing: true),
            to: head)
    }

    private func send(_ context: ChannelHandlerContext, _ answer: HTTPAnswer, to head: HTTPRequestHead) {
        let keepsAlive = head.isKeepAlive && !answer.closesConnection && !operations.isDraining
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
        context.writeAndFlush(Self.wrapOutboundOut(.end(nil))).whenComplete { _ in
            if !keepsAlive { bound.value.close(promise: nil) }
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent, session.isIdle {
            context.close(promise: nil)
        } else {
            context.fireUserInboundEventTriggered(event)
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

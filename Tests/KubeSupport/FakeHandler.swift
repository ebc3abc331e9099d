import Foundation
import NIOCore
import NIOHTTP1
import OpenSSLTLS
import TandemAPI

/// One client of a fake API server. On its event loop alone.
final class FakeHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    /// The connection is to end without a word.
    struct Cut: Sendable {}

    private let server: FakeAPIServer
    private var head: HTTPRequestHead?
    private var body = ByteBuffer()
    private var hasCertificate = false
    private var watch: Int?
    private var end: Scheduled<Void>?

    init(_ server: FakeAPIServer) { self.server = server }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case let handshake as TLSHandshakeCompleted: hasCertificate = handshake.peerCertificate != nil
        case is Cut: cut(context)
        case ChannelEvent.inputClosed: context.close(promise: nil)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch Self.unwrapInboundIn(data) {
        case .head(let head): (self.head, body) = (head, ByteBuffer())
        case .body(var bytes): body.writeBuffer(&bytes)
        case .end:
            if let head { answer(head, context) }
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        forget()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func forget() {
        end?.cancel()
        if let watch { server.forget(watch: watch) }
        watch = nil
    }

    private func answer(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let request = FakeRequest(
            head.method.rawValue, head.uri, accept: head.headers.first(name: "accept") ?? "",
            contentType: head.headers.first(name: "content-type") ?? "",
            (try? JSONValue(parsing: body.readableBytesView)) ?? .null)
        let token = head.headers.first(name: "authorization").map { String($0.dropFirst("Bearer ".count)) }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let loop = context.eventLoop
        let reply = server.handle(
            request, token: token, hasCertificate: hasCertificate,
            FakeWatcher(
                request,
                say: { text in loop.execute { bound.value.0.say(text, bound.value.1) } },
                finish: { loop.execute { bound.value.0.finish(bound.value.1) } }))
        switch reply {
        case .answer(let answer): whole(answer.status, answer.body.text.description, answer.retryAfter, context)
        case .text(let text): whole(200, text, nil, context)
        case .hang: break
        case .cut: cut(context)
        case .silence: begin(context)
        case .goneLine:
            begin(context)
            let status = FakeAnswer.status(410, "Expired", "too old resource version")
            say(FakeWatcher.line("ERROR", status), context)
            finish(context)
        case .line(let line):
            begin(context)
            say(line + "\n", context)
            finish(context)
        case .tornLine(let cutsConnection):
            begin(context)
            say(#"{"type":"ADDED","object":{"metadata":{"na"#, context)
            if cutsConnection { cut(context) } else { finish(context) }
        case .watch(let number):
            watch = number
            begin(context)
            let seconds = request.query["timeoutSeconds"].flatMap(Int64.init) ?? 1_800
            end = loop.assumeIsolated().scheduleTask(in: .seconds(seconds)) { self.finish(context) }
        }
    }

    private func whole(_ status: Int, _ text: String, _ retryAfter: Int?, _ context: ChannelHandlerContext) {
        let bytes = ByteBuffer(string: text)
        var head = HTTPResponseHead(version: .http1_1, status: HTTPResponseStatus(statusCode: status))
        head.headers = ["content-type": "application/json", "content-length": "\(bytes.readableBytes)"]
        if let retryAfter { head.headers.add(name: "retry-after", value: "\(retryAfter)") }
        context.write(Self.wrapOutboundOut(.head(head)), promise: nil)
        context.write(Self.wrapOutboundOut(.body(.byteBuffer(bytes))), promise: nil)
        context.writeAndFlush(Self.wrapOutboundOut(.end(nil)), promise: nil)
    }

    private func begin(_ context: ChannelHandlerContext) {
        var head = HTTPResponseHead(version: .http1_1, status: .ok)
        head.headers = ["content-type": "application/json", "transfer-encoding": "chunked"]
        context.writeAndFlush(Self.wrapOutboundOut(.head(head)), promise: nil)
    }

    private func say(_ text: String, _ context: ChannelHandlerContext) {
        context.writeAndFlush(Self.wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: text)))), promise: nil)
    }

    private func finish(_ context: ChannelHandlerContext) {
        forget()
        context.writeAndFlush(Self.wrapOutboundOut(.end(nil)), promise: nil)
    }

    /// As a server that dies: earlier output is still sent.
    private func cut(_ context: ChannelHandlerContext) {
        forget()
        context.close(promise: nil)
    }
}

/// A watch's way to its client.
struct FakeWatcher {
    private let plural: String
    private let namespace: String?
    private let selector: String?
    private let isPartial: Bool
    private let say: @Sendable (String) -> Void
    private let finish: @Sendable () -> Void

    init(_ request: FakeRequest, say: @escaping @Sendable (String) -> Void, finish: @escaping @Sendable () -> Void) {
        plural = request.target?.plural ?? ""
        namespace = request.target?.namespace
        selector = request.query["fieldSelector"]
        isPartial = request.accept.contains("as=PartialObjectMetadata;")
        self.say = say
        self.finish = finish
    }

    static func line(_ type: String, _ object: JSONValue) -> String {
        let line: JSONValue = ["type": .string(type), "object": object]
        return line.text.description + "\n"
    }

    func tell(_ change: FakeStore.Change) {
        guard change.key.plural == plural, namespace == nil || namespace == change.key.namespace else { return }
        let was = change.old.map { FakeSelector.matches($0, selector) } ?? false
        let isThere = change.new.map { FakeSelector.matches($0, selector) } ?? false
        let type: String
        switch (was, isThere) {
        case (false, false): return
        case (false, true): type = "ADDED"
        case (true, true): type = "MODIFIED"
        case (true, false): type = "DELETED"
        }
        say(Self.line(type, isPartial ? FakeStore.partial(change.last) : change.last))
    }

    func bookmark(_ version: Int) {
        let metadata: JSONValue = ["resourceVersion": .string(String(version)), "creationTimestamp": .null]
        say(Self.line("BOOKMARK", ["kind": "Bookmark", "apiVersion": "v1", "metadata": metadata]))
    }

    func end() { finish() }
}

import LineFraming
import NIOCore
import OpenSSLTLS
import TandemAPI

/// Sends calls as lines, and brings each answer to the call whose id it has. On the connection's event loop alone.
final class AnswerHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// A page of 5,000 objects fits.
    private static let maximumAnswerBytes = 64 << 20

    /// Kept once the handshake is done; broken when the connection fails before.
    let ready: EventLoopPromise<Void>
    private let trace: ((_ direction: Character, ByteBuffer) -> Void)?
    private var context: ChannelHandlerContext?
    private var lines = LineBuffer(maximumBytes: AnswerHandler.maximumAnswerBytes)
    private var waiting: [Int: (answer: EventLoopPromise<JSONValue>, deadline: Scheduled<Void>)] = [:]
    private var lastID = 0
    private var feeds: [String: WatchFeed] = [:]
    private var end: ClientError?
    private var isRetired = false

    /// `trace` is told of each line: with `>` of one that is sent, with `<` of one that came.
    init(ready: EventLoopPromise<Void>, trace: ((_ direction: Character, ByteBuffer) -> Void)? = nil) {
        self.ready = ready
        self.trace = trace
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        failAll(.connectionLost("it was closed"))
        self.context = nil
    }

    func send(_ method: String, _ params: JSONValue, timeout: TimeAmount) -> EventLoopFuture<JSONValue> {
        send([(method, params)], timeout: timeout)[0]
    }

    /// Several calls as one batch; one by itself.
    func send(_ calls: [(method: String, params: JSONValue)], timeout: TimeAmount) -> [EventLoopFuture<JSONValue>] {
        let answers = calls.map { _ in ready.futureResult.eventLoop.makePromise(of: JSONValue.self) }
        guard let context, end == nil else {
            for answer in answers { answer.fail(end ?? .connectionLost("it is closed")) }
            return answers.map(\.futureResult)
        }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let requests = zip(calls, answers).map { call, answer -> JSONValue in
            lastID += 1
            let id = lastID
            let deadline = context.eventLoop.scheduleTask(in: timeout) { bound.value.finish(id, .failure(.timedOut)) }
            waiting[id] = (answer, deadline)
            return [
                "jsonrpc": "2.0", "id": .number(String(id)), "method": .string(call.method), "params": call.params,
            ]
        }
        var line = ByteBuffer(bytes: (requests.count == 1 ? requests[0] : .array(requests)).text.bytes)
        trace?(">", line)
        line.writeInteger(UInt8(ascii: "\n"))
        context.writeAndFlush(Self.wrapOutboundOut(line), promise: nil)
        return answers.map(\.futureResult)
    }

    private func finish(_ id: Int, _ result: Result<JSONValue, ClientError>) {
        guard let (answer, deadline) = waiting.removeValue(forKey: id) else { return }
        deadline.cancel()
        answer.completeWith(result.mapError { $0 })
        if isRetired { retire() }
    }

    /// Nothing more will be sent: it is closed once nothing waits for an answer.
    func retire() {
        isRetired = true
        if waiting.isEmpty { context?.close(promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        lines.append(Self.unwrapInboundIn(data))
        while true {
            switch lines.next() {
            case .none: return
            case .line(let line):
                trace?("<", line)
                read(line, context)
            case .tooLong: return fail(context, .malformedAnswer("it is longer than \(Self.maximumAnswerBytes) bytes"))
            }
        }
    }

    private func read(_ line: ByteBuffer, _ context: ChannelHandlerContext) {
        let message: JSONValue
        do throws(JSONError) {
            message = try JSONValue(parsing: line.readableBytesView)
        } catch {
            return fail(context, .malformedAnswer("it is not JSON", cause: error))
        }
        // Those of a batch come together, in any order.
        for answer in message.arrayValue ?? [message] {
            // An answer without an id is to a message that the server could not read; the call can't be identified.
            guard let id = answer["id"]?.intValue else {
                if answer["method"] == "watch", let params = answer["params"] {
                    notify(params)
                    continue
                }
                let why = answer["error"]?["message"]?.stringValue ?? "it has no id"
                return fail(context, .malformedAnswer(why))
            }
            finish(id, .success(answer))
        }
    }

    // MARK: Watches

    var isOpen: Bool { context != nil && end == nil }

    func subscribe(_ name: String, _ feed: WatchFeed) {
        if isOpen { feeds[name] = feed } else { feed.end() }
    }

    private func notify(_ params: JSONValue) {
        guard let name = params["subscription"]?.stringValue, let feed = feeds[name] else { return }
        let goesOn = feed.put(params)
        guard params["error"] == nil else {
            feeds[name] = nil
            return feed.end()
        }
        guard !goesOn else { return }
        feeds[name] = nil
        _ = send(Method.unwatch.rawValue, ["subscription": .string(name)], timeout: .seconds(60))
    }

    private func fail(_ context: ChannelHandlerContext, _ error: ClientError) {
        failAll(error)
        context.close(promise: nil)
    }

    private func failAll(_ error: ClientError) {
        if end == nil { end = error }
        ready.fail(error)
        for feed in feeds.values { feed.end() }
        feeds = [:]
        for id in waiting.keys.sorted() { finish(id, .failure(error)) }
    }

    // MARK: The connection

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is TLSHandshakeCompleted: ready.succeed()
        // The server is done: answers to come there are none.
        case ChannelEvent.inputClosed: fail(context, .connectionLost("the server ended it"))
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(context, .connectionLost(by: error))
    }

    func channelInactive(context: ChannelHandlerContext) {
        failAll(.connectionLost("the server closed it"))
        context.fireChannelInactive()
    }
}

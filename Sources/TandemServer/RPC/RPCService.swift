import IPAM
import Metrics
import NIOCore
import Synchronization
import TandemAPI

/// Runs messages of any connection against the engine: authorises, limits, counts, times out. Thread-safe.
final class RPCService: Sendable {
    /// Calls under way on one connection.
    static let maximumInFlight = 1024

    /// Bytes of answers that one connection has not taken yet; past it, its calls are refused until it reads.
    static let maximumUnreadBytes = 16 << 20
    /// The same for all connections together.
    static let maximumUnreadBytesInAll = 512 << 20

    private let engine: Engine
    private let metrics: CallMetrics
    private let health: Health
    private let records: CallRecords
    // Relaxed: a count that orders nothing.
    private let calls = Atomic<Int>(0)

    init(engine: Engine, metrics: CallMetrics, health: Health, records: CallRecords) {
        self.engine = engine
        self.metrics = metrics
        self.health = health
        self.records = records
    }

    /// Parses one message, as `RPCMessage` does.
    func parse(_ bytes: UnsafeRawBufferPointer) -> RPCMessage {
        let start = engine.stageStart()
        let message = RPCMessage(parsing: bytes)
        engine.endDecoding(start)
        return message
    }

    /// Calls under way on all connections.
    var inFlight: Int { calls.load(ordering: .relaxed) }

    /// Runs every call of a message; `reply` gets the answer once all of them are done, or nil where none is due.
    /// It runs exactly once, on any thread.
    func handle(
        _ message: RPCMessage, from session: RPCSession, _ reply: @escaping @Sendable (RPCReply?) -> Void
    ) {
        switch message {
        case .invalid(let error):
            metrics.count(nil, error)
            records.noteRefused(nil, nil, session, error)
            let answer = RPCReply(id: nil, .failure(error))
            session.owe(answer.bytes.count)
            reply(answer)
        case .single(let request):
            let room = session.enter(1)
            run(request, from: session, room) { result in
                let answer = request.id.map { RPCReply(id: $0, result) }
                session.owe(answer?.bytes.count ?? 0)
                session.leave()
                reply(answer)
            }
        case .batch(let requests):
            let room = session.enter(requests.count)
            let batch = BatchReply(count: requests.count) { answer in
                session.settle(answer)
                reply(answer)
            }
            for (index, request) in requests.enumerated() {
                run(request, from: session, room) { result in
                    let answer = request.id.map { RPCReply(id: $0, result) }
                    session.owe(answer?.bytes.count ?? 0)
                    session.leave()
                    batch.finish(index, answer)
                }
            }
        }
    }

    private func run(
        _ request: RPCRequest, from session: RPCSession, _ room: Result<Void, APIError>,
        _ answer: @escaping @Sendable (Result<CallResult, APIError>) -> Void
    ) {
        let method = (try? request.call.get())?.method
        let start = engine.stageStart()
        calls.wrappingAdd(1, ordering: .relaxed)
        let finish: Engine.Answer = { result in
            let result = self.engine.confirmed(result)
            self.calls.wrappingSubtract(1, ordering: .relaxed)
            self.metrics.count(method, result.failure)
            if let start { self.metrics.end(method, start) }
            self.records.note(request, method, session, result)
            answer(result)
        }
        do throws(APIError) {
            try room.get()
            try session.checkUnread()
            let call = try request.call.get()
            let scope = try Authorizer.authorize(call, by: session.identity)
            if call.method != .discover { try health.checkServing() }
            engine.perform(call, onlyNode: scope.onlyNode, session.timed(call, finish))
        } catch {
            finish(.failure(error))
        }
    }
}

extension Result {
    var failure: Failure? { if case .failure(let error) = self { error } else { nil } }
}

/// Bytes of answers that wait to be read, on all connections. Thread-safe.
final class UnreadBytes: Sendable {
    // Relaxed: a count that orders nothing.
    private let count = Atomic<Int>(0)

    var bytes: Int { count.load(ordering: .relaxed) }

    func add(_ bytes: Int) {
        if bytes != 0 { count.wrappingAdd(bytes, ordering: .relaxed) }
    }
}

/// What one connection has to itself: who is at its other end, and how much it has under way. Thread-safe.
final class RPCSession: Sendable {
    let identity: Identity?
    private let peer: SocketAddress?
    private let eventLoop: any EventLoop
    /// Relaxed everywhere: a count that orders nothing.
    private let inFlight = Atomic<Int>(0)
    private let unread = Atomic<Int>(0)
    /// Messages that came in whole, and answers that left.
    private let progress = Atomic<Int>(0)
    private let unreadInAll: UnreadBytes

    init(
        identity: Identity?, eventLoop: any EventLoop, peer: SocketAddress? = nil, unreadInAll: UnreadBytes = .init()
    ) {
        self.unreadInAll = unreadInAll
        self.identity = identity
        self.peer = peer
        self.eventLoop = eventLoop
    }

    deinit {
        unreadInAll.add(-unread.load(ordering: .relaxed))
    }

    /// Where the client is: `192.0.2.7:40001`, `[2001:db8::7]:40001`.
    var peerText: String { Self.text(peer) }

    static func text(_ address: SocketAddress?) -> String {
        guard let address, let host = address.ipAddress, let port = address.port else { return "unknown" }
        return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    /// Bytes of one message: whoever has not said who he is may not make the server keep much.
    var maximumMessageBytes: Int { identity == nil ? 64 << 10 : RPCMessage.maximumBytes }

    var isIdle: Bool { inFlight.load(ordering: .relaxed) == 0 }

    /// Grows while the connection is of use to somebody.
    var progressCount: Int { progress.load(ordering: .relaxed) }

    func noteProgress() { progress.wrappingAdd(1, ordering: .relaxed) }

    // MARK: Answers that the client has not taken

    func owe(_ bytes: Int) {
        guard bytes > 0 else { return }
        unread.wrappingAdd(bytes, ordering: .relaxed)
        unreadInAll.add(bytes)
    }

    /// An answer has left, or never will.
    func pay(_ bytes: Int) {
        noteProgress()
        guard bytes > 0 else { return }
        unread.wrappingSubtract(bytes, ordering: .relaxed)
        unreadInAll.add(-bytes)
    }

    /// What a batch's answer has beside its parts.
    fileprivate func settle(_ batch: RPCReply?) {
        guard let batch else { return }
        owe(batch.bytes.count - batch.partBytes)
    }

    /// Throws RESOURCE_EXHAUSTED while the client leaves too much unread: answers are kept in memory until it reads.
    fileprivate func checkUnread() throws(APIError) {
        guard unread.load(ordering: .relaxed) < RPCService.maximumUnreadBytes else {
            throw APIError(
                .resourceExhausted, reason: "TooMuchUnread",
                "\(RPCService.maximumUnreadBytes >> 20) MiB of answers wait to be read from this connection; "
                    + "read them, ask for smaller pages, or send fewer calls at a time", isRetryable: true)
        }
        guard unreadInAll.bytes < RPCService.maximumUnreadBytesInAll else {
            throw APIError(
                .resourceExhausted, reason: "TooMuchUnread",
                "\(RPCService.maximumUnreadBytesInAll >> 20) MiB of answers wait to be read by all clients together; "
                    + "try again in a moment", isRetryable: true)
        }
    }

    /// Counts the calls of one message. A message comes in where there is room for one call: a batch may pass the
    /// limit by its own length, or none of a full size could ever come in.
    func enter(_ calls: Int) -> Result<Void, APIError> {
        let before = inFlight.wrappingAdd(calls, ordering: .relaxed).oldValue
        guard before >= RPCService.maximumInFlight else { return .success(()) }
        return .failure(
            APIError(
                .resourceExhausted, reason: "TooManyInFlight",
                "\(RPCService.maximumInFlight) calls are under way on this connection; wait for answers, or open another",
                isRetryable: true))
    }

    func leave() {
        inFlight.wrappingSubtract(1, ordering: .relaxed)
    }

    /// With `timeoutMs`, the first of answer and deadline is told; what comes after has no one to tell. A call whose caller
    /// was told that its time is up stays under way until the engine is done with it, so that what waits there is limited.
    fileprivate func timed(_ call: Call, _ answer: @escaping Engine.Answer) -> Engine.Answer {
        guard let milliseconds = call.timeoutMilliseconds else { return answer }
        let first = FirstOnly(answer)
        let deadline = eventLoop.scheduleTask(in: .milliseconds(Int64(milliseconds))) {
            // What its answer takes off, which is not the end of it.
            self.inFlight.wrappingAdd(1, ordering: .relaxed)
            let isTold = first.tell(
                .failure(
                    APIError(
                        .deadlineExceeded, reason: "Timeout",
                        "\(call.method.rawValue) took longer than \(milliseconds) ms; "
                            + "ask again: a retry finds whatever was committed", isRetryable: true)))
            if !isTold { self.leave() }
        }
        return { result in
            deadline.cancel()
            if !first.tell(result) { self.leave() }
        }
    }
}

/// Passes on the first of several answers.
private final class FirstOnly: Sendable {
    private let answer: Mutex<Engine.Answer?>

    init(_ answer: @escaping Engine.Answer) {
        self.answer = Mutex(answer)
    }

    /// Whether it was the first.
    func tell(_ result: Result<CallResult, APIError>) -> Bool {
        let answer = answer.withLock { answer in
            defer { answer = nil }
            return answer
        }
        answer?(result)
        return answer != nil
    }
}

/// Gathers the answers of a batch, which come on any thread in any order, and gives them back in the batch's order.
private final class BatchReply: Sendable {
    private struct State {
        var replies: [RPCReply?]
        var missing: Int
    }

    private let state: Mutex<State>
    private let reply: @Sendable (RPCReply?) -> Void

    init(count: Int, _ reply: @escaping @Sendable (RPCReply?) -> Void) {
        state = Mutex(State(replies: Array(repeating: nil, count: count), missing: count))
        self.reply = reply
    }

    func finish(_ index: Int, _ single: RPCReply?) {
        let complete: [RPCReply?]? = state.withLock { state in
            state.replies[index] = single
            state.missing -= 1
            return state.missing == 0 ? state.replies : nil
        }
        if let complete { reply(RPCReply.batch(complete.compactMap { $0 })) }
    }
}

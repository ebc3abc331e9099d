import IPAM
import Ledger
import Measures
import NIOCore
import Synchronization
import TandemAPI

/// The state of one connection: its peer's identity, and its calls in flight. Thread-safe.
final class RPCSession: Asker {
    /// Calls in flight on one connection.
    static let maximumInFlight = 1024

    /// Bytes that one connection may hold, in answers that it has not taken above all; past it, its calls are refused. A client
    /// without a certificate may have the server keep little.
    var maximumHeldBytes: Int { identity == nil ? 4 * BufferBudget.ownBytes : 16 << 20 }

    let identity: Identity?
    /// Why a certificate that was shown gives no identity, in words that go on from "its subject".
    let nameFault: String?
    private let peer: SocketAddress?
    private let eventLoop: any EventLoop
    /// Relaxed everywhere: a count that orders nothing.
    private let inFlight = Atomic<Int>(0)
    private let held = Atomic<Int>(0)
    /// Calls refused because of a limit, or made by a stranger, since the last look.
    private let refusals = Atomic<Int>(0)
    /// Messages that came in whole, and answers that left.
    private let progress = Atomic<Int>(0)
    /// Messages that came.
    private let messages = Atomic<Int>(0)
    // Relaxed: it orders nothing. A call that does not see it yet is carried out, as one that came a moment earlier.
    private let isClosed = Atomic<Bool>(false)
    let budget: BufferBudget
    /// Those of all connections of the identity.
    let flow: ClientFlow
    /// Where this client's waiting calls continue, and work beyond its turn.
    let lane: LoopQueue.Lane

    /// `queue` is that of the event loop.
    init(
        identity: Identity?, nameFault: String? = nil, eventLoop: any EventLoop, peer: SocketAddress?,
        budget: BufferBudget, flow: ClientFlow = ClientFlow(), queue: LoopQueue? = nil
    ) {
        self.flow = flow
        lane = flow.lane(on: queue ?? LoopQueue(eventLoop))
        self.identity = identity
        self.nameFault = nameFault
        self.peer = peer
        self.eventLoop = eventLoop
        self.budget = budget
    }

    deinit {
        account(from: held.load(ordering: .relaxed), to: 0)
    }

    /// Where the client is: `192.0.2.7:40001`, `[2001:db8::7]:40001`.
    var peerText: String { Self.text(peer) }

    /// The caller for whom its lines of the log are counted.
    var lineCaller: LineLimits.Caller { identity.map { .user($0.user) } ?? .init(peer) }

    static func text(_ address: SocketAddress?) -> String {
        guard let address, var host = address.ipAddress, let port = address.port else { return "unknown" }
        // As a socket of both families shows a client over IPv4.
        if host.hasPrefix("::ffff:"), host.contains(".") { host.removeFirst("::ffff:".count) }
        return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    /// Bytes of one message: a client without a certificate may not make the server keep much.
    var maximumMessageBytes: Int { identity == nil ? 64 << 10 : RPCMessage.maximumBytes }

    var isIdle: Bool { inFlight.load(ordering: .relaxed) == 0 }

    /// Grows while the connection makes progress.
    var progressCount: Int { progress.load(ordering: .relaxed) }

    func noteProgress() { progress.wrappingAdd(1, ordering: .relaxed) }

    func countMessage() { messages.wrappingAdd(1, ordering: .relaxed) }

    /// The moment, where it is one of the calls to be timed: those of every eighth message.
    var timedStart: Moment? { messages.load(ordering: .relaxed) & 7 == 0 ? Moment.now() : nil }

    func noteRefusal() { refusals.wrappingAdd(1, ordering: .relaxed) }

    /// The cost of work for a client without a certificate: it is read again at the pace of clients with refused calls,
    /// so that all of his kind together leave most of the processor's time to the others.
    func noteIfStranger(calls: Int = 0, bytes: Int = 0) {
        guard identity == nil else { return }
        refusals.wrappingAdd(calls + bytes >> 12, ordering: .relaxed)
    }

    /// How many calls were refused because of a limit since this was asked last.
    func takeRefusals() -> Int {
        refusals.load(ordering: .relaxed) == 0 ? 0 : refusals.exchange(0, ordering: .relaxed)
    }

    // MARK: Waiting callers

    var hasLeft: Bool { isClosed.load(ordering: .relaxed) }

    /// The connection is closed: its calls that are not in the log yet are abandoned.
    func close() { isClosed.store(true, ordering: .relaxed) }

    // MARK: Memory kept for the client

    /// So many bytes more are kept, or fewer: of messages that are not whole, of calls in flight, of answers that the client
    /// has not read. Bytes held at the end are freed.
    func hold(_ bytes: Int) {
        guard bytes != 0 else { return }
        let change = held.wrappingAdd(bytes, ordering: .relaxed)
        // Each change goes on where another one ended, so that their sum is the bytes held, in whatever order they arrive.
        account(from: change.oldValue, to: change.newValue)
    }

    private func account(from old: Int, to new: Int) {
        let difference = budget.change(from: old, to: new)
        if difference != 0 { flow.buffered.wrappingAdd(difference, ordering: .relaxed) }
    }

    /// Why so many bytes can't be kept for the client; nil where they can. Strangers, which are one identity, have a budget of their own.
    func refusal(of bytes: Int) -> APIError? {
        budget.refusal(of: bytes, beside: identity == nil ? 0 : flow.buffered.load(ordering: .relaxed))
    }

    func release(_ bytes: Int) { hold(-bytes) }

    /// Throws RESOURCE_EXHAUSTED while too much is kept: for this client, or for all where it is one of those that hold it.
    func checkHeld() throws(APIError) {
        let held = held.load(ordering: .relaxed)
        guard held < maximumHeldBytes else {
            throw APIError(
                .resourceExhausted, reason: "TooMuchUnread",
                "\(maximumHeldBytes >> 10) KiB of calls under way and of answers that wait to be read are kept for this "
                    + "connection; read them, ask for smaller pages, or send fewer calls at a time", isRetryable: true)
        }
        if let refusal = refusal(of: held) { throw refusal }
    }

    /// Why the answer can't be kept for the client.
    func refusal(of result: Result<CallResult, APIError>) -> APIError? {
        guard case .success(let result) = result else { return nil }
        return refusal(of: result.json.count)
    }

    /// Counts the calls of one message. A message comes in where there is room for one call: a batch may pass the
    /// limit by its own length, or none of a full size could ever come in.
    func enter(_ calls: Int) -> Result<Void, APIError> {
        let before = inFlight.wrappingAdd(calls, ordering: .relaxed).oldValue
        guard before >= Self.maximumInFlight else { return .success(()) }
        return .failure(
            APIError(
                .resourceExhausted, reason: "TooManyInFlight",
                "\(Self.maximumInFlight) calls are under way on this connection; wait for answers, or open another",
                isRetryable: true))
    }

    func leave() {
        inFlight.wrappingSubtract(1, ordering: .relaxed)
    }

    /// A call of so many bytes is in flight though its caller was answered, and then no more.
    private func keepUnderWay(_ bytes: Int) {
        inFlight.wrappingAdd(1, ordering: .relaxed)
        hold(bytes)
    }

    private func letGo(_ bytes: Int) {
        leave()
        release(bytes)
    }

    /// With `timeoutMs`, the first of answer and deadline is told; a later one has no receiver. A call whose caller
    /// was told that its time is up stays in flight until the engine is done with it, so that the calls waiting there are limited.
    ///
    /// Returns the asker of the call, and the receiver of its answer. A call without an ID has no waiting client, and so is not abandoned
    /// either, unless its time runs out.
    func timed(_ call: Call, of bytes: Int, isAwaited: Bool, _ answer: @escaping Answer) -> ((any Asker)?, Answer) {
        let asker = isAwaited ? self : nil
        guard let milliseconds = call.timeoutMilliseconds else { return (asker, answer) }
        let first = TimedCaller(asker, answer)
        let deadline = eventLoop.scheduleTask(in: .milliseconds(Int64(milliseconds))) {
            // The bytes that its answer takes off, which is not the end of it.
            self.keepUnderWay(bytes)
            let isTold = first.tell(
                .failure(
                    APIError(
                        .deadlineExceeded, reason: "Timeout",
                        "\(call.method.rawValue) took longer than \(milliseconds) ms; "
                            + "ask again: a retry finds whatever was committed", isRetryable: true)))
            if !isTold { self.letGo(bytes) }
        }
        return (
            first,
            { result in
                deadline.cancel()
                if !first.tell(result) { self.letGo(bytes) }
            }
        )
    }
}

/// Passes on the first of several answers, and waits for no other.
private final class TimedCaller: Asker {
    private let answer: Mutex<Answer?>
    private let session: RPCSession?

    init(_ session: RPCSession?, _ answer: @escaping Answer) {
        self.answer = Mutex(answer)
        self.session = session
    }

    var hasLeft: Bool { session?.hasLeft ?? false || answer.withLock { $0 == nil } }

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

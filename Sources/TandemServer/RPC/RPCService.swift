import IPAM
import Ledger
import Measures
import NIOCore
import Synchronization
import TandemAPI

/// Runs messages of any connection against the engine: authorises, limits, counts, times out. Thread-safe.
final class RPCService: Sendable {
    private let engine: Engine
    private let metrics: CallMetrics
    private let health: Health
    private let records: CallRecords
    // Releasing when it falls and acquiring when it is read: a drain that finds no call left finds every answer on its way.
    private let calls = Atomic<Int>(0)

    init(engine: Engine, metrics: CallMetrics, health: Health, records: CallRecords) {
        self.engine = engine
        self.metrics = metrics
        self.health = health
        self.records = records
    }

    /// Parses one message, as `RPCMessage` does. Nothing is decoded of a call that the client may not make.
    func parse(_ bytes: UnsafeRawBufferPointer, from session: RPCSession) -> RPCMessage {
        session.countMessage()
        let start = session.timedStart
        let message = RPCMessage(parsing: bytes) { method, target throws(APIError) in
            _ = try Authorizer.authorize(method, target, for: session)
        }
        if let start { metrics.decoding.observe(Moment.now().since(start)) }
        return message
    }

    /// Calls in flight on all connections.
    var inFlight: Int { calls.load(ordering: .acquiring) }

    /// Notes a message, or a part of one, that is not answered call by call.
    func noteRefused(_ error: APIError, from session: RPCSession) {
        metrics.count(nil, error)
        session.noteIfStranger(calls: 1)
        records.noteRefused(nil, nil, session, error)
    }

    /// Runs every call of a message that came in `bytes` bytes; `reply` gets the answer once all of them are done, or nil
    /// where none is due. It runs exactly once, on any thread. The session holds the answer then, until it is released.
    ///
    /// `watches` is where a call of its own may begin a watch, and the event loop is then this thread's.
    ///
    /// False where a long batch goes on in later turns of the event loop; `begun` runs there once its last call has begun. A message
    /// that came behind it is to wait for that: its calls would overtake those of the batch.
    @discardableResult
    func handle(
        _ message: RPCMessage, of bytes: Int, from session: RPCSession, watches: WatchConnection? = nil,
        begun: @escaping @Sendable () -> Void = {},
        _ reply: @escaping @Sendable (RPCReply?) -> Void
    ) -> Bool {
        switch message {
        case .invalid(let error):
            noteRefused(error, from: session)
            let answer = RPCReply(id: nil, .failure(error))
            session.hold(answer.byteCount)
            reply(answer)
            return true
        case .single(let request):
            calls.wrappingAdd(1, ordering: .relaxed)
            let room = session.enter(1)
            session.hold(bytes)
            run(request, of: bytes, from: session, room, request.id == nil ? nil : watches) {
                [id = request.id] result in
                let answer = id.map { RPCReply(id: $0, result) }
                session.hold((answer?.byteCount ?? 0) - bytes)
                session.leave()
                reply(answer)
            }
            return true
        case .batch(let requests):
            // All of them from the start: a drain waits for those that have not begun as well.
            calls.wrappingAdd(requests.count, ordering: .relaxed)
            let room = session.enter(requests.count)
            session.hold(bytes)
            let batch = BatchReply(count: requests.count) { answer in
                // The bytes of a batch's answer beside its parts.
                session.hold((answer.map { $0.byteCount - $0.partBytes } ?? 0) - bytes)
                reply(answer)
            }
            return run(requests, from: 0, of: bytes / requests.count, from: session, room, batch, begun)
        }
    }

    /// Runs the calls of a batch from `start` on: as many at once as its client has credit for, but no longer than the loop may do without its sockets, and others when it is its turn again. Whether all
    /// have begun by now; else `begun` will run.
    private func run(
        _ requests: [RPCRequest], from start: Int, of bytes: Int, from session: RPCSession,
        _ room: Result<Void, APIError>, _ batch: BatchReply, _ begun: @escaping @Sendable () -> Void
    ) -> Bool {
        var next = start
        let begin = session.lane.time
        // One at least, or a batch would never end.
        repeat {
            let index = next
            let request = requests[index]
            run(request, of: bytes, from: session, room) { [id = request.id] result in
                let answer = id.map { RPCReply(id: $0, result) }
                session.hold(answer?.byteCount ?? 0)
                session.leave()
                batch.finish(index, answer)
            }
            session.lane.charge()
            next += 1
        } while next < requests.count && session.lane.hasCredit
            && session.lane.time.since(begin) <= LoopQueue.share
        guard next < requests.count else { return true }
        let rest = next
        session.lane.execute {
            if self.run(requests, from: rest, of: bytes, from: session, room, batch, begun) { begun() }
        }
        return false
    }

    private func run(
        _ request: RPCRequest, of bytes: Int, from session: RPCSession, _ room: Result<Void, APIError>,
        _ watches: WatchConnection? = nil,
        _ answer: @escaping @Sendable (Result<CallResult, APIError>) -> Void
    ) {
        let method = request.method
        let isChange = request.isChange
        let start = session.timedStart
        let finish: Answer = { result in
            // A retry might not get the answer of a change again: it is sent, however large.
            let refusal = isChange ? nil : session.refusal(of: result)
            self.metrics.count(method, refusal ?? result.failure)
            if let failure = refusal ?? result.failure, failure.isOverload { session.noteRefusal() }
            session.noteIfStranger(calls: 1)
            if let start { self.metrics.end(method, start) }
            self.records.note(request, method, session, result)
            if let refusal { self.records.noteRefused(request, method, session, refusal) }
            answer(refusal.map { .failure($0) } ?? result)
            // Behind the answer, which is on its way to the event loop now: a drain closes the connection behind it.
            self.calls.wrappingSubtract(1, ordering: .releasing)
        }
        do throws(APIError) {
            try room.get()
            try session.checkHeld()
            var call = try request.call.get()
            // Again, by the decoded call: a request may name one thing where it is scanned and another where it is decoded.
            let scope = try Authorizer.authorize(call.method, { call.target }, for: session)
            if call.method != .discover { try health.checkServing() }
            if case .listHolders(var query) = call.body, case .success(let identity) = session.caller {
                query.kinds = Authorizer.visibleHolders(identity)
                call.body = .listHolders(query)
            }
            let (asker, answer) = session.timed(call, of: bytes, isAwaited: request.id != nil, finish)
            if let watches, try perform(call, on: watches, for: asker, answer) { return }
            engine.perform(
                call, onlyNode: scope.onlyNode, of: session.flow.number, for: asker, on: session.lane, answer)
        } catch {
            finish(.failure(error))
        }
    }
}

extension RPCRequest {
    fileprivate var isChange: Bool { if case .success(let call) = call { call.isChange } else { false } }
}

extension RPCService {
    /// Begins or ends a watch; false where the call is another one.
    private func perform(
        _ call: Call, on watches: WatchConnection, for asker: (any Asker)?, _ answer: @escaping Answer
    ) throws(APIError) -> Bool {
        switch call.body {
        case .unwatch(let name):
            try watches.remove(name)
            answer(.success(CallResult { _ in }))
        case .watch(let query):
            let eventLoop = watches.hub.eventLoop
            let bound = NIOLoopBound(watches, eventLoop: eventLoop)
            let lane = watches.session.lane
            engine.beginWatch(query, on: lane) { start in
                // The connection is gone, or its time is up: then it has no client any more.
                guard !(asker?.hasLeft ?? false) else { return answer(.failure(.unavailable("the caller has left"))) }
                do throws(APIError) {
                    let start = try start.get()
                    let watch = NIOLoopBound(try bound.value.add(query, start), eventLoop: eventLoop)
                    answer(.success(.watch(watch.value.name, version: start.version)))
                    // Behind the answer.
                    lane.execute { watch.value.begin() }
                } catch {
                    answer(.failure(error))
                }
            }
        default: return false
        }
        return true
    }
}

extension APIError {
    /// A limit was reached that is there to hold down load, not one of a range of addresses.
    var isOverload: Bool { status == .resourceExhausted && isRetryable && reason != "RangeFull" }
}

extension Result {
    var failure: Failure? { if case .failure(let error) = self { error } else { nil } }
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

import Dispatch
import Foundation
import Glibc
public import Measures
import Synchronization

/// The log's one thread: gathers proposals, appends whatever has queued up while the group before found its place, and settles each
/// at its place in the log's order, other servers' proposals between them.
///
/// There is no timer: a lone proposal is appended at once, and under load the groups grow by themselves. Thread-safe;
/// `submit` and `fence` never block. Callbacks on the journal's thread must not do client-sized work.
public final class Journal: Sendable {
    /// A group whose outcome the log has not given yet.
    struct Flight {
        var entries: [JournalQueue.Entry]
        /// When it was handed to the log.
        var start: Moment
    }

    struct State {
        var queue = JournalQueue()
        var fences = JournalFences()
        /// The group in flight, one at a time.
        var flight: Flight?
        var isAsleep = false
        /// Whether the log may have something that was not asked for yet.
        var hasNews = false
        var isStopping = false
        /// When a stop leaves the rest of the tidying to the next start.
        var tidiesUntil: ContinuousClock.Instant?
        var fault: LedgerError?
        var impairment: LedgerError?
        var observers: [@Sendable (LedgerError) -> Void] = []
        var groups: UInt64 = 0
        var proposals: UInt64 = 0
    }

    let state = Mutex(State())
    // Releasing and acquiring: a thread that sees the failure was told of no change by then that is not stored.
    let failed = Atomic<Bool>(false)
    // Relaxed: a hint. It is written under the lock of the state that it speaks of.
    let congested = Atomic<Bool>(false)
    // Relaxed: a hint. When the log answered last, in nanoseconds.
    let answered: Atomic<UInt64>
    let wake = DispatchSemaphore(value: 0)
    let ended = DispatchSemaphore(value: 0)
    let log: any Log
    let now: @Sendable () -> Moment
    /// How long the journal is idle before it tidies up, in milliseconds.
    let idleMilliseconds: Int
    let foreign: @Sendable ([Proposal]) -> [Bool]
    let groupEnded: @Sendable () -> Void

    private let runsOwnThread: Bool
    let groupSizes = Histogram.sizes(bounds: 13)
    let groupTimes = Histogram.times()

    /// Starts the journal's thread; from here on no other thread may call the log.
    ///
    /// Without a thread of its own the journal does nothing but in `step` and `stop`, on the thread that calls them: for
    /// which decides the order of events itself. `now` tells how long the queue, and a fence, has waited. `foreign` gets other servers'
    /// proposals at their place and says for each whether it is kept; `groupEnded` runs once all of a group, or of an entry that another
    /// server appended, or of a fence's callers, has been told. Both on the journal's thread.
    public init(
        log: any Log, idleMilliseconds: Int = 200, runsOwnThread: Bool = true,
        now: @escaping @Sendable () -> Moment = Moment.now,
        foreign: @escaping @Sendable ([Proposal]) -> [Bool] = { $0.map { _ in false } },
        groupEnded: @escaping @Sendable () -> Void = {}
    ) {
        self.log = log
        self.now = now
        self.idleMilliseconds = idleMilliseconds
        self.runsOwnThread = runsOwnThread
        self.foreign = foreign
        self.groupEnded = groupEnded
        answered = Atomic(now().nanoseconds)
        // Weak: a log outlives a journal that was not stopped.
        log.start { [weak self] in self?.noteNews() }
        guard runsOwnThread else { return }
        log.startTidying()
        let thread = Thread {
            // Not by `Thread.name`: that has no effect before `start` has returned to its caller.
            if let name = fopen("/proc/thread-self/comm", "we") {
                fputs("tandem-journal", name)
                fclose(name)
            }
            self.run()
        }
        thread.start()
    }

    /// The same as `offer`, where `settle` also gets the refusal, before this returns.
    public func submit(
        _ proposal: Proposal, of flow: Flow = .server, for asker: (any Asker)? = nil, _ settle: @escaping Settlement
    ) {
        if let refusal = offer(proposal, of: flow, for: asker, settle) { _ = settle(.failure(refusal)) }
    }

    /// Queues a proposal; the order of a flow's submissions is the order of their places. Runs `settle` exactly once, on the journal's thread;
    /// or returns why the proposal is not even queued, and runs nothing. Where `asker` has left by the time at which the proposal would be
    /// appended, it is not, and `settle` gets an error.
    public func offer(
        _ proposal: Proposal, of flow: Flow = .server, for asker: (any Asker)? = nil, _ settle: @escaping Settlement
    ) -> LedgerError? {
        if let refusal = log.additionRefusal, proposal.puts { return refusal }
        let now = now()
        let entry = JournalQueue.Entry(
            work: .proposal(proposal, settle), flow: flow, asker: asker, since: now, bytes: proposal.encodedBytes)
        let (refusal, wakes): (LedgerError?, Bool) = state.withLock { state in
            if let refusal = state.queue.refusal(of: flow, now) {
                if refusal.code == .queueFull { congested.store(true, ordering: .relaxed) }
                return (refusal, false)
            }
            state.queue.append(entry)
            // While a group is in flight there is nothing to be done with it: its outcome wakes the thread.
            return (nil, state.flight == nil && state.isAsleep.take())
        }
        if wakes { wake.signal() }
        return refusal
    }

    /// Whether proposals of the flow are refused for now, as too many wait or have waited for too long: for a caller to know before
    /// it does the work that leads to one. Never waits for storage.
    public func isCongested(for flow: Flow = .server) -> Bool {
        guard congested.load(ordering: .relaxed) else { return false }
        let now = now()
        return state.withLock { $0.queue.isCongested(for: flow, now) }
    }

    /// Whether the log has answered within the last second, or has just been read: so long it is taken to be there. Never waits for storage.
    public var isAnswering: Bool {
        now().since(Moment(nanoseconds: answered.load(ordering: .relaxed)))
            < UInt64(JournalLimits.answeringMilliseconds) * 1_000_000
    }

    /// Has `body` run once everything that the log holds now is applied: before this returns where no other server appends, else on the
    /// journal's thread, and with an error where the log does not answer within two seconds or the journal ends meanwhile. Or returns why the
    /// log is not even asked, and runs nothing.
    public func fence(_ body: @escaping @Sendable (Result<Void, LedgerError>) -> Void) -> LedgerError? {
        guard log.isShared else {
            body(.success(()))
            return nil
        }
        let now = now()
        let (refusal, wakes) = state.withLock { state in
            if let closure = state.queue.closure { return (Optional(closure), false) }
            state.fences.add(now, body)
            // Behind a question that is asked the next one waits for its answer.
            return (nil, state.fences.wantsAsking && state.isAsleep.take())
        }
        if wakes { wake.signal() }
        return refusal
    }

    /// Runs `body` on the journal's thread once everything submitted before is settled; at once where the
    /// journal has stopped.
    public func flush(_ body: @escaping @Sendable () -> Void) {
        let now = now()
        let isQueued = state.withLock { state in
            guard !state.isStopping else { return false }
            state.queue.append(JournalQueue.Entry(work: .barrier(body), since: now))
            return true
        }
        if isQueued { rouse() } else { body() }
    }

    /// Appends the queued proposals, tidies up, closes the log, and returns when all that is done. Blocks; call it once,
    /// and not on the journal's thread.
    public func stop() {
        _ = stop(by: nil)
    }

    /// The same, but tidies up no longer than until `deadline`, and waits for storage no longer than two seconds more. False
    /// where the log has not answered by then: it is still in use.
    public func stop(by deadline: ContinuousClock.Instant?) -> Bool {
        state.withLock { state in
            state.isStopping = true
            state.queue.close(LedgerError(.stopped, "the server is shutting down"), isFault: false)
            state.tidiesUntil = deadline
        }
        guard runsOwnThread else {
            stopByHand()
            return true
        }
        rouse()
        guard let deadline else {
            ended.wait()
            return true
        }
        let seconds = (deadline + .seconds(2) - .now) / .seconds(1)
        return ended.wait(timeout: .now() + seconds) == .success
    }

    /// Takes the log's events, and appends one group where something is queued; where there is neither, does one step of tidying
    /// up. Returns whether there is more to do. Only for a journal without a thread of its own; one call at a time, on any thread.
    @discardableResult
    public func step() -> Bool {
        precondition(!runsOwnThread, "the journal's own thread does this")
        return turn(sleeps: false) == .hasWork
    }

    /// Why nothing can be appended any more; nil while all is well.
    public var fault: LedgerError? { state.withLock { $0.fault } }

    /// Whether `fault` says something; never waits.
    public var hasFailed: Bool { failed.load(ordering: .acquiring) }

    /// Why nothing could be appended last time; nil where storage works. It is tried again by itself, so that this heals without
    /// a caller.
    public var impairment: LedgerError? { state.withLock { $0.fault ?? $0.impairment } ?? log.trouble }

    /// Runs `body` when the journal fails for good; at once if it has failed already.
    public func onFailure(_ body: @escaping @Sendable (LedgerError) -> Void) {
        let fault = state.withLock { state in
            if state.fault == nil { state.observers.append(body) }
            return state.fault
        }
        if let fault { body(fault) }
    }

    /// Something may have come from the log.
    private func noteNews() {
        state.withLock { $0.hasNews = true }
        rouse()
    }

    private func rouse() {
        if state.withLock({ $0.isAsleep.take() }) { wake.signal() }
    }
}

extension Bool {
    /// Its value, which is false from then on.
    fileprivate mutating func take() -> Bool {
        defer { self = false }
        return self
    }
}

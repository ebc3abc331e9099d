import Dispatch
import Foundation
public import Metrics
import Synchronization

/// The one writer: gathers transactions and commits whatever has queued up while the commit before ran, in one group.
///
/// There is no timer: a lone transaction is committed at once, and under load the groups grow by themselves. Thread-safe;
/// `submit` never blocks. Acknowledgements run on the journal's thread, in the order of the submissions.
public final class Journal: Sendable {
    public typealias Acknowledgement = @Sendable (Result<CommitVerdict, LedgerError>) -> Void

    /// Transactions that may wait; one more is answered with `queueFull`.
    public static let maximumQueue = 65_536
    /// The same in bytes as they will be stored; the one that reaches it still waits.
    public static let maximumQueueBytes = 64 << 20
    /// How long the first of them may have waited, in milliseconds, before a further one is refused: storage that is that far
    /// behind would only make every caller wait longer, and callers who gave up would still be served.
    public static let maximumWaitMilliseconds = 2_000
    /// Transactions in one group: what a client at the end of a long queue waits for stays bounded.
    static let maximumGroup = 4_096
    /// The same in bytes; a group has one transaction at least.
    static let maximumGroupBytes = 16 << 20

    /// What a further transaction is refused with then. One value for all, as it is given most when there is the least time.
    public static let congestion = LedgerError(
        .queueFull,
        "storage is behind: \(maximumQueue) changes or \(maximumQueueBytes >> 20) MiB of them wait for it, or one for more than "
            + "\(maximumWaitMilliseconds) ms; try again in a moment")

    public struct Statistics: Sendable {
        /// Groups committed.
        public var groups: UInt64 = 0
        /// Transactions committed.
        public var records: UInt64 = 0
        /// Transactions that wait now.
        public var queued = 0
        /// How long the oldest transaction that is not committed has waited, in nanoseconds; 0 where there is none.
        public var lag: UInt64 = 0
        /// Transactions that the store's readable form is behind.
        public var backlog = 0
    }

    private struct Entry: Sendable {
        enum Work: Sendable {
            case transaction(LedgerTransaction, Acknowledgement)
            case barrier(@Sendable () -> Void)
        }

        var work: Work
        /// When it came.
        var since: Moment
        /// What it takes in storage.
        var bytes = 0

        var transaction: LedgerTransaction? {
            if case .transaction(let transaction, _) = work { transaction } else { nil }
        }
    }

    private struct State {
        var queue: [Entry] = []
        var transactions = 0
        /// Of all that wait.
        var bytes = 0
        var isAsleep = false
        var isStopping = false
        /// When a stop leaves the rest of the tidying to the next start.
        var tidiesUntil: ContinuousClock.Instant?
        var fault: LedgerError?
        var impairment: LedgerError?
        var observers: [@Sendable (LedgerError) -> Void] = []
        var statistics = Statistics()
        /// When the oldest of the group that is being committed came.
        var committingSince: Moment?

        /// Why a further transaction is not taken; nil where it is. O(1).
        func refusal(_ now: Moment) -> LedgerError? {
            if let fault { return LedgerError(fault.code, fault.message) }
            if isStopping { return LedgerError(.stopped, "the server is shutting down") }
            return isCongested(now) ? Journal.congestion : nil
        }

        /// What is committed next: all that waits, or as much of it as goes into one group.
        mutating func takeGroup() -> [Entry] {
            guard queue.count > Journal.maximumGroup || bytes > Journal.maximumGroupBytes else {
                defer { (queue, transactions, bytes) = ([], 0, 0) }
                return queue
            }
            var (end, taken) = (0, 0)
            while end < min(queue.count, Journal.maximumGroup) {
                taken += queue[end].bytes
                if end > 0, taken > Journal.maximumGroupBytes { break }
                end += 1
            }
            let group = Array(queue[..<end])
            queue.removeFirst(end)
            transactions -= group.count { $0.transaction != nil }
            bytes -= group.reduce(0) { $0 + $1.bytes }
            return group
        }

        /// Too many wait, or too much, or the first of them has waited for too long.
        func isCongested(_ now: Moment) -> Bool {
            if transactions >= Journal.maximumQueue || bytes >= Journal.maximumQueueBytes { return true }
            guard let first = queue.first else { return false }
            return now.since(first.since) > UInt64(Journal.maximumWaitMilliseconds) * 1_000_000
        }
    }

    private let state = Mutex(State())
    // Releasing and acquiring: who sees that it failed was not told of anything by then that is not stored.
    private let failed = Atomic<Bool>(false)
    // Relaxed: a hint. It is written under the lock of the state that it speaks of.
    private let congested = Atomic<Bool>(false)
    private let wake = DispatchSemaphore(value: 0)
    private let ended = DispatchSemaphore(value: 0)
    private let store: any LedgerStore
    private let now: @Sendable () -> Moment
    /// How long the journal is idle before it tidies up, in milliseconds.
    private let idleMilliseconds: Int

    private let runsOwnThread: Bool
    /// Transactions in each group committed.
    public let groupSizes = Histogram.sizes(bounds: 13)
    /// How long the store took for each group, in nanoseconds.
    public let groupTimes = Histogram.times()

    /// Starts the journal's thread; from here on nobody else may call the store.
    ///
    /// Without a thread of its own the journal does nothing but in `step` and `stop`, on the thread that calls them: for
    /// who decides himself what happens when. `now` tells how long the queue has waited.
    public init(
        store: any LedgerStore, idleMilliseconds: Int = 200, runsOwnThread: Bool = true,
        now: @escaping @Sendable () -> Moment = Moment.now
    ) {
        self.store = store
        self.now = now
        self.idleMilliseconds = idleMilliseconds
        self.runsOwnThread = runsOwnThread
        guard runsOwnThread else { return }
        let thread = Thread {
            // The system learns it only from the thread itself.
            Thread.current.name = "tandem-journal"
            self.run()
        }
        thread.start()
    }

    /// Queues a transaction; the order of submissions is the order of commits. Runs `acknowledge` exactly once.
    public func submit(_ transaction: LedgerTransaction, _ acknowledge: @escaping Acknowledgement) {
        let now = now()
        let bytes = transaction.encodedBytes
        let refusal: LedgerError? = state.withLock { state in
            if let refusal = state.refusal(now) {
                if refusal.code == .queueFull { congested.store(true, ordering: .relaxed) }
                return refusal
            }
            state.transactions += 1
            state.bytes += bytes
            state.queue.append(Entry(work: .transaction(transaction, acknowledge), since: now, bytes: bytes))
            return nil
        }
        if let refusal { acknowledge(.failure(refusal)) } else { rouse() }
    }

    /// Whether transactions are refused for now, as too many wait or have waited for too long: for a caller to know before
    /// it does the work that leads to one. Never waits.
    public var isCongested: Bool { congested.load(ordering: .relaxed) }

    /// Runs `body` on the journal's thread once everything submitted before is acknowledged or refused; at once where the
    /// journal has stopped.
    public func flush(_ body: @escaping @Sendable () -> Void) {
        let now = now()
        let isQueued = state.withLock { state in
            guard !state.isStopping else { return false }
            state.queue.append(Entry(work: .barrier(body), since: now))
            return true
        }
        if isQueued { rouse() } else { body() }
    }

    /// Commits what is queued, tidies up, closes the store, and returns when all that is done. Blocks; call it once,
    /// and not on the journal's thread.
    public func stop() {
        _ = stop(by: nil)
    }

    /// The same, but tidies up no longer than until `deadline`, and waits for storage no longer than two seconds more. False
    /// where the store has not answered by then: it is still in use.
    public func stop(by deadline: ContinuousClock.Instant?) -> Bool {
        state.withLock { state in
            state.isStopping = true
            state.tidiesUntil = deadline
        }
        guard runsOwnThread else {
            while turn(sleeps: false) != .ended {}
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

    /// Commits one group where something is queued, else does one step of tidying up; returns whether there is more to do.
    /// Only for a journal without a thread of its own; one call at a time, on any thread.
    @discardableResult
    public func step() -> Bool {
        precondition(!runsOwnThread, "the journal's own thread does this")
        return turn(sleeps: false) == .hasWork
    }

    /// Why nothing can be committed any more; nil while all is well.
    public var fault: LedgerError? { state.withLock { $0.fault } }

    /// Whether `fault` says something; never waits.
    public var hasFailed: Bool { failed.load(ordering: .acquiring) }

    /// Why nothing could be committed last time, and while its outcome is being found out; nil where storage works. It
    /// is tried again by itself, so that this heals without a caller.
    public var impairment: LedgerError? { state.withLock { $0.fault ?? $0.impairment } }

    /// Runs `body` when the journal fails for good; at once if it has failed already.
    public func onFailure(_ body: @escaping @Sendable (LedgerError) -> Void) {
        let fault = state.withLock { state in
            if state.fault == nil { state.observers.append(body) }
            return state.fault
        }
        if let fault { body(fault) }
    }

    public var statistics: Statistics {
        var (statistics, oldest) = state.withLock { state in
            var statistics = state.statistics
            statistics.queued = state.transactions
            return (statistics, state.committingSince ?? state.queue.first?.since)
        }
        if let oldest { statistics.lag = Moment.now().since(oldest) }
        statistics.backlog = store.backlog
        return statistics
    }

    private func rouse() {
        let isAsleep = state.withLock { state in
            defer { state.isAsleep = false }
            return state.isAsleep
        }
        if isAsleep { wake.signal() }
    }

    // MARK: The journal's thread

    private enum Next {
        case group([Entry])
        case idle
        case end
    }

    private enum Progress {
        case hasWork
        case isIdle
        case ended
    }

    private func run() {
        var progress = Progress.isIdle
        while progress != .ended { progress = turn(sleeps: progress == .isIdle) }
        ended.signal()
    }

    private func turn(sleeps: Bool) -> Progress {
        switch takeNext(sleepsIfEmpty: sleeps) {
        case .group(let entries):
            commit(entries)
            return maintain(isIdle: false) ? .hasWork : .isIdle
        case .idle:
            if state.withLock({ $0.impairment != nil }) { _ = outcome(of: []) }
            return maintain(isIdle: true) ? .hasWork : .isIdle
        case .end:
            let deadline = state.withLock { $0.tidiesUntil }
            while fault == nil, deadline.map({ .now < $0 }) ?? true, maintain(isIdle: true) {}
            store.close()
            return .ended
        }
    }

    private func takeNext(sleepsIfEmpty: Bool) -> Next {
        let next: Next? = state.withLock { state in
            defer { noteCongestion(state) }
            if state.queue.isEmpty {
                if state.isStopping { return .end }
                if !sleepsIfEmpty { return .idle }
                state.isAsleep = true
                return nil
            }
            let group = state.takeGroup()
            state.committingSince = group.first?.since
            return .group(group)
        }
        if let next { return next }
        if wake.wait(timeout: .now() + .milliseconds(idleMilliseconds)) == .success {
            return takeNext(sleepsIfEmpty: true)
        }
        // Somebody may rouse the journal just now: then the signal is there and must be taken.
        let wasRoused = state.withLock { state in
            defer { state.isAsleep = false }
            return !state.isAsleep
        }
        if wasRoused { wake.wait() }
        return .idle
    }

    /// Nothing is refused any more as soon as what is left in the queue allows it.
    private func noteCongestion(_ state: borrowing State) {
        guard isCongested, !state.isCongested(now()) else { return }
        congested.store(false, ordering: .relaxed)
    }

    private func commit(_ entries: [Entry]) {
        let transactions = entries.compactMap(\.transaction)
        let start = Moment.now()
        let outcome = transactions.isEmpty ? .success([]) : outcome(of: transactions)
        if !transactions.isEmpty { groupTimes.observe(Moment.now().since(start)) }
        state.withLock { $0.committingSince = nil }
        if case .success = outcome {
            if !transactions.isEmpty { groupSizes.observe(UInt64(transactions.count)) }
            state.withLock { state in
                state.statistics.groups += transactions.isEmpty ? 0 : 1
                state.statistics.records += UInt64(transactions.count)
            }
        }
        var index = 0
        for entry in entries {
            switch entry.work {
            case .barrier(let body): body()
            case .transaction(_, let acknowledge):
                acknowledge(outcome.map { $0[index] })
                index += 1
            }
        }
    }

    /// Commits, and finds out what happened where that is not known at once. Until then nothing is acknowledged.
    private func outcome(of transactions: [LedgerTransaction]) -> Result<[CommitVerdict], LedgerError> {
        if let fault { return .failure(LedgerError(fault.code, fault.message)) }
        do throws(LedgerError) {
            let verdicts = try store.commit(transactions)
            impair(nil)
            return .success(verdicts)
        } catch {
            impair(error)
            if error.code == .moved {
                fail(error)
                return .failure(error)
            }
            guard error.outcome == .unknown else { return .failure(error) }
            do throws(LedgerError) {
                if try store.resolve() { return .success(transactions.map { _ in .committed }) }
                return .failure(LedgerError(error.code, error.message))
            } catch let unresolved {
                let fault = LedgerError(
                    unresolved.code,
                    "\(error.message); and whether that change was kept can't be told: \(unresolved.message). "
                        + "Nothing more is acknowledged; a restart reads what is stored",
                    outcome: .unknown)
                fail(fault)
                return .failure(fault)
            }
        }
    }

    private func maintain(isIdle: Bool) -> Bool {
        guard fault == nil else { return false }
        do throws(LedgerError) {
            return try store.maintain(isIdle: isIdle)
        } catch {
            // A checkpoint that can't be made costs time at the next start and room on the disk, not an address: what
            // is journalled is safe. The next commit shows whether storage works. But on damaged pages nothing is built, nor
            // on files that are somewhere else.
            if error.code == .corrupt || error.code == .moved { fail(error) }
            return false
        }
    }

    private func impair(_ error: LedgerError?) {
        state.withLock { $0.impairment = error }
    }

    private func fail(_ fault: LedgerError) {
        failed.store(true, ordering: .releasing)
        let observers = state.withLock { state in
            state.fault = fault
            defer { state.observers = [] }
            return state.observers
        }
        for observer in observers { observer(fault) }
    }
}

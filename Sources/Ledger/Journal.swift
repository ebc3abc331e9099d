import Dispatch
import Foundation
import Synchronization

/// The one writer: gathers transactions and commits whatever has queued up while the commit before ran, in one group.
///
/// There is no timer: a lone transaction is committed at once, and under load the groups grow by themselves. Thread-safe;
/// `submit` never blocks. Acknowledgements run on the journal's thread, in the order of the submissions.
public final class Journal: Sendable {
    public typealias Acknowledgement = @Sendable (Result<CommitVerdict, LedgerError>) -> Void

    /// Transactions that may wait; one more is answered with `queueFull`.
    public static let maximumQueue = 65_536
    /// Transactions in one group: what a client at the end of a long queue waits for stays bounded.
    static let maximumGroup = 4_096

    public struct Statistics: Sendable {
        /// Groups committed.
        public var groups: UInt64 = 0
        /// Transactions committed.
        public var records: UInt64 = 0
        /// Transactions that wait now.
        public var queued = 0
    }

    private enum Entry: Sendable {
        case transaction(LedgerTransaction, Acknowledgement)
        case barrier(@Sendable () -> Void)
    }

    private struct State {
        var queue: [Entry] = []
        var transactions = 0
        var isAsleep = false
        var isStopping = false
        var fault: LedgerError?
        var impairment: LedgerError?
        var observers: [@Sendable (LedgerError) -> Void] = []
        var statistics = Statistics()
    }

    private let state = Mutex(State())
    // Releasing and acquiring: who sees that it failed was not told of anything by then that is not stored.
    private let failed = Atomic<Bool>(false)
    private let wake = DispatchSemaphore(value: 0)
    private let ended = DispatchSemaphore(value: 0)
    private let store: any LedgerStore
    /// How long the journal is idle before it tidies up, in milliseconds.
    private let idleMilliseconds: Int

    private let runsOwnThread: Bool

    /// Starts the journal's thread; from here on nobody else may call the store.
    ///
    /// Without a thread of its own the journal does nothing but in `step` and `stop`, on the thread that calls them: for
    /// who decides himself what happens when.
    public init(store: any LedgerStore, idleMilliseconds: Int = 200, runsOwnThread: Bool = true) {
        self.store = store
        self.idleMilliseconds = idleMilliseconds
        self.runsOwnThread = runsOwnThread
        guard runsOwnThread else { return }
        let thread = Thread { self.run() }
        thread.name = "tandem-journal"
        thread.start()
    }

    /// Queues a transaction; the order of submissions is the order of commits. Runs `acknowledge` exactly once.
    public func submit(_ transaction: LedgerTransaction, _ acknowledge: @escaping Acknowledgement) {
        let refusal: LedgerError? = state.withLock { state in
            if let fault = state.fault { return LedgerError(fault.code, fault.message) }
            if state.isStopping { return LedgerError(.stopped, "the server is shutting down") }
            guard state.transactions < Self.maximumQueue else {
                return LedgerError(
                    .queueFull, "\(Self.maximumQueue) changes wait for storage already; try again in a moment")
            }
            state.transactions += 1
            state.queue.append(.transaction(transaction, acknowledge))
            return nil
        }
        if let refusal { acknowledge(.failure(refusal)) } else { rouse() }
    }

    /// Runs `body` on the journal's thread once everything submitted before is acknowledged; at once where the journal
    /// has stopped or failed.
    public func flush(_ body: @escaping @Sendable () -> Void) {
        let isQueued = state.withLock { state in
            guard state.fault == nil, !state.isStopping else { return false }
            state.queue.append(.barrier(body))
            return true
        }
        if isQueued { rouse() } else { body() }
    }

    /// Commits what is queued, tidies up, closes the store, and returns when all that is done. Blocks; call it once,
    /// and not on the journal's thread.
    public func stop() {
        state.withLock { $0.isStopping = true }
        guard runsOwnThread else {
            while turn(sleeps: false) != .ended {}
            return
        }
        rouse()
        ended.wait()
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
        state.withLock { state in
            var statistics = state.statistics
            statistics.queued = state.transactions
            return statistics
        }
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
            while fault == nil, maintain(isIdle: true) {}
            store.close()
            return .ended
        }
    }

    private func takeNext(sleepsIfEmpty: Bool) -> Next {
        let next: Next? = state.withLock { state in
            if state.queue.isEmpty {
                if state.isStopping { return .end }
                if !sleepsIfEmpty { return .idle }
                state.isAsleep = true
                return nil
            }
            guard state.queue.count > Self.maximumGroup else {
                defer { state.queue = [] }
                state.transactions = 0
                return .group(state.queue)
            }
            let group = Array(state.queue[..<Self.maximumGroup])
            state.queue.removeFirst(Self.maximumGroup)
            state.transactions -= group.reduce(0) { if case .transaction = $1 { $0 + 1 } else { $0 } }
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

    private func commit(_ entries: [Entry]) {
        var transactions: [LedgerTransaction] = []
        for case .transaction(let transaction, _) in entries { transactions.append(transaction) }
        let outcome = transactions.isEmpty ? .success([]) : outcome(of: transactions)
        if case .success = outcome {
            state.withLock { state in
                state.statistics.groups += transactions.isEmpty ? 0 : 1
                state.statistics.records += UInt64(transactions.count)
            }
        }
        var index = 0
        for entry in entries {
            switch entry {
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
            // is journalled is safe. The next commit shows whether storage works. But on damaged pages nothing is built.
            if error.code == .corrupt { fail(error) }
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

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
    /// How long the first of them may have waited, in milliseconds, before a further one is refused: storage that is that far
    /// behind would only make every caller wait longer, and callers who gave up would still be served.
    public static let maximumWaitMilliseconds = 2_000
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
        /// With the time of its submission.
        case transaction(LedgerTransaction, Acknowledgement, UInt64)
        case barrier(@Sendable () -> Void)
    }

    private struct State {
        var queue: [Entry] = []
        var transactions = 0
        var isAsleep = false
        var isStopping = false
        var fault: LedgerError?
        var observers: [@Sendable (LedgerError) -> Void] = []
        var statistics = Statistics()

        /// The first in the queue has waited for too long.
        func isLate(_ now: UInt64) -> Bool {
            for case .transaction(_, _, let submitted) in queue.prefix(1) {
                return now > submitted + UInt64(Journal.maximumWaitMilliseconds) * 1_000_000
            }
            return false
        }
    }

    private let state = Mutex(State())
    private let wake = DispatchSemaphore(value: 0)
    private let ended = DispatchSemaphore(value: 0)
    private let store: any LedgerStore
    private let now: @Sendable () -> UInt64
    /// How long the journal is idle before it tidies up, in milliseconds.
    private let idleMilliseconds: Int

    /// Starts the journal's thread; from here on nobody else may call the store.
    ///
    /// `now` is a clock of nanoseconds that never goes back; the machine's own unless given.
    public init(
        store: any LedgerStore, idleMilliseconds: Int = 200,
        now: (@Sendable () -> UInt64)? = nil
    ) {
        self.store = store
        self.now = now ?? { DispatchTime.now().uptimeNanoseconds }
        self.idleMilliseconds = idleMilliseconds
        let thread = Thread { self.run() }
        thread.name = "tandem-journal"
        thread.start()
    }

    /// Queues a transaction; the order of submissions is the order of commits. Runs `acknowledge` exactly once.
    public func submit(_ transaction: LedgerTransaction, _ acknowledge: @escaping Acknowledgement) {
        let now = now()
        let refusal: LedgerError? = state.withLock { state in
            if let fault = state.fault { return LedgerError(fault.code, fault.message) }
            if state.isStopping { return LedgerError(.stopped, "the server is shutting down") }
            guard state.transactions < Self.maximumQueue else {
                return LedgerError(
                    .queueFull, "\(Self.maximumQueue) changes wait for storage already; try again in a moment")
            }
            guard !state.isLate(now) else {
                return LedgerError(
                    .queueFull,
                    "changes wait for storage for more than \(Self.maximumWaitMilliseconds) ms; try again in a moment")
            }
            state.transactions += 1
            state.queue.append(.transaction(transaction, acknowledge, now))
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
        rouse()
        ended.wait()
    }

    /// Why nothing can be committed any more; nil while all is well.
    public var fault: LedgerError? { state.withLock { $0.fault } }

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

    private func run() {
        var hasWork = false
        while true {
            switch takeNext(sleepsIfEmpty: !hasWork) {
            case .group(let entries):
                commit(entries)
                hasWork = maintain(isIdle: false)
            case .idle:
                hasWork = maintain(isIdle: true)
            case .end:
                while fault == nil, maintain(isIdle: true) {}
                store.close()
                ended.signal()
                return
            }
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
        for case .transaction(let transaction, _, _) in entries { transactions.append(transaction) }
        let outcome = outcome(of: transactions)
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
            case .transaction(_, let acknowledge, _):
                acknowledge(outcome.map { $0[index] })
                index += 1
            }
        }
    }

    /// Commits, and finds out what happened where that is not known at once. Until then nothing is acknowledged.
    private func outcome(of transactions: [LedgerTransaction]) -> Result<[CommitVerdict], LedgerError> {
        guard !transactions.isEmpty else { return .success([]) }
        if let fault { return .failure(LedgerError(fault.code, fault.message)) }
        do throws(LedgerError) {
            return .success(try store.commit(transactions))
        } catch {
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
            // is journalled is safe. The next commit shows whether storage works.
            return false
        }
    }

    private func fail(_ fault: LedgerError) {
        let observers = state.withLock { state in
            state.fault = fault
            defer { state.observers = [] }
            return state.observers
        }
        for observer in observers { observer(fault) }
    }
}

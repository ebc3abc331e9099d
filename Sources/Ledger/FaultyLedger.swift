import Synchronization

/// A ledger in memory that fails when it is told to: for tests of what stands above it.
///
/// It keeps what it says it keeps, in the same form, and forgets everything else as a crash would.
public final class FaultyLedger: LedgerStore {
    public enum Fault: Sendable, Equatable {
        /// Each transaction of the group is refused: other servers hold what it would have held.
        case refused
        /// The group is not kept, and says so.
        case notCommitted
        /// The group is kept, but nobody can tell before `resolve`.
        case unknownButKept
        /// The group is lost, but nobody can tell before `resolve`.
        case unknownAndLost
        /// Nobody can tell, not even `resolve`.
        case unresolvable
    }

    private struct State {
        var objects: [RecordKey: LedgerRecord] = [:]
        var version: UInt64 = 0
        var groups = 0
        var answer: Result<Bool, LedgerError> = .success(false)
    }

    private let state = Mutex(State())
    private let fault: @Sendable (Int) -> Fault?

    /// `fault` says what befalls the group of a number, counted from 0; nil for nothing.
    public init(_ fault: @escaping @Sendable (Int) -> Fault? = { _ in nil }) {
        self.fault = fault
    }

    /// What a server that starts now would find.
    public var stored: [LedgerRecord] { state.withLock { Array($0.objects.values) } }

    public func recover(_ body: @Sendable (RecoveredObject) throws -> Void) throws -> UInt64 {
        let (records, version) = state.withLock { (Array($0.objects.values), $0.version) }
        for record in records.sorted(by: { $0.kind.rawValue < $1.kind.rawValue }) {
            try RecoveredObject.lend(record, to: body)
        }
        return version
    }

    public func commit(_ transactions: [LedgerTransaction]) throws(LedgerError) -> [CommitVerdict] {
        let fault = state.withLock { state in
            defer { state.groups += 1 }
            return self.fault(state.groups)
        }
        switch fault {
        case nil:
            keep(transactions)
            return transactions.map { _ in .committed }
        case .refused:
            return transactions.map { .refused(taken: $0.holdings) }
        case .notCommitted:
            throw LedgerError(.full, "the disk is full")
        case .unknownButKept:
            keep(transactions)
            state.withLock { $0.answer = .success(true) }
        case .unknownAndLost:
            state.withLock { $0.answer = .success(false) }
        case .unresolvable:
            state.withLock { $0.answer = .failure(LedgerError(.inputOutput, "the disk is gone", outcome: .unknown)) }
        }
        throw LedgerError(.inputOutput, "the disk did not answer", outcome: .unknown)
    }

    public func resolve() throws(LedgerError) -> Bool {
        try state.withLock { $0.answer }.get()
    }

    public func maintain(isIdle: Bool) throws(LedgerError) -> Bool { false }

    public func close() {}

    private func keep(_ transactions: [LedgerTransaction]) {
        state.withLock { state in
            for record in transactions.flatMap(\.records) {
                state.version = max(state.version, record.version)
                if case .put = record.change {
                    state.objects[RecordKey(record)] = record
                } else {
                    state.objects[RecordKey(record)] = nil
                }
            }
        }
    }
}

extension LedgerTransaction {
    fileprivate var holdings: [Holding] {
        records.flatMap { record -> [Holding] in
            if case .put(_, _, let holdings) = record.change { holdings } else { [] }
        }
    }
}

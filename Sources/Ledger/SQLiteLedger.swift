import Foundation
import GRDB
import Synchronization

/// A ledger in one SQLite database: an append-only journal that makes a change durable, and readable tables that a
/// checkpoint brings up to it.
///
/// Write-ahead logging with `synchronous=FULL`: a commit has reached the disk when it returns. Calls block, and come from
/// one thread at a time.
public final class SQLiteLedger: LedgerStore {
    /// Changes that may wait in the journal while commits keep coming: folding them into the tables costs ten times
    /// what journalling them did, so that it is left to idle moments for as long as a recovery stays quick.
    static let maximumBacklog = 65_536
    /// Records in one row of the journal: the transactions of a group are kept together, and so they may lie together; a
    /// row each would cost more than all the rest of a commit. A transaction with more has a row of its own.
    static let recordsPerRow = 64
    /// Records folded in one step, and two for each transaction since the step before where that is more, so that the
    /// backlog shrinks: a commit that comes meanwhile waits for a few milliseconds, or for as long as its own group takes.
    static let stepSize = 128
    /// Groups after which the write-ahead log is copied into the database even under load: commits wait for the copy, so
    /// that it must stay short. Benchmarks.md has what other numbers cost.
    static let logWeightLimit = 64
    /// Rows whose folding fills the log about as much as a group.
    static let foldedRowsPerGroup = 16

    struct State {
        var queue: DatabaseQueue?
        /// The number of the newest transaction; a row of the journal has that of its last one.
        var sequence: Int64 = 0
        /// The newest transaction that the tables have caught up with.
        var folded: Int64 = 0
        /// The newest row when `maintain` was called last.
        var maintained: Int64 = 0
        /// How much the log has grown since it was copied, in groups.
        var logWeight = 0
        var lock: DirectoryLock?
    }

    let path: String
    // Calls come from one thread at a time; the lock is never waited for.
    let state: Mutex<State>

    /// Opens or makes the database of a directory, which is made if need be, and holds the directory until `close`.
    public init(directory: String) throws(LedgerError) {
        let lock = try DirectoryLock(directory)
        path = "\(directory)/tandem.db"
        state = Mutex(State(lock: lock))
        let queue = try Self.open(path)
        let (sequence, folded) = try Self.converting(path, .notCommitted) {
            try queue.inDatabase { db in
                let folded = try Int64.fetchOne(db, sql: "SELECT value FROM meta WHERE name = 'seq'") ?? 0
                let newest = try Int64.fetchOne(db, sql: "SELECT max(seq) FROM journal") ?? 0
                return (max(newest, folded), folded)
            }
        }
        state.withLock { state in
            state.queue = queue
            state.sequence = sequence
            state.folded = folded
            state.maintained = sequence
        }
    }

    private static func open(_ path: String) throws(LedgerError) -> DatabaseQueue {
        var configuration = Configuration()
        configuration.busyMode = .timeout(5)
        configuration.allowsUnsafeTransactions = true  // a COMMIT that failed is rolled back by hand
        configuration.prepareDatabase { db in
            try db.execute(sql: "PRAGMA journal_mode = WAL")
            // Every commit waits for the disk...
            try db.execute(sql: "PRAGMA synchronous = FULL")
            // ...and none for the log to be copied: that is done between commits.
            try db.execute(sql: "PRAGMA wal_autocheckpoint = 0")
            try db.execute(sql: "PRAGMA journal_size_limit = 67108864")
        }
        return try converting(path, .notCommitted) {
            let queue = try DatabaseQueue(path: path, configuration: configuration)
            try queue.writeWithoutTransaction { db in try Schema.prepare(db, at: path) }
            return queue
        }
    }

    // MARK: Commit

    public func commit(_ transactions: [LedgerTransaction]) throws(LedgerError) -> [CommitVerdict] {
        let queue = try opened()
        var sequence = state.withLock { $0.sequence }
        var isCommitting = false
        do {
            try queue.writeWithoutTransaction { db in
                try db.cachedStatement(sql: "BEGIN IMMEDIATE").execute()
                do {
                    let insert = try db.cachedStatement(sql: "INSERT INTO journal (seq, record) VALUES (?, ?)")
                    var rest = transactions[...]
                    while !rest.isEmpty {
                        let row = Self.nextRow(of: &rest)
                        sequence += Int64(row.count)
                        try insert.execute(arguments: [sequence, Data(RecordCoding.encode(row))])
                    }
                    isCommitting = true
                    try db.cachedStatement(sql: "COMMIT").execute()
                } catch {
                    if db.isInsideTransaction { try? db.execute(sql: "ROLLBACK") }
                    throw error
                }
            }
        } catch {
            // Until COMMIT nothing can have been kept; what COMMIT itself did before it failed is not known.
            throw Self.converted(error, path, isCommitting ? .unknown : .notCommitted)
        }
        state.withLock { state in
            state.sequence = sequence
            state.logWeight += 1
        }
        return transactions.map { _ in .committed }
    }

    /// Takes off as many transactions as go into one row: at least one.
    private static func nextRow(of rest: inout ArraySlice<LedgerTransaction>) -> ArraySlice<LedgerTransaction> {
        var records = 0
        var end = rest.startIndex
        while end < rest.endIndex, end == rest.startIndex || records + rest[end].records.count <= recordsPerRow {
            records += rest[end].records.count
            end += 1
        }
        defer { rest = rest[end...] }
        return rest[..<end]
    }

    public func resolve() throws(LedgerError) -> Bool {
        state.withLock { $0.queue = nil }
        let queue = try Self.open(path)
        let newest = try Self.converting(path, .unknown) {
            try queue.writeWithoutTransaction { db in
                // What the log holds must be on the disk before anybody is told of it.
                try db.execute(sql: "PRAGMA wal_checkpoint(FULL)")
                return try Int64.fetchOne(
                    db,
                    sql: "SELECT max(coalesce((SELECT max(seq) FROM journal), 0), value) FROM meta WHERE name = 'seq'")
                    ?? 0
            }
        }
        return state.withLock { state in
            // A group is kept whole or not at all, so that one new row speaks for all of it.
            let isKept = newest > state.sequence
            state.queue = queue
            state.sequence = newest
            return isKept
        }
    }

    public func close() {
        let queue = state.withLock { state in
            defer { state.queue = nil }
            return state.queue
        }
        try? queue?.writeWithoutTransaction { db in try db.execute(sql: "PRAGMA wal_checkpoint(TRUNCATE)") }
        try? queue?.close()
        state.withLock { $0.lock = nil }
    }

    // MARK: Inside

    func opened() throws(LedgerError) -> DatabaseQueue {
        guard let queue = state.withLock({ $0.queue }) else {
            throw LedgerError(.stopped, "\(path) is closed")
        }
        return queue
    }

    static func converting<Value>(
        _ path: String, _ outcome: LedgerError.Outcome, _ body: () throws -> Value
    ) throws(LedgerError) -> Value {
        do {
            return try body()
        } catch {
            throw converted(error, path, outcome)
        }
    }

    /// SQLite's error in this program's words.
    static func converted(_ error: any Error, _ path: String, _ outcome: LedgerError.Outcome) -> LedgerError {
        if let error = error as? LedgerError { return error }
        guard let error = error as? DatabaseError else { return LedgerError(.inputOutput, "\(path): \(error)") }
        let said = error.message ?? "\(error.resultCode)"
        switch error.resultCode {
        case .SQLITE_FULL:
            return LedgerError(.full, "\(path): the disk is full; make room on it", outcome: outcome)
        case .SQLITE_NOTADB:
            return LedgerError(
                .notOurs, "\(path) is not a database; give another directory, or restore a backup", outcome: outcome)
        case .SQLITE_CORRUPT:
            return LedgerError(
                .corrupt, "\(path) is damaged (\(said)); nothing was changed: restore a backup", outcome: outcome)
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            return LedgerError(
                .locked, "\(path) is locked by another program; let go of it there", outcome: outcome)
        case .SQLITE_READONLY, .SQLITE_CANTOPEN, .SQLITE_PERM:
            return LedgerError(.unwritable, "\(path) can't be written: \(said)", outcome: outcome)
        default:
            return LedgerError(.inputOutput, "\(path): \(said)", outcome: outcome)
        }
    }
}

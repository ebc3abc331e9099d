import Foundation
import GRDB
import Synchronization

/// A log in one SQLite database, of one server: an append-only journal that makes proposals durable, and readable tables that a
/// checkpoint brings up to it.
///
/// Write-ahead logging with `synchronous=FULL`: a group has reached the disk when `append` returns and its `.landed` is there, in
/// the file that lies at its path. Calls block but for `next`, and come from one thread at a time.
public final class SQLiteLog: Log {
    /// Changes that may wait in the journal while commits keep coming: folding them into the tables costs ten times
    /// what journalling them did, so that it is left to idle moments for as long as a recovery stays quick.
    static let maximumBacklog = 65_536
    /// The same in bytes of the journal: of large objects far fewer may wait.
    static let maximumBacklogBytes = 64 << 20
    /// Proposals in one row of the journal, and its bytes: those of a group are kept together, and so they may lie together; a row
    /// each would cost more than all the rest of a commit. A larger proposal has a row of its own.
    static let proposalsPerRow = 64
    static let bytesPerRow = 1 << 20
    /// Changes folded in one step, and two for each proposal since the step before where that is more, so that the
    /// backlog shrinks: a commit that comes meanwhile waits for a few milliseconds, or for as long as its own group takes.
    static let stepSize = 128
    /// The same for bytes: a step ends with the first row that fills it.
    static let stepBytes = 1 << 20
    /// Groups after which the write-ahead log is copied into the database even under load: commits wait for the copy, so
    /// that it must stay short. Benchmarks.md has what other numbers cost.
    static let logWeightLimit = 64
    /// Rows whose folding fills the log about as much as a group.
    static let foldedRowsPerGroup = 16
    /// Bytes that weigh as much as a group.
    static let bytesPerGroup = 1 << 20
    /// A log that is longer than this is cut short once it is copied and nothing is to be done; to grow again costs time.
    static let keptLogBytes = 16 << 20

    /// How far something is, counted from the same beginning.
    struct Position {
        /// The number of a proposal; a row of the journal has that of its last one.
        var sequence: Int64 = 0
        /// Bytes of the journal's rows up to there.
        var bytes = 0
    }

    struct State {
        var connections: Connections?
        /// The newest proposal.
        var newest = Position()
        /// The newest proposal that the tables have caught up with.
        var folded = Position()
        /// The newest before the group that landed last.
        var beforeGroup: Int64 = 0
        /// What `next` gives.
        var event: LogEvent?
        /// Of those that are not folded for certain: a fold reaches the disk with the commit behind it.
        var refused = RefusedProposals()
        /// Whether nobody has said yet which of the journal's proposals are kept, so that nothing may be folded.
        var awaitsReplay = false
        /// The newest when `maintain` was called last.
        var maintained = Position()
        /// How much the log has grown since it was copied, in groups.
        var logWeight = 0
        /// Whether room may have become free in the file since that was last looked for.
        var mayHaveRoom = true
        var lock: DirectoryLock?
    }

    let path: String
    /// The database and the lock that keeps other servers out: what must lie at these paths until `close`.
    private let files: [OpenFile]
    // Calls come from one thread at a time; the lock is never waited for.
    let state: Mutex<State>

    /// Opens or makes the database of a directory, which is made if need be, and holds the directory until `close`.
    public init(directory: String) throws(LedgerError) {
        let lock = try DirectoryLock(directory)
        let files = DataFiles(directory: directory)
        path = files.database
        state = Mutex(State(lock: lock))
        files.removeUnfinished()
        if try OpenFile(files.database) == nil, try OpenFile(files.log) != nil {
            throw LedgerError(
                .corrupt,
                "\(files.log) is there, and its database \(files.database) is not: put that back; or, to start anew or with "
                    + "--restore FILE, move the other away")
        }
        try DataFiles.make(files.database)
        files.narrow()
        self.files = try OpenFile.lying(at: [files.database, files.lock])
        let connections = try Connections(path, self.files)
        let (newest, folded) = try Self.converting(path, .notCommitted) {
            try connections.commits.inDatabase { db in
                try Space.rebuildIfSparse(db)
                return try Self.ends(db)
            }
        }
        state.withLock { state in
            state.connections = connections
            state.newest = newest
            state.folded = folded
            state.maintained = newest
            state.awaitsReplay = newest.sequence > folded.sequence
            // A log that an earlier process left is to be copied.
            state.logWeight = 1
        }
    }

    /// The end of the journal, and of what is folded, behind which its rows begin; bytes are counted from `foldedBytes`. O(rows).
    static func ends(_ db: Database, foldedBytes: Int = 0) throws -> (newest: Position, folded: Position) {
        let folded = try Int64.fetchOne(db, sql: "SELECT value FROM meta WHERE name = 'seq'") ?? 0
        let last = try Int64.fetchOne(db, sql: "SELECT max(seq) FROM journal") ?? 0
        let bytes = try Int.fetchOne(db, sql: "SELECT sum(length(record)) FROM journal") ?? 0
        return (
            Position(sequence: max(last, folded), bytes: foldedBytes + bytes),
            Position(sequence: folded, bytes: foldedBytes)
        )
    }

    // MARK: Appending

    public func append(_ group: [Proposal]) {
        let event: LogEvent
        do throws(LedgerError) {
            try commit(group)
            event = .landed
        } catch {
            event = outcome(of: error)
        }
        state.withLock { $0.event = event }
    }

    public func next() -> LogEvent? { state.withLock { $0.event.take() } }

    public func noteRefused(_ index: Int) {
        state.withLock { state in
            let number = state.beforeGroup + 1 + Int64(index)
            precondition(number <= state.newest.sequence, "the group has no such proposal")
            state.refused.add(number)
        }
    }

    private func commit(_ group: [Proposal]) throws(LedgerError) {
        let connections = try opened()
        let before = state.withLock { $0.newest }
        var newest = before
        var isCommitting = false
        do {
            try connections.commits.writeWithoutTransaction { db in
                try db.cachedStatement(sql: "BEGIN IMMEDIATE").execute()
                do {
                    let insert = try db.cachedStatement(sql: "INSERT INTO journal (seq, record) VALUES (?, ?)")
                    var rest = group[...]
                    while !rest.isEmpty {
                        let row = Self.nextRow(of: &rest)
                        let record = Data(EntryCoding.encode(row, isSealed: true))
                        newest.sequence += Int64(row.count)
                        newest.bytes += record.count
                        try insert.execute(arguments: [newest.sequence, record])
                    }
                    if group.isEmpty {
                        // Written though it changes nothing.
                        try db.execute(sql: "PRAGMA user_version = \(Schema.version)")
                    }
                    isCommitting = true
                    try db.cachedStatement(sql: "COMMIT").execute()
                } catch {
                    if db.isInsideTransaction { try? db.execute(sql: "ROLLBACK") }
                    throw error
                }
            }
        } catch {
            // Until COMMIT nothing can have been kept; how far a COMMIT came before it failed is not known. But where the
            // disk was full a write did not fit, and the log never got the last frame, without which no other counts.
            let isFull = (error as? DatabaseError)?.resultCode == .SQLITE_FULL
            let outcome = isCommitting && !isFull ? LedgerError.Outcome.unknown : .notCommitted
            try checkInPlace(outcome)
            throw Self.converted(error, path, outcome)
        }
        // Behind the commit: a file that is moved away from here on has the group in it.
        try checkInPlace(.unknown)
        state.withLock { state in
            state.beforeGroup = before.sequence
            state.newest = newest
            state.refused.forget(through: state.folded.sequence)
            state.logWeight += max(1, (newest.bytes - before.bytes) / Self.bytesPerGroup)
        }
    }

    /// Takes off as many proposals as go into one row: at least one.
    private static func nextRow(of rest: inout ArraySlice<Proposal>) -> ArraySlice<Proposal> {
        var bytes = 0
        var end = rest.startIndex
        while end < rest.endIndex {
            bytes += rest[end].encodedBytes
            if end > rest.startIndex, end - rest.startIndex >= proposalsPerRow || bytes > bytesPerRow { break }
            end += 1
        }
        defer { rest = rest[end...] }
        return rest[..<end]
    }

    /// What became of a group whose commit gave an error: where that does not say it, the database is read again. Of a file that
    /// is not in its place nothing more is found out.
    private func outcome(of error: LedgerError) -> LogEvent {
        guard error.outcome == .unknown, error.code != .moved else { return .failed(error) }
        do throws(LedgerError) {
            return try hasLanded() ? .landed : .failed(error.with(.notCommitted))
        } catch let unresolved {
            return .failed(
                LedgerError(
                    unresolved.code,
                    "\(error.message); and whether that change was kept can't be told: \(unresolved.message). "
                        + "Nothing more is acknowledged; a restart reads what is stored",
                    outcome: .unknown))
        }
    }

    /// Reads the database again and says whether the last group was kept. Throws where even that can't be told.
    func hasLanded() throws(LedgerError) -> Bool {
        // The database that is opened by its path must be the one that the group was for.
        try checkInPlace(.unknown)
        let (old, foldedBytes) = state.withLock { state in
            defer { state.connections = nil }
            return (state.connections, state.folded.bytes)
        }
        old?.close(copiesLog: false)
        let connections = try Connections(path, files)
        let (newest, folded) = try Self.converting(path, .unknown) {
            try connections.commits.writeWithoutTransaction { db in
                // What the log holds must be on the disk before anybody is told of it: not in the log, whose pages the
                // system may take for written since it failed to write them, but in the database, to the last page.
                guard try Bool.fetchOne(db, sql: "PRAGMA wal_checkpoint(FULL)") == false else {
                    throw LedgerError(.locked, "\(path) is being read by another program", outcome: .unknown)
                }
                return try Self.ends(db, foldedBytes: foldedBytes)
            }
        }
        return state.withLock { state in
            // A group is kept whole or not at all, so that one new row speaks for all of it.
            let isKept = newest.sequence > state.newest.sequence
            state.connections = connections
            state.beforeGroup = state.newest.sequence
            state.newest = newest
            // More than was known, where a fold was kept though its commit failed.
            state.folded = folded
            return isKept
        }
    }

    public func close() {
        let connections = state.withLock { state in
            defer { state.connections = nil }
            return state.connections
        }
        connections?.close(copiesLog: true)
        state.withLock { $0.lock = nil }
    }

    // MARK: Inside

    func opened() throws(LedgerError) -> Connections {
        guard let connections = state.withLock({ $0.connections }) else {
            throw LedgerError(.stopped, "\(path) is closed")
        }
        return connections
    }

    /// Throws where a file of the database, or the lock that keeps other servers out, is not at its path any more.
    func checkInPlace(_ outcome: LedgerError.Outcome) throws(LedgerError) {
        if let connections = state.withLock({ $0.connections }) {
            try connections.checkInPlace(outcome)
        } else {
            try OpenFile.check(files, outcome)
        }
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
        guard let error = error as? DatabaseError else {
            return LedgerError(.inputOutput, "\(path): \(error)", outcome: outcome, cause: error)
        }
        let said = error.message ?? "\(error.resultCode)"
        switch error.resultCode {
        case .SQLITE_FULL:
            return LedgerError(.full, "\(path): the disk is full; make room on it", outcome: outcome, cause: error)
        case .SQLITE_NOTADB:
            return LedgerError(
                .notOurs, "\(path) is not a database; give another directory, or restore a backup", outcome: outcome,
                cause: error)
        case .SQLITE_CORRUPT:
            return LedgerError(
                .corrupt,
                "\(path) is damaged\(Damage.place(in: path)) (\(said)); nothing was changed: \(Damage.cure)",
                outcome: outcome, cause: error)
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            return LedgerError(
                .locked, "\(path) is locked by another program; let go of it there", outcome: outcome, cause: error)
        case .SQLITE_READONLY, .SQLITE_CANTOPEN, .SQLITE_PERM:
            return LedgerError(.unwritable, "\(path) can't be written: \(said)", outcome: outcome, cause: error)
        default:
            return LedgerError(.inputOutput, "\(path): \(said)", outcome: outcome, cause: error)
        }
    }
}

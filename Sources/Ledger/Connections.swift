import GRDB
import GRDBSQLite
import Synchronization

/// The two connections to one database, of one thread that never has a transaction open on both.
///
/// Whether a connection waits for the disk is settled when it is opened, and never changed after: `commits` does each time,
/// `folds` for no commit. The write-ahead log is one and the same, so that the next commit brings to the disk what folds
/// wrote before it. Each connection forgets its pages when the other has written; those are still in the system's memory.
final class Connections: Sendable {
    let commits: DatabaseQueue
    /// What must lie at its path for as long as the connections are open.
    private let files: [OpenFile]
    private let path: String
    /// Opened when it is needed, and closed once it has failed: a transaction that could not be rolled back ends there.
    /// The lock is never waited for.
    private let folds = Mutex<DatabaseQueue?>(nil)

    /// Opens the database that lies at the path, and brings it to this program's version where it is empty or older. It and
    /// the others of `files` must stay at their paths, and so must its log.
    init(_ path: String, _ files: [OpenFile]) throws(LedgerError) {
        self.path = path
        commits = try SQLiteLedger.converting(path, .notCommitted) {
            var configuration = Configuration()
            configuration.busyMode = .timeout(5)
            configuration.allowsUnsafeTransactions = true  // a COMMIT that failed is rolled back by hand
            let queue = try DatabaseQueue(path: path, configuration: configuration)
            try queue.writeWithoutTransaction { db in
                try Schema.verify(db, at: path)
                try Space.prepare(db)
                try Self.prepare(db)
                // Every commit waits for the disk.
                try db.execute(sql: "PRAGMA synchronous = FULL")
                try Schema.migrate(db)
            }
            return queue
        }
        // Both are there since the log was first looked into.
        self.files = files + (try OpenFile.lying(at: [path + "-wal", path + "-shm"]))
        try checkInPlace(.notCommitted)
    }

    private static func prepare(_ db: Database) throws {
        try db.execute(sql: "PRAGMA journal_mode = WAL")
        // No commit waits for the log to be copied: that is done between commits.
        try db.execute(sql: "PRAGMA wal_autocheckpoint = 0")
        try db.execute(sql: "PRAGMA journal_size_limit = 67108864")
    }

    /// Throws where a file is not at its path any more. A system call for each.
    func checkInPlace(_ outcome: LedgerError.Outcome) throws(LedgerError) { try OpenFile.check(files, outcome) }

    /// Runs `body` on the connection whose commits need not reach the disk by themselves. It waits for nobody else who holds
    /// the database: what it is for can be tried again.
    func fold<Value>(_ body: (Database) throws -> Value) throws(LedgerError) -> Value {
        do {
            return try SQLiteLedger.converting(path, .notCommitted) {
                try foldingQueue().writeWithoutTransaction { db in try body(db) }
            }
        } catch {
            closeFolds()
            throw error
        }
    }

    private func foldingQueue() throws -> DatabaseQueue {
        if let queue = folds.withLock({ $0 }) { return queue }
        try checkInPlace(.notCommitted)
        let queue = try DatabaseQueue(path: path)
        try checkInPlace(.notCommitted)
        try queue.writeWithoutTransaction { db in
            try Self.prepare(db)
            try db.execute(sql: "PRAGMA synchronous = NORMAL")
        }
        folds.withLock { $0 = queue }
        return queue
    }

    private func closeFolds() {
        let queue = folds.withLock { folds in
            defer { folds = nil }
            return folds
        }
        try? queue?.close()
    }

    /// Copies the log into the database where that is asked for, and closes both connections.
    func close(copiesLog: Bool) {
        closeFolds()
        try? commits.writeWithoutTransaction { db in
            // SQLite deletes the log by its path, at which another database's may lie by now.
            do { try checkInPlace(.notCommitted) } catch {
                var keepsLog: CInt = 1
                sqlite3_file_control(db.sqliteConnection, nil, SQLITE_FCNTL_PERSIST_WAL, &keepsLog)
            }
            if copiesLog { try db.execute(sql: "PRAGMA wal_checkpoint(TRUNCATE)") }
        }
        try? commits.close()
    }
}

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
    /// The same without symbolic links.
    private let real: String
    /// Where the write-ahead log lies.
    let log: String
    /// Opened when it is needed, and closed once it has failed: a transaction that could not be rolled back ends there.
    /// The lock is never waited for.
    private let folds = Mutex<DatabaseQueue?>(nil)

    /// Opens the database that lies at the path, and brings it to this program's version where it is empty or older; a file
    /// must be there. It and the others of `files` must stay at their paths, and so must its log.
    init(_ path: String, _ files: [OpenFile]) throws(LedgerError) {
        let real = DataFiles.real(path)
        (self.path, self.real) = (path, real)
        log = real + "-wal"
        commits = try SQLiteLog.converting(path, .notCommitted) {
            let queue = try Self.open(real, files, .timeout(5))
            try queue.writeWithoutTransaction { db in
                try Schema.verify(db, at: path)
                try Space.prepare(db)
                try Self.prepare(db)
                // Every commit waits for the disk.
                try db.execute(sql: "PRAGMA synchronous = FULL")
                try Schema.migrate(db, path)
            }
            return queue
        }
        // Both are there since the log was first looked into.
        self.files = files + (try OpenFile.lying(at: [log, real + "-shm"]))
        try checkInPlace(.notCommitted)
    }

    /// Opens the database at a path without symbolic links, and makes none. Throws where one of `files` is not in its place.
    private static func open(
        _ real: String, _ files: [OpenFile], _ busyMode: Database.BusyMode
    ) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.busyMode = busyMode
        // A COMMIT that failed is rolled back by hand; and a ROLLBACK that failed leaves a transaction to the closing.
        configuration.allowsUnsafeTransactions = true
        let queue = Result { try DatabaseQueue(path: name(real), configuration: configuration) }
        // First, as it says more of a file that is not there; and before anything is written.
        try OpenFile.check(files, .notCommitted)
        return try queue.get()
    }

    /// A file's name for SQLite that lets it make no file: as a URI, the only way that GRDB leaves. Where SQLite is built
    /// without them only an empty file could be made, in the moment after the last look at the path.
    private static func name(_ path: String) -> String {
        guard sqlite3_compileoption_used("USE_URI") != 0 else { return path }
        let plain = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/-._~".utf8)
        let escaped = path.utf8.map { byte in
            plain.contains(byte)
                ? String(UnicodeScalar(byte)) : "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }
        return "file:\(path.hasPrefix("/") ? "//" : "")\(escaped.joined())?mode=rw"
    }

    private static func prepare(_ db: Database) throws {
        try db.execute(sql: "PRAGMA journal_mode = WAL")
        // No commit waits for the log to be copied: that is done between commits.
        try db.execute(sql: "PRAGMA wal_autocheckpoint = 0")
        try db.execute(sql: "PRAGMA journal_size_limit = 67108864")
    }

    /// Throws where a file is not at its path any more. A system call for each.
    func checkInPlace(_ outcome: LedgerError.Outcome) throws(LedgerError) { try OpenFile.check(files, outcome) }

    /// Runs `body` on the connection whose commits need not reach the disk by themselves. It waits for no other
    /// program that holds the database: a fold can be tried again.
    func fold<Value>(_ body: (Database) throws -> Value) throws(LedgerError) -> Value {
        do {
            return try SQLiteLog.converting(path, .notCommitted) {
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
        let queue = try Self.open(real, files, .immediateError)
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

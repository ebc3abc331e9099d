import GRDB
import GRDBSQLite
import Synchronization

/// The connection to one database. Every transaction is on the disk when it ends, as the write-ahead log is synced behind each
/// (`synchronous=FULL`). Thread-safe: callers wait for one another; work that no commit may wait for is not done here.
///
/// A connection that has failed is closed, which ends any transaction that could not be rolled back, and the next use opens another. How far
/// a transaction came that failed is not known then. So all of the log is copied into the database before any caller is told its contents:
/// the system may take pages of the log for written since it failed to write them.
final class Connection: Sendable {
    private struct State {
        var queue: DatabaseQueue?
        var isClosed = false
        /// Whether something failed that may be there all the same.
        var isDoubtful = false
    }

    let path: String
    /// The same without symbolic links.
    private let real: String
    /// Where the write-ahead log lies.
    let log: String
    private let state = Mutex(State())
    /// The database and the other files of its directory that must stay in place.
    private let lasting: [OpenFile]
    /// And the log and its index, while there are any.
    private let files: Mutex<[OpenFile]>

    /// Opens the database that lies at the path, and brings it to this program's version where it is empty or older; a file must be there.
    /// It and the others of `files` must stay at their paths, and so must its log.
    init(_ path: String, _ files: [OpenFile]) throws(LedgerError) {
        self.path = path
        real = DataFiles.real(path)
        log = real + "-wal"
        lasting = files
        self.files = Mutex(files)
        // Left by an end that may have been one of a disk that failed.
        let isLeft = OpenFile.bytes(log) > 0
        try LedgerError.converting(path, .notCommitted) {
            let queue = try open { db in
                try Schema.verify(db, at: path)
                try Space.prepare(db)
            }
            try queue.writeWithoutTransaction { db in
                try Schema.migrate(db, path)
                if isLeft { try settle(db) }
                try Space.rebuildIfSparse(db)
            }
            state.withLock { $0.queue = queue }
        }
    }

    /// Opens the database, and makes none. Throws where one of the files is not in its place.
    private func open(_ look: (Database) throws -> Void) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.busyMode = .timeout(1)
        // A COMMIT that failed is rolled back by hand; and a ROLLBACK that failed leaves a transaction to the closing.
        configuration.allowsUnsafeTransactions = true
        let queue = Result { try DatabaseQueue(path: Self.name(real), configuration: configuration) }
        // First, as it says more of a file that is not there; and before anything is written.
        try OpenFile.check(lasting, .notCommitted)
        try queue.get().writeWithoutTransaction { db in
            try look(db)
            try db.execute(sql: "PRAGMA journal_mode = WAL")
            try db.execute(sql: "PRAGMA synchronous = FULL")
            // The default of SQLite. Debian's build overwrites all that is deleted with zeros, writes each freed page, and clears each new one.
            try db.execute(sql: "PRAGMA secure_delete = OFF")
            // 16 MiB: the log is copied into the database by the transaction that makes it longer.
            try db.execute(sql: "PRAGMA wal_autocheckpoint = 4096")
            try db.execute(sql: "PRAGMA journal_size_limit = 67108864")
            // Makes log and index, where there are none.
            _ = try Int.fetchOne(db, sql: "PRAGMA user_version")
        }
        let files = lasting + (try OpenFile.lying(at: [log, real + "-shm"]))
        try OpenFile.check(files, .notCommitted)
        self.files.withLock { $0 = files }
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

    /// Throws where a file is not at its path any more. A system call for each.
    func checkInPlace(_ outcome: LedgerError.Outcome) throws(LedgerError) {
        // Under the lock, so that none is closed and deleted meanwhile.
        try files.withLock { files throws(LedgerError) in try OpenFile.check(files, outcome) }
    }

    /// Runs `body`, which begins its transaction where it writes more than one statement, and ends it. Blocks.
    func run<Value: Sendable>(_ body: (Database) throws -> Value) throws(LedgerError) -> Value {
        try state.withLock { state throws(LedgerError) in
            var isStuck = false
            do throws(LedgerError) {
                return try LedgerError.converting(path, .notCommitted) {
                    try queue(&state).writeWithoutTransaction { db in
                        do { return try body(db) } catch {
                            if db.isInsideTransaction { try? db.execute(sql: "ROLLBACK") }
                            isStuck = db.isInsideTransaction
                            throw error
                        }
                    }
                }
            } catch {
                // A transaction that could not begin left nothing.
                if error.code != .locked || isStuck { close(&state) }
                throw error
            }
        }
    }

    /// Lends the connection to a start, which only reads; rethrows the errors of `body`.
    func read<Value: Sendable>(_ body: (Database) throws -> Value) throws -> Value {
        try state.withLock { state in
            do {
                return try queue(&state).inDatabase(body)
            } catch let error as DatabaseError {
                throw LedgerError.converted(error, path, .notCommitted)
            }
        }
    }

    private func queue(_ state: inout State) throws -> DatabaseQueue {
        if let queue = state.queue { return queue }
        guard !state.isClosed else { throw LedgerError(.stopped, "\(path) is closed") }
        let queue = try open { _ in }
        do {
            if state.isDoubtful {
                try queue.writeWithoutTransaction { try settle($0) }
                state.isDoubtful = false
            }
        } catch {
            close(queue, copiesLog: false)
            throw error
        }
        state.queue = queue
        return queue
    }

    private func close(_ state: inout State) {
        guard let queue = state.queue.take() else { return }
        state.isDoubtful = true
        close(queue, copiesLog: false)
    }

    /// Copies the log into the database, and closes the connection for good.
    func close() {
        state.withLock { state in
            state.isClosed = true
            if let queue = state.queue.take() { close(queue, copiesLog: true) }
        }
    }

    /// The database's content is on the disk from here on: not in the log that there was, but in the database, to the last page; and another
    /// log has been begun, so that nothing of the old one is ever taken for newer.
    private func settle(_ db: Database) throws {
        guard try Bool.fetchOne(db, sql: "PRAGMA wal_checkpoint(TRUNCATE)") == false else {
            throw LedgerError(.locked, "\(path) is being read by another program; let go of it there")
        }
        // Written though it changes nothing.
        try db.execute(sql: "PRAGMA user_version = \(Schema.version)")
    }

    /// Log and index go with the last connection.
    private func close(_ queue: DatabaseQueue, copiesLog: Bool) {
        let isInPlace = (try? checkInPlace(.notCommitted)) != nil
        files.withLock { $0 = lasting }
        try? queue.writeWithoutTransaction { db in
            // SQLite deletes the log by its path, at which another database's may lie by now.
            if !isInPlace {
                var keepsLog: CInt = 1
                sqlite3_file_control(db.sqliteConnection, nil, SQLITE_FCNTL_PERSIST_WAL, &keepsLog)
            }
            if copiesLog { try db.execute(sql: "PRAGMA wal_checkpoint(TRUNCATE)") }
        }
        try? queue.close()
    }
}

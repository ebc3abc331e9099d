import GRDB
import Glibc

/// Makes a backup of another log than a database: its state as of one place, written into a new database, from which
/// `Backup.restore` starts one. Calls block, and come from one thread at a time.
public final class BackupWriter {
    private let file: String
    private let queue: DatabaseQueue

    /// Makes the file, for its owner alone.
    public init(_ file: String) throws(LedgerError) {
        self.file = file
        try DataFiles.make(file)
        queue = try LedgerError.converting(file, .notCommitted) {
            let queue = try DatabaseQueue(path: file)
            try queue.writeWithoutTransaction { db in
                // An unfinished file is no backup, and the next start does not take it for one: nothing waits for the disk.
                try db.execute(sql: "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")
                try Space.prepare(db)
                try Schema.migrate(db, file)
            }
            return queue
        }
    }

    /// Objects of the folded form, each once. O(bytes).
    public func put(_ records: [StoredRecord]) throws(LedgerError) {
        // Versions are the records' own.
        var step = FoldStep(version: 0)
        for record in records { step.add(record) }
        try fold(step)
    }

    /// The changes after the folded form, in order. O(bytes).
    public func fold(_ step: FoldStep) throws(LedgerError) {
        try write { db in try step.write(to: db) }
    }

    /// Ends the backup; `version` is the highest one that was given.
    public func finish(version: UInt64) throws(LedgerError) {
        try write { db in
            try db.execute(
                sql: "UPDATE meta SET value = ? WHERE name = 'version'", arguments: [Int64(bitPattern: version)])
        }
        try LedgerError.converting(file, .notCommitted) { try queue.close() }
    }

    /// Removes the written file.
    public func discard() {
        try? queue.close()
        unlink(file)
    }

    private func write(_ body: (Database) throws -> Void) throws(LedgerError) {
        try LedgerError.converting(file, .notCommitted) {
            try queue.write { db in try body(db) }
        }
    }
}

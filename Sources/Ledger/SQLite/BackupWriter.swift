import GRDB

/// Makes a backup of what another log than a database holds: what it has as of one place, written into a new database, from which
/// `Backup.restore` starts one. Calls block, and come from one thread at a time.
public final class BackupWriter {
    private let file: String
    private let queue: DatabaseQueue

    /// Makes the file, for its owner alone.
    public init(_ file: String) throws(LedgerError) {
        self.file = file
        try DataFiles.make(file)
        queue = try SQLiteLog.converting(file, .notCommitted) {
            let queue = try DatabaseQueue(path: file)
            try queue.writeWithoutTransaction { db in
                // What a crash leaves of it is no backup and is not taken for one: nothing waits for the disk.
                try db.execute(sql: "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")
                try Space.prepare(db)
                try Schema.migrate(db, file)
            }
            return queue
        }
    }

    /// Objects of the folded form, each once. O(bytes).
    public func put(_ records: [StoredRecord]) throws(LedgerError) {
        try write { db in
            for record in records {
                try db.cachedStatement(sql: Self.inserts[record.kind]!).execute(arguments: [
                    record.key.key, Int64(bitPattern: record.version), Int64(bitPattern: record.created),
                    Holding.text(record.form.holdings), String(decoding: record.form.context, as: UTF8.self),
                    String(decoding: record.form.document, as: UTF8.self),
                ])
                if record.isReleasing {
                    try db.cachedStatement(sql: "UPDATE nodes SET releasing = 1 WHERE key = ?")
                        .execute(arguments: [record.key.key])
                }
            }
        }
    }

    /// What came behind the folded form, in its order. O(bytes).
    public func fold(_ step: FoldStep) throws(LedgerError) {
        try write { db in try step.write(to: db) }
    }

    /// Ends the backup; `version` is the highest one that was given.
    public func finish(version: UInt64) throws(LedgerError) {
        try write { db in
            try db.execute(
                sql: "UPDATE meta SET value = ? WHERE name = 'version'", arguments: [Int64(bitPattern: version)])
        }
        try SQLiteLog.converting(file, .notCommitted) { try queue.close() }
    }

    private static let inserts = Dictionary(
        uniqueKeysWithValues: RecordKind.allCases.map { kind in
            (
                kind,
                "INSERT INTO \(kind.table) (key, version, created, holdings, context, document) VALUES (?, ?, ?, ?, ?, ?)"
            )
        })

    private func write(_ body: (Database) throws -> Void) throws(LedgerError) {
        try SQLiteLog.converting(file, .notCommitted) {
            try queue.write { db in try body(db) }
        }
    }
}

import Dispatch
import Foundation
import GRDB
import GRDBSQLite
import Synchronization

/// Recovery: the tables as of the last checkpoint, overridden by what the journal holds since.
///
/// One thread reads rows and copies them into batches; what is done with the rows is done by as many threads as there are
/// cores.
extension SQLiteLedger {
    public func recover(_ body: @Sendable (RecoveredObject) throws -> Void) throws -> UInt64 {
        let queue = try opened().commits
        let start = state.withLock { $0.folded }
        do {
            return try queue.inDatabase { db in
                let stored = UInt64(
                    clamping: try Int64.fetchOne(db, sql: "SELECT value FROM meta WHERE name = 'version'") ?? 0)
                var newer = NewerRecords()
                _ = try Self.readJournal(db, after: start, path) { records, _ in
                    for record in records { newer.add(record) }
                    return true
                }
                guard newer.version <= Schema.maximumNumber else {
                    throw damaged("the version \(newer.version) in the table journal is out of range")
                }
                for kind in ObjectKind.allCases {
                    try recover(kind, unless: newer, upTo: stored, db, body)
                }
                return max(stored, newer.version)
            }
        } catch let error as DatabaseError {
            throw Self.converted(error, path, .notCommitted)
        }
    }

    private func recover(
        _ kind: ObjectKind, unless newer: NewerRecords, upTo version: UInt64, _ db: Database,
        _ body: @Sendable (RecoveredObject) throws -> Void
    ) throws {
        let select = try db.makeStatement(
            sql: "SELECT version, key, holdings, context, document FROM \(kind.table)")
        // withoutActuallyEscaping: `Workers.run` returns when all have ended.
        try withoutActuallyEscaping(body) { body in
            try Workers.run { workers in
                var batch = RowBatch()
                while try Self.step(select, db) {
                    batch.append(select.sqliteStatement)
                    guard batch.isFull else { continue }
                    try workers.hand(batch) { try self.recover($0, kind, unless: newer, upTo: version, body) }
                    batch = RowBatch()
                }
                try workers.hand(batch) { try self.recover($0, kind, unless: newer, upTo: version, body) }
                let records = newer.records.values.filter { $0.kind == kind }
                for start in stride(from: 0, to: records.count, by: 1024) {
                    try workers.hand(records[start..<min(start + 1024, records.count)]) { records in
                        for record in records { try RecoveredObject.lend(record, to: body) }
                    }
                }
            }
        }
    }

    private static func step(_ statement: Statement, _ db: Database) throws -> Bool {
        switch sqlite3_step(statement.sqliteStatement) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        case let code:
            throw DatabaseError(
                resultCode: ResultCode(rawValue: code), message: String(cString: sqlite3_errmsg(db.sqliteConnection)))
        }
    }

    private func recover(
        _ batch: RowBatch, _ kind: ObjectKind, unless newer: NewerRecords, upTo newest: UInt64,
        _ body: (RecoveredObject) throws -> Void
    ) throws {
        try batch.visit { version, key, holdings, context, document in
            guard !newer.contains(kind, key) else { return }
            guard version <= newest else {
                throw damaged("\(kind.table).version of \(String(decoding: key, as: UTF8.self)) was never given")
            }
            guard let held = Holding.parse(holdings) else {
                throw damaged("\(kind.table).holdings of \(String(decoding: key, as: UTF8.self)) can't be read")
            }
            try body(
                RecoveredObject(
                    kind: kind, key: key, version: version, document: document, context: context, holdings: held))
        }
    }

    private func damaged(_ what: String) -> LedgerError {
        LedgerError(.corrupt, "\(path): \(what); nothing was changed: restore a backup, or mend the tables by hand")
    }
}

/// The journal's last word on each object that it speaks of.
private struct NewerRecords: Sendable {
    private(set) var records: [RecordKey: LedgerRecord] = [:]
    /// The highest of all that came.
    private(set) var version: UInt64 = 0
    /// Hashes of the keys: most rows of the tables are not among them, which is seen without making a string.
    private var hashes: Set<Int> = []

    /// Takes the place of what came before on the same object.
    mutating func add(_ record: LedgerRecord) {
        records[RecordKey(record)] = record
        version = max(version, record.version)
        var key = record.key
        hashes.insert(key.withUTF8 { Self.hash(UnsafeRawBufferPointer($0)) })
    }

    func contains(_ kind: ObjectKind, _ key: UnsafeRawBufferPointer) -> Bool {
        !hashes.isEmpty && hashes.contains(Self.hash(key))
            && records[RecordKey(kind, String(decoding: key, as: UTF8.self))] != nil
    }

    private static func hash(_ key: UnsafeRawBufferPointer) -> Int {
        var hasher = Hasher()
        hasher.combine(bytes: key)
        return hasher.finalize()
    }
}

/// Rows of a table, copied: their columns' bytes one behind the other.
private struct RowBatch: Sendable {
    private var bytes: [UInt8] = []
    private var rows: [(version: UInt64, ends: (Int, Int, Int, Int))] = []

    var isFull: Bool { bytes.count > 256 << 10 }

    mutating func append(_ row: SQLiteStatement) {
        if bytes.isEmpty { bytes.reserveCapacity(320 << 10) }
        rows.append(
            (
                UInt64(bitPattern: sqlite3_column_int64(row, 0)),
                (appendColumn(1, row), appendColumn(2, row), appendColumn(3, row), appendColumn(4, row))
            ))
    }

    private mutating func appendColumn(_ index: Int32, _ row: SQLiteStatement) -> Int {
        // SQLite's bytes are there until the next step; the text's length is asked for after the text.
        let text = sqlite3_column_text(row, index)
        bytes.append(contentsOf: UnsafeBufferPointer(start: text, count: Int(sqlite3_column_bytes(row, index))))
        return bytes.count
    }

    func visit(
        _ body: (
            _ version: UInt64, _ key: UnsafeRawBufferPointer, _ holdings: UnsafeRawBufferPointer,
            _ context: UnsafeRawBufferPointer, _ document: UnsafeRawBufferPointer
        ) throws -> Void
    ) rethrows {
        try bytes.withUnsafeBytes { bytes in
            var start = 0
            for (version, ends) in rows {
                func column(_ from: Int, _ to: Int) -> UnsafeRawBufferPointer {
                    UnsafeRawBufferPointer(rebasing: bytes[from..<to])
                }
                try body(
                    version, column(start, ends.0), column(ends.0, ends.1), column(ends.1, ends.2),
                    column(ends.2, ends.3))
                start = ends.3
            }
        }
    }
}

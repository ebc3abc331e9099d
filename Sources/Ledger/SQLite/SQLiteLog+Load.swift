import Dispatch
import Foundation
import GRDB
import GRDBSQLite
import Synchronization

/// A start: the tables as of the last checkpoint, then the later changes of the journal: rows of an earlier release, then groups.
///
/// One thread reads rows and copies them into batches; the rows are processed by as many threads as there are
/// cores.
extension SQLiteLog {
    public func load(_ body: @Sendable (StoredObject) throws -> Void) throws -> UInt64 {
        try connection.read { db in
            let newest = try JournalRows.folded(db).version
            for kind in RecordKind.allCases { try load(kind, upTo: newest, db, body) }
            return newest
        }
    }

    public func replay(_ body: (Proposal) throws -> Bool) throws {
        var refused = RefusedProposals()
        func take(_ proposals: [Proposal], from first: Int64) throws {
            for (number, proposal) in zip(first..., proposals) where try !body(proposal) { refused.add(number) }
        }
        try connection.read { db in
            try JournalRows.read(db, after: JournalRows.folded(db).sequence, path) { proposals, first in
                try take(proposals, from: first)
                return true
            }
        }
        let memory = AlignedMemory()
        for place in backlogState.withLock({ $0.unfolded }) {
            try take(place.proposals(memory), from: place.header.first)
        }
        backlogState.withLock { $0.replayed(refused) }
    }

    private func load(
        _ kind: RecordKind, upTo version: UInt64, _ db: Database, _ body: @Sendable (StoredObject) throws -> Void
    ) throws {
        let releasing = kind == .node ? "releasing" : "0"
        let select = try db.makeStatement(
            sql: """
                SELECT version, coalesce(created, version), \(releasing), key, holdings, context, document
                FROM \(kind.table)
                """)
        // withoutActuallyEscaping: `Workers.run` returns when all have ended.
        try withoutActuallyEscaping(body) { body in
            try Workers.run { workers in
                var batch = RowBatch()
                while try Self.step(select, db) {
                    batch.append(select.sqliteStatement)
                    guard batch.isFull else { continue }
                    try workers.hand(batch) { try self.lend($0, kind, upTo: version, body) }
                    batch = RowBatch()
                }
                try workers.hand(batch) { try self.lend($0, kind, upTo: version, body) }
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

    private func lend(
        _ batch: RowBatch, _ kind: RecordKind, upTo newest: UInt64, _ body: (StoredObject) throws -> Void
    ) throws {
        try batch.visit { row, key, holdings, context, document in
            guard row.version <= newest, row.created <= row.version else {
                throw damaged("\(kind.table).version of \(String(decoding: key, as: UTF8.self)) was never given")
            }
            guard let held = Holding.parse(holdings) else {
                throw damaged("\(kind.table).holdings of \(String(decoding: key, as: UTF8.self)) can't be read")
            }
            try body(
                StoredObject(
                    kind: kind, key: key, version: row.version, created: row.created, isReleasing: row.isReleasing,
                    document: document, context: context, holdings: held))
        }
    }

    private func damaged(_ what: String) -> LedgerError {
        LedgerError(.corrupt, "\(path): \(what); nothing was changed: restore a backup, or mend the tables by hand")
    }
}

/// Rows of a table, copied: their columns' bytes one behind the other.
private struct RowBatch: Sendable {
    struct Fields: Sendable {
        var version: UInt64
        var created: UInt64
        var isReleasing: Bool
        var ends: (Int, Int, Int, Int)
    }

    private var bytes: [UInt8] = []
    private var rows: [Fields] = []

    var isFull: Bool { bytes.count > 256 << 10 }

    mutating func append(_ row: SQLiteStatement) {
        if bytes.isEmpty { bytes.reserveCapacity(320 << 10) }
        rows.append(
            Fields(
                version: UInt64(bitPattern: sqlite3_column_int64(row, 0)),
                created: UInt64(bitPattern: sqlite3_column_int64(row, 1)),
                isReleasing: sqlite3_column_int64(row, 2) != 0,
                ends: (appendColumn(3, row), appendColumn(4, row), appendColumn(5, row), appendColumn(6, row))))
    }

    private mutating func appendColumn(_ index: Int32, _ row: SQLiteStatement) -> Int {
        // SQLite's bytes are there until the next step; the text's length is asked for after the text.
        let text = sqlite3_column_text(row, index)
        bytes.append(contentsOf: UnsafeBufferPointer(start: text, count: Int(sqlite3_column_bytes(row, index))))
        return bytes.count
    }

    func visit(
        _ body: (
            _ row: Fields, _ key: UnsafeRawBufferPointer, _ holdings: UnsafeRawBufferPointer,
            _ context: UnsafeRawBufferPointer, _ document: UnsafeRawBufferPointer
        ) throws -> Void
    ) rethrows {
        try bytes.withUnsafeBytes { bytes in
            var start = 0
            for row in rows {
                func column(_ from: Int, _ to: Int) -> UnsafeRawBufferPointer {
                    UnsafeRawBufferPointer(rebasing: bytes[from..<to])
                }
                let ends = row.ends
                try body(
                    row, column(start, ends.0), column(ends.0, ends.1), column(ends.1, ends.2),
                    column(ends.2, ends.3))
                start = ends.3
            }
        }
    }
}

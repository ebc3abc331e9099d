import Foundation
import GRDB
import Synchronization

/// The checkpoint: folds the journal's oldest rows into the readable tables, and cuts them off.
///
/// Rows are folded in the order of the journal, a small step at a time, each step in one transaction with its cut: at any
/// moment the tables are the state as of `meta.seq`, and the journal is what came after. A crash leaves a step done or
/// not begun. Of several changes of one object in a step only the last is written, in key order.
///
/// Steps run on the journal's own thread between two commits, so that they meet no lock, and are short, so that no commit
/// waits long. They need not reach the disk by themselves: the cut and what it stands for are lost together or kept
/// together, and the next commit carries both to the disk.
extension SQLiteLedger {
    public func maintain(isIdle: Bool) throws(LedgerError) -> Bool {
        let (backlog, arrived, weight) = state.withLock { state in
            defer { state.maintained = state.sequence }
            return (state.sequence - state.folded, state.sequence - state.maintained, state.logWeight)
        }
        let step = max(Self.stepSize, Int(arrived) * 2)
        if weight >= Self.logWeightLimit {
            try checkpointLog()
            return isIdle && backlog > 0
        }
        if backlog > 0, isIdle || backlog > Int64(Self.maximumBacklog) {
            try fold(step)
            return true
        }
        if weight > 0, isIdle {
            try checkpointLog()
        }
        return false
    }

    public var backlog: Int { state.withLock { Int($0.sequence - $0.folded) } }

    private func fold(_ limit: Int) throws(LedgerError) {
        let queue = try opened()
        let start = state.withLock { $0.folded }
        let path = path
        let end = try Self.converting(path, .notCommitted) {
            try queue.writeWithoutTransaction { db in
                try db.execute(sql: "PRAGMA synchronous = NORMAL")
                defer { try? db.execute(sql: "PRAGMA synchronous = FULL") }
                var end = start
                try db.inTransaction(.immediate) {
                    let (records, last) = try Self.journal(db, after: start, limit: limit, path)
                    end = last
                    try Self.apply(Self.newest(of: records), to: db)
                    try db.execute(sql: "DELETE FROM journal WHERE seq <= ?", arguments: [last])
                    try db.execute(sql: "UPDATE meta SET value = ? WHERE name = 'seq'", arguments: [last])
                    let version = records.map(\.version).max() ?? 0
                    try db.execute(
                        sql: "UPDATE meta SET value = max(value, ?) WHERE name = 'version'",
                        arguments: [Int64(bitPattern: version)])
                    return .commit
                }
                return end
            }
        }
        state.withLock { state in
            state.logWeight += Int(end - state.folded) / Self.foldedRowsPerGroup
            state.folded = end
        }
    }

    /// Copies the write-ahead log into the database, as far as no reader holds it back.
    private func checkpointLog() throws(LedgerError) {
        let queue = try opened()
        try Self.converting(path, .notCommitted) {
            try queue.writeWithoutTransaction { db in try db.execute(sql: "PRAGMA wal_checkpoint(PASSIVE)") }
        }
        state.withLock { $0.logWeight = 0 }
    }

    /// The records of whole rows behind `start` in their order, until there are `limit` or more, and the last row's number.
    static func journal(
        _ db: Database, after start: Int64, limit: Int, _ path: String
    ) throws -> (records: [LedgerRecord], last: Int64) {
        let select = try db.cachedStatement(
            sql: "SELECT seq, record FROM journal WHERE seq > ? ORDER BY seq")
        var records: [LedgerRecord] = []
        var last = start
        let rows = try Row.fetchCursor(select, arguments: [start])
        while records.count < limit, let row = try rows.next() {
            last = row[0]
            // Lent until the next row.
            let decoded = try row.withUnsafeData(atIndex: 1) { data in
                data?.withUnsafeBytes { RecordCoding.decode($0) } ?? nil
            }
            guard let transaction = decoded else {
                throw LedgerError(
                    .corrupt,
                    "\(path): row \(last) of the table journal is damaged; nothing was changed: restore a backup")
            }
            records += transaction.records
        }
        return (records, last)
    }

    /// The last change of each object, in the order of kinds and keys.
    static func newest(of records: [LedgerRecord]) -> [LedgerRecord] {
        var newest: [RecordKey: LedgerRecord] = [:]
        for record in records { newest[RecordKey(record)] = record }
        return newest.values.sorted { ($0.kind.rawValue, $0.key) < ($1.kind.rawValue, $1.key) }
    }

    private static func apply(_ records: [LedgerRecord], to db: Database) throws {
        for record in records {
            guard case .put(let document, let context, let holdings) = record.change else {
                try db.cachedStatement(sql: "DELETE FROM \(record.kind.table) WHERE key = ?")
                    .execute(arguments: [record.key])
                continue
            }
            try db.cachedStatement(
                sql: """
                    INSERT INTO \(record.kind.table) (key, version, holdings, context, document) VALUES (?, ?, ?, ?, ?)
                    ON CONFLICT (key) DO UPDATE SET version = excluded.version, holdings = excluded.holdings,
                    context = excluded.context, document = excluded.document
                    """
            ).execute(arguments: [
                record.key, Int64(bitPattern: record.version), Holding.text(holdings),
                String(decoding: context, as: UTF8.self), String(decoding: document, as: UTF8.self),
            ])
        }
    }
}

/// Which object a record is about.
struct RecordKey: Hashable {
    var kind: ObjectKind
    var key: String

    init(_ record: LedgerRecord) {
        kind = record.kind
        key = record.key
    }

    init(_ kind: ObjectKind, _ key: String) {
        self.kind = kind
        self.key = key
    }
}

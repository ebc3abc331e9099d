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
/// together, and the next commit carries both to the disk. So they have a connection of their own, which waits for none.
extension SQLiteLedger {
    public func maintain(isIdle: Bool) throws(LedgerError) -> Bool {
        let (backlog, arrived, weight, mayHaveRoom) = state.withLock { state in
            defer { state.maintained = state.newest }
            return (
                state.newest - state.folded, state.newest - state.maintained, state.logWeight, state.mayHaveRoom
            )
        }
        // Nobody commits, so that nobody else would see it.
        if isIdle { try checkInPlace(.notCommitted) }
        if weight >= Self.logWeightLimit {
            try copyLog(cutsIt: false)
            return isIdle && (backlog.sequence > 0 || mayHaveRoom)
        }
        let isLate =
            backlog.sequence > Int64(Self.maximumBacklog) || backlog.bytes > Self.maximumBacklogBytes
        if backlog.sequence > 0, isIdle || isLate {
            try fold(max(Self.stepSize, Int(arrived.sequence) * 2), bytes: max(Self.stepBytes, arrived.bytes * 2))
            return true
        }
        guard isIdle else { return false }
        if mayHaveRoom {
            try giveBack()
            return true
        }
        if weight > 0 { try copyLog(cutsIt: true) }
        return false
    }

    public var backlog: Int { state.withLock { Int(($0.newest - $0.folded).sequence) } }

    private func fold(_ limit: Int, bytes: Int) throws(LedgerError) {
        let start = state.withLock { $0.folded }
        let path = path
        let end = try opened().fold { db in
            var end = start
            try db.inTransaction(.immediate) {
                var newest: [RecordKey: LedgerRecord] = [:]
                var count = 0
                end = try Self.readJournal(db, after: start, path) { records, position in
                    for record in records { newest[RecordKey(record)] = record }
                    count += records.count
                    return count < limit && position.bytes - start.bytes < bytes
                }
                let version = newest.values.map(\.version).max() ?? 0
                try Self.apply(Self.inOrder(newest), to: db)
                try db.execute(sql: "DELETE FROM journal WHERE seq <= ?", arguments: [end.sequence])
                try db.execute(sql: "UPDATE meta SET value = ? WHERE name = 'seq'", arguments: [end.sequence])
                try db.execute(
                    sql: "UPDATE meta SET value = max(value, ?) WHERE name = 'version'",
                    arguments: [Int64(bitPattern: version)])
                return .commit
            }
            return end
        }
        state.withLock { state in
            let step = end - state.folded
            state.logWeight += max(Int(step.sequence) / Self.foldedRowsPerGroup, step.bytes / Self.bytesPerGroup)
            state.folded = end
            state.mayHaveRoom = true
        }
    }

    private func giveBack() throws(LedgerError) {
        let pages = try opened().fold { db in try Space.giveBack(db) }
        state.withLock { state in
            state.mayHaveRoom = pages > 0
            // To move a page writes two.
            state.logWeight += (pages * 2 * 4096 + Self.bytesPerGroup - 1) / Self.bytesPerGroup
        }
    }

    /// Copies the write-ahead log into the database, as far as no reader holds it back. Where it is long, `cutsIt` gives its
    /// room back. A log that stays long, or is not copied whole, keeps some weight, so that a later idle step tries again.
    private func copyLog(cutsIt: Bool) throws(LedgerError) {
        let connections = try opened()
        func isLong() -> Bool { OpenFile.bytes(connections.log) > Self.keptLogBytes }
        let mode = cutsIt && isLong() ? "TRUNCATE" : "PASSIVE"
        let isWhole = try connections.fold { db in
            // Whether others kept it from ending; the log's pages; those of them that are copied.
            let row = try Row.fetchOne(db, sql: "PRAGMA wal_checkpoint(\(mode))")
            return row.map { $0[0] == 0 && $0[1] as Int == $0[2] } ?? false
        }
        let weight = isWhole && !isLong() ? 0 : 1
        state.withLock { $0.logWeight = weight }
    }

    /// Hands over the records of each row behind `start` in their order, and where the row ends, until `body` wants no more.
    /// Returns the end of the last.
    static func readJournal(
        _ db: Database, after start: Position, _ path: String,
        _ body: (_ records: [LedgerRecord], _ end: Position) throws -> Bool
    ) throws -> Position {
        let select = try db.cachedStatement(sql: "SELECT seq, record FROM journal WHERE seq > ? ORDER BY seq")
        var end = start
        let rows = try Row.fetchCursor(select, arguments: [start.sequence])
        while let row = try rows.next() {
            end.sequence = row[0]
            // Lent until the next row.
            let decoded = try row.withUnsafeData(atIndex: 1) { data in
                end.bytes += data?.count ?? 0
                return data?.withUnsafeBytes { RecordCoding.decode($0) } ?? nil
            }
            guard let transaction = decoded else {
                throw LedgerError(
                    .corrupt,
                    "\(path): row \(end.sequence) of the table journal is damaged; nothing was changed: restore a backup"
                )
            }
            guard try body(transaction.records, end) else { break }
        }
        return end
    }

    /// In the order of kinds and keys.
    private static func inOrder(_ records: [RecordKey: LedgerRecord]) -> [LedgerRecord] {
        records.values.sorted { ($0.kind.rawValue, $0.key) < ($1.kind.rawValue, $1.key) }
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

extension SQLiteLedger.Position {
    static func - (end: Self, start: Self) -> Self {
        Self(sequence: end.sequence - start.sequence, bytes: end.bytes - start.bytes)
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

import Foundation
import GRDB
import Synchronization

/// Recovery: the tables as of the last checkpoint, overridden by what the journal holds since.
extension SQLiteLedger {
    public func recover(_ body: (LedgerRecord) throws -> Void) throws -> UInt64 {
        let queue = try opened()
        let start = state.withLock { $0.folded }
        do {
            return try queue.inDatabase { db in
                let (records, _) = try Self.journal(db, after: start, limit: .max, path)
                let newer = Dictionary(uniqueKeysWithValues: Self.newest(of: records).map { (RecordKey($0), $0) })
                try checkOwners(newer, db)
                for kind in ObjectKind.allCases {
                    try recover(kind, unless: newer, db, body)
                }
                for record in newer.values {
                    if case .put = record.change { try body(record) }
                }
                let stored = try Int64.fetchOne(db, sql: "SELECT value FROM meta WHERE name = 'version'") ?? 0
                return max(UInt64(bitPattern: stored), records.map(\.version).max() ?? 0)
            }
        } catch let error as DatabaseError {
            throw Self.converted(error, path, .notCommitted)
        }
    }

    private func recover(
        _ kind: ObjectKind, unless newer: [RecordKey: LedgerRecord], _ db: Database,
        _ body: (LedgerRecord) throws -> Void
    ) throws {
        let rows = try Row.fetchCursor(
            db, sql: "SELECT key, version, holdings, context, document FROM \(kind.table)")
        while let row = try rows.next() {
            let key: String = row[0]
            if newer[RecordKey(kind, key)] != nil { continue }
            guard let holdings = Holding.parse(row[2]) else {
                throw damaged("\(kind.table).holdings of \(key) can't be read")
            }
            let context: String = row[3]
            let document: String = row[4]
            try body(
                LedgerRecord(
                    kind: kind, key: key, version: UInt64(bitPattern: row[1]),
                    change: .put(document: Array(document.utf8), context: Array(context.utf8), holdings: holdings)))
        }
    }

    /// No address has two owners: not among the journal's objects, and not between those and the tables.
    private func checkOwners(_ newer: [RecordKey: LedgerRecord], _ db: Database) throws {
        let select = try db.cachedStatement(sql: "SELECT kind, owner FROM addresses WHERE pool = ? AND address = ?")
        var owners: [Holding: String] = [:]
        for record in newer.values {
            guard case .put(_, _, let holdings) = record.change else { continue }
            for holding in holdings {
                if let other = owners.updateValue(record.key, forKey: holding) {
                    throw damaged(
                        "\(holding.rangeText) has two owners in the table journal, \(other) and \(record.key)")
                }
                guard let row = try Row.fetchOne(select, arguments: [holding.pool.word, holding.rangeText]) else {
                    continue
                }
                let word: String = row[0]
                let owner: String = row[1]
                let kind = ObjectKind.allCases.first { $0.word == word }
                if let kind, newer[RecordKey(kind, owner)] != nil { continue }
                throw damaged(
                    "\(holding.rangeText) has two owners, \(owner) in the table addresses and \(record.key) in the journal"
                )
            }
        }
    }

    private func damaged(_ what: String) -> LedgerError {
        LedgerError(.corrupt, "\(path): \(what); nothing was changed: restore a backup, or mend the tables by hand")
    }
}

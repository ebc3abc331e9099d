import Foundation
import GRDB

/// The rows of the table `journal`, in which releases up to schema version 5 made proposals durable, after the folded ones, read in their
/// order; and how far the tables are. No such row is written any more.
enum JournalRows {
    /// Where the tables are: the number of the last proposal that they have, and the version given last by then.
    static func folded(_ db: Database) throws -> (sequence: Int64, version: UInt64) {
        let select = try db.cachedStatement(sql: "SELECT value FROM meta WHERE name = ?")
        let sequence = try Int64.fetchOne(select, arguments: ["seq"]) ?? 0
        let version = try Int64.fetchOne(select, arguments: ["version"]) ?? 0
        return (sequence, UInt64(clamping: version))
    }

    /// The tables have everything up to the number `sequence` from now on, and rows of that are gone.
    static func cut(_ db: Database, _ sequence: Int64, _ version: UInt64) throws {
        try db.cachedStatement(sql: "DELETE FROM journal WHERE seq <= ?").execute(arguments: [sequence])
        let update = try db.cachedStatement(sql: "UPDATE meta SET value = ? WHERE name = ?")
        try update.execute(arguments: [sequence, "seq"])
        try update.execute(arguments: [Int64(bitPattern: version), "version"])
    }

    /// Hands over the proposals of each row behind the number `start`, and the number of the row's first, until `body` wants no more. Throws where a row is damaged, or one is missing: versions are counted.
    static func read(
        _ db: Database, after start: Int64, _ path: String,
        _ body: (_ proposals: [Proposal], _ first: Int64) throws -> Bool
    ) throws {
        let select = try db.cachedStatement(sql: "SELECT seq, record FROM journal WHERE seq > ? ORDER BY seq")
        var end = start
        let rows = try Row.fetchCursor(select, arguments: [start])
        while let row = try rows.next() {
            let last: Int64 = row[0]
            // Lent until the next row.
            let decoded = try row.withUnsafeData(atIndex: 1) { data in
                data?.withUnsafeBytes { EntryCoding.decode($0, isSealed: true) } ?? nil
            }
            guard let proposals = decoded else { throw damage(path, "row \(last) of the table journal is damaged") }
            guard last - Int64(proposals.count) == end else {
                throw damage(path, "the table journal does not go on behind \(end) with row \(last)")
            }
            guard try body(proposals, end + 1) else { return }
            end = last
        }
    }

    static func damage(_ path: String, _ what: String) -> LedgerError {
        LedgerError(.corrupt, "\(path): \(what); nothing was changed: restore a backup")
    }
}

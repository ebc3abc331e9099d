import Foundation
import GRDB

/// A segment as `tandem.db` knows it.
struct RegisteredSegment: Sendable {
    var number: Int64
    var epoch: Epoch
    /// The number of the first proposal that could be in a segment of its start.
    var first: Int64
    var bytes: Int
    /// Whether the database is nothing without it.
    var isNeeded: Bool
}

/// The rows of `tandem.db` that say which segments of the journal there are. Each change is on the disk when the call returns.
struct SegmentRegistry: Sendable {
    let connection: Connection

    func all() throws(LedgerError) -> [RegisteredSegment] {
        try connection.run { db in try Self.all(db, connection.path) }
    }

    static func all(_ db: Database, _ path: String) throws -> [RegisteredSegment] {
        try Row.fetchAll(db, sql: "SELECT number, epoch, first, bytes, needed FROM segments ORDER BY number").map {
            row in
            guard let epoch = Epoch(Array(row[1] as Data)) else {
                throw LedgerError(
                    .corrupt, "\(path): the table segments is damaged; nothing was changed: \(Damage.cure)")
            }
            return RegisteredSegment(number: row[0], epoch: epoch, first: row[2], bytes: row[3], isNeeded: row[4])
        }
    }

    /// One that is being made.
    func add(_ number: Int64, _ epoch: Epoch, first: Int64, bytes: Int) throws(LedgerError) {
        try connection.run { db in
            try db.execute(
                sql: "INSERT OR REPLACE INTO segments (number, epoch, first, bytes, needed) VALUES (?, ?, ?, ?, 0)",
                arguments: [number, Data(epoch.encoded), first, bytes])
        }
    }

    /// From here on something may be in it.
    func need(_ number: Int64) throws(LedgerError) {
        try connection.run { db in
            try db.execute(sql: "UPDATE segments SET needed = 1 WHERE number = ?", arguments: [number])
        }
    }

    /// Nothing is in them that is not in the tables.
    func giveUp(_ numbers: [Int64]) throws(LedgerError) {
        try each(numbers, "UPDATE segments SET needed = 0 WHERE number = ?")
    }

    /// They are not there any more.
    func forget(_ numbers: [Int64]) throws(LedgerError) { try each(numbers, "DELETE FROM segments WHERE number = ?") }

    private func each(_ numbers: [Int64], _ sql: String) throws(LedgerError) {
        try connection.run { db in
            try db.inTransaction(.immediate) {
                for number in numbers { try db.execute(sql: sql, arguments: [number]) }
                return .commit
            }
        }
    }
}

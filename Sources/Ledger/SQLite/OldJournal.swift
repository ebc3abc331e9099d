import Addressing
import Foundation
import GRDB

/// The journal of releases up to schema version 3, for the first start on their database alone: its rows are folded, and no such
/// row is written again.
///
/// A row, little-endian: format 1 (1), count of records (4), records, checksum (8) over all before it. A record is kind (1), is-put
/// (1), version (8), key (4 + n), and for a put document (4 + n), context (4 + n), holdings (4 + n times pool (1), prefix length
/// (1), family (1), address (4 or 16)). Each record carries its version, and all are kept.
enum OldJournal {
    private struct Record {
        var key: ObjectKey
        var version: UInt64
        /// nil where the object goes.
        var form: StoredForm?
    }

    /// Folds all rows into the tables, in the transaction of the caller. O(rows); throws where one is damaged.
    static func fold(_ db: Database, _ path: String) throws {
        var newest: [ObjectKey: Record] = [:]
        var (last, version) = (try JournalRows.folded(db).sequence, try JournalRows.folded(db).version)
        let rows = try Row.fetchCursor(db, sql: "SELECT seq, record FROM journal ORDER BY seq")
        while let row = try rows.next() {
            last = row[0]
            let records = try row.withUnsafeData(atIndex: 1) { data in
                data?.withUnsafeBytes { decode($0) } ?? nil
            }
            guard let records else { throw JournalRows.damage(path, "row \(last) of the table journal is damaged") }
            for record in records {
                newest[record.key] = record
                version = max(version, record.version)
            }
        }
        guard version <= Proposal.maximumNumber else {
            throw JournalRows.damage(path, "the version \(version) in the table journal is out of range")
        }
        for record in newest.values.sorted(by: {
            ($0.key.kind.rawValue, $0.key.key) < ($1.key.kind.rawValue, $1.key.key)
        }) {
            try write(record, to: db)
        }
        try db.execute(sql: "DELETE FROM journal")
        try db.execute(sql: "UPDATE meta SET value = ? WHERE name = 'seq'", arguments: [last])
        try db.execute(
            sql: "UPDATE meta SET value = ? WHERE name = 'version'", arguments: [Int64(bitPattern: version)])
    }

    private static func write(_ record: Record, to db: Database) throws {
        let table = record.key.kind.name
        guard let form = record.form else {
            return try db.cachedStatement(sql: "DELETE FROM \(table) WHERE key = ?").execute(arguments: [record.key.key]
            )
        }
        try db.cachedStatement(
            sql: """
                INSERT INTO \(table) (key, version, holdings, context, document) VALUES (?, ?, ?, ?, ?)
                ON CONFLICT (key) DO UPDATE SET version = excluded.version, holdings = excluded.holdings,
                context = excluded.context, document = excluded.document
                """
        ).execute(arguments: [
            record.key.key, Int64(bitPattern: record.version), Holding.text(form.holdings),
            String(decoding: form.context, as: UTF8.self), String(decoding: form.document, as: UTF8.self),
        ])
    }

    /// nil where the bytes are no row of this format.
    private static func decode(_ bytes: UnsafeRawBufferPointer) -> [Record]? {
        guard let body = EntryBytes.unsealed(bytes) else { return nil }
        var reader = ByteReader(body)
        guard reader.byte() == 1, let count = reader.integer(UInt32.self) else { return nil }
        var records: [Record] = []
        for _ in 0..<count {
            guard let record = record(from: &reader) else { return nil }
            records.append(record)
        }
        return reader.isAtEnd ? records : nil
    }

    private static func record(from reader: inout ByteReader) -> Record? {
        guard let kind = reader.byte().flatMap(RecordKind.init), let isPut = reader.byte(),
            let version = reader.integer(UInt64.self), let key = blob(from: &reader)
        else { return nil }
        var record = Record(key: ObjectKey(kind, String(decoding: key, as: UTF8.self)), version: version)
        guard isPut == 1 else { return record }
        guard let document = blob(from: &reader), let context = blob(from: &reader),
            let count = reader.integer(UInt32.self)
        else { return nil }
        var form = StoredForm(document: Array(document), context: Array(context))
        for _ in 0..<count {
            guard let holding = holding(from: &reader) else { return nil }
            form.holdings.append(holding)
        }
        record.form = form
        return record
    }

    private static func blob(from reader: inout ByteReader) -> UnsafeRawBufferPointer? {
        reader.integer(UInt32.self).flatMap { reader.take(Int($0)) }
    }

    private static func holding(from reader: inout ByteReader) -> Holding? {
        guard let pool = reader.byte().flatMap(Holding.Pool.init), let prefixLength = reader.byte(),
            let family = reader.byte().flatMap(IPFamily.init), Int(prefixLength) <= family.addressBits,
            let bits = family == .ipv4 ? reader.integer(UInt32.self).map({ UInt128($0) }) : reader.integer(UInt128.self)
        else { return nil }
        let address = IPAddress(family: family, bits: bits)
        return Holding(pool: pool, range: CIDR(containing: address, prefixLength: Int(prefixLength)))
    }
}

import GRDB

/// The checks before a database is served or restored: that it is this program's, of a version that is known, with
/// exactly the tables of that version, and numbers that can be counted on from.
extension Schema {
    /// Throws where the database is neither empty nor one of this program's. O(1) but for the journal's first and last row.
    /// The database stays as it is.
    static func verify(_ db: Database, at path: String) throws {
        let found = try Int64.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        let application = try Int64.fetchOne(db, sql: "PRAGMA application_id") ?? 0
        let objects = try objects(db)
        if application == 0, found == 0, objects.isEmpty { return }
        guard application == applicationID else {
            throw LedgerError(.notOurs, "\(path) is a database of another program; give another directory")
        }
        guard found <= version else {
            throw LedgerError(
                .newerSchema,
                "\(path) has schema version \(found), and this program knows versions up to \(version): "
                    + "run the version that wrote it, or a newer one")
        }
        guard found > 0 else { throw LedgerError(.corrupt, "\(path) has schema version \(found); restore a backup") }
        try compare(objects, try Self.objects(of: found), path)
        try verifyNumbers(db, path)
    }

    /// The row of `sqlite_schema` of a table, an index, a view or a trigger.
    private struct Object: Hashable {
        var type: String
        var name: String
        var table: String
        var sql: String

        var words: String { "the \(type) \(name)" }
    }

    private static func objects(_ db: Database) throws -> Set<Object> {
        // Statistics of ANALYZE are no harm: they make no difference to results. An index without a statement of its own
        // stands in its table's.
        let rows = try Row.fetchAll(
            db,
            sql: """
                SELECT type, name, tbl_name, sql FROM sqlite_schema
                WHERE sql IS NOT NULL AND name NOT GLOB 'sqlite_stat[1-4]'
                """)
        return Set(rows.map { Object(type: $0[0], name: $0[1], table: $0[2], sql: $0[3]) })
    }

    /// This version's are asked for by each start.
    private static let current = Result { try made(version) }

    private static func objects(of found: Int64) throws -> Set<Object> {
        try found == version ? current.get() : made(found)
    }

    /// As this program makes them.
    private static func made(_ version: Int64) throws -> Set<Object> {
        let queue = try DatabaseQueue()
        return try queue.writeWithoutTransaction { db in
            for migration in migrations[..<Int(version)] { try db.execute(sql: migration) }
            return try objects(db)
        }
    }

    private static func compare(_ found: Set<Object>, _ wanted: Set<Object>, _ path: String) throws {
        let names = Set(wanted.map(\.words))
        let strange = found.subtracting(wanted).min { $0.words < $1.words }
        if let strange, !names.contains(strange.words) {
            let name = strange.name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"")
            throw LedgerError(
                .notOurs,
                "\(path) has \(strange.words), which this program did not make; nothing was changed: remove it "
                    + "(DROP \(strange.type.uppercased()) \"\(name)\"), or restore a backup that is whole")
        }
        if let different = strange ?? wanted.subtracting(found).min(by: { $0.words < $1.words }) {
            throw LedgerError(
                .corrupt,
                "\(path): \(different.words) is \(strange == nil ? "missing" : "not as this program made it"); "
                    + "nothing was changed: restore a backup that is whole")
        }
    }

    private static func verifyNumbers(_ db: Database, _ path: String) throws {
        func fail(_ what: String) -> LedgerError {
            LedgerError(.corrupt, "\(path): \(what); nothing was changed: restore a backup that is whole")
        }
        let meta = try Row.fetchAll(db, sql: "SELECT name, value, typeof(value) = 'integer' FROM meta ORDER BY name")
        guard meta.map({ $0[0] as String }) == ["seq", "version"], meta.allSatisfy({ $0[2] }) else {
            throw fail("the table meta does not hold the numbers seq and version, and nothing else")
        }
        for row in meta where !(0...Proposal.maximumNumber).contains(row[1]) {
            throw fail("\(row[0] as String) in the table meta is \(row[1] as Int64), which is out of range")
        }
        if try db.tableExists("segments") {
            let isStrange = try Bool.fetchOne(
                db,
                sql: """
                    SELECT count(*) FROM segments WHERE number NOT BETWEEN 1 AND \(Proposal.maximumNumber) OR needed NOT IN (0, 1)
                    OR typeof(epoch) <> 'blob' OR length(epoch) <> \(Epoch.bytes)
                    OR typeof(first) <> 'integer' OR first NOT BETWEEN 1 AND \(Proposal.maximumNumber)
                    OR typeof(bytes) <> 'integer' OR bytes < 0
                    """)
            guard isStrange == false else { throw fail("the table segments has a row that this program did not make") }
        }
        let folded: Int64 = meta[0][1]
        guard let first = try Int64.fetchOne(db, sql: "SELECT min(seq) FROM journal"),
            let last = try Int64.fetchOne(db, sql: "SELECT max(seq) FROM journal")
        else { return }
        guard first > folded else {
            throw fail("the table journal has row \(first), and seq in the table meta is \(folded) already")
        }
        guard last <= Proposal.maximumNumber else {
            throw fail("the table journal has row \(last), which is out of range")
        }
    }

    /// Throws where an object of the tables has a version that was not given by the time of the last checkpoint. O(objects).
    static func verifyVersions(_ db: Database, at path: String) throws {
        let found = try Int64.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        let created = found < firstOfEntries ? "" : "OR created NOT BETWEEN 0 AND version"
        for kind in RecordKind.allCases {
            let table = found < firstOfViews ? kind.name : kind.table
            guard try db.tableExists(table) else { continue }
            let strange = try String.fetchOne(
                db,
                sql: """
                    SELECT key FROM \(table) WHERE typeof(version) <> 'integer' OR version < 0
                    OR version > (SELECT value FROM meta WHERE name = 'version') \(created)
                    """)
            guard let strange else { continue }
            throw LedgerError(
                .corrupt,
                "\(path): \(strange) in the table \(table) has a version that was never given; nothing was changed: "
                    + "restore a backup that is whole")
        }
    }
}

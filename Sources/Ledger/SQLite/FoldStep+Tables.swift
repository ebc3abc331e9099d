import GRDB
import GRDBSQLite

extension FoldStep {
    /// Writes the rows into the tables.
    func write(to db: Database) throws {
        let records = records
        var rows: [TableRow] = []
        rows.reserveCapacity(records.count)
        var releasing: [ObjectKey] = []
        for (key, row) in records {
            try Self.takeOut(row, of: key, db)
            if let (form, version, created) = row.content {
                rows.append(TableRow(key: key, form: form, version: version, created: created))
            }
            if row.isReleasing { releasing.append(key) }
        }
        // An earlier release's row does not say when the object was created: with the version that it has.
        let clause = """
            ON CONFLICT (key) DO UPDATE SET version = excluded.version, created = coalesce(created, version),
            holdings = excluded.holdings, context = excluded.context, document = excluded.document
            """
        try TableRow.put(rows, db, clause: clause)
        for key in releasing { try TableRow.markReleasing(key, db) }
    }

    /// What happens to the row that is there, before another is put.
    private static func takeOut(_ row: Row, of key: ObjectKey, _ db: Database) throws {
        if row.isReplaced {
            try db.cachedStatement(sql: "DELETE FROM \(key.kind.table) WHERE key = ?").execute(arguments: [key.key])
        }
        for version in row.thawed {
            try db.cachedStatement(sql: "DELETE FROM \(key.kind.table) WHERE key = ? AND version = ?")
                .execute(arguments: [key.key, Int64(bitPattern: version)])
        }
        if row.marksStored { try TableRow.markReleasing(key, db) }
    }
}

/// An object's row of its table.
struct TableRow {
    let key: ObjectKey
    let form: StoredForm
    let version: UInt64
    let created: UInt64

    /// Rows of one statement, where there are as many: alone a quarter of a row's cost is that of its statement.
    private static var many: Int { 16 }

    /// Puts rows into their tables, each key once; `clause` ends the statements.
    static func put(_ rows: [TableRow], _ db: Database, clause: String = "") throws {
        var rest = rows[...]
        // The same for most of the rows: it is looked up once.
        var last: (kind: RecordKind, count: Int, statement: Statement)?
        while let kind = rest.first?.key.kind {
            let neighbours = rest.prefix(many)
            let count = neighbours.count == many && neighbours.allSatisfy { $0.key.kind == kind } ? many : 1
            if last?.kind != kind || last?.count != count {
                last = (kind, count, try db.cachedStatement(sql: insert(count, into: kind.table, clause)))
            }
            if let last { try put(rest.prefix(count), by: last.statement, db) }
            rest = rest.dropFirst(count)
        }
    }

    private static func insert(_ count: Int, into table: String, _ clause: String) -> String {
        "INSERT INTO \(table) (key, version, created, holdings, context, document) VALUES (?, ?, ?, ?, ?, ?)"
            + String(repeating: ", (?, ?, ?, ?, ?, ?)", count: count - 1) + " \(clause)"
    }

    /// Runs a statement of `insert`. The columns are lent to SQLite, past GRDB's arguments: these would be a third of a row's cost.
    private static func put(_ rows: ArraySlice<TableRow>, by statement: Statement, _ db: Database) throws {
        let statement = statement.sqliteStatement
        // Nothing that was lent stays bound.
        defer {
            sqlite3_reset(statement)
            sqlite3_clear_bindings(statement)
        }
        func check(_ code: CInt, _ expected: CInt = SQLITE_OK) throws {
            guard code != expected else { return }
            throw DatabaseError(
                resultCode: ResultCode(rawValue: code), message: String(cString: sqlite3_errmsg(db.sqliteConnection)))
        }
        func bind(_ text: UnsafeBufferPointer<UInt8>, _ index: CInt) throws {
            // No text is not NULL.
            guard let start = text.baseAddress else {
                return try check(sqlite3_bind_text(statement, index, "", 0, nil))
            }
            let characters = UnsafeRawPointer(start).assumingMemoryBound(to: CChar.self)
            try check(sqlite3_bind_text64(statement, index, characters, UInt64(text.count), nil, UInt8(SQLITE_UTF8)))
        }
        /// The row's columns stay lent while those of the rows behind it are bound, and the statement runs.
        func run(_ rows: ArraySlice<TableRow>, behind bound: CInt) throws {
            guard let row = rows.first else { return try check(sqlite3_step(statement), SQLITE_DONE) }
            var name = row.key.key
            try name.withUTF8 { name in
                try Holding.utf8(row.form.holdings).withUnsafeBufferPointer { holdings in
                    try row.form.context.withUnsafeBufferPointer { context in
                        try row.form.document.withUnsafeBufferPointer { document in
                            try bind(name, bound + 1)
                            try check(sqlite3_bind_int64(statement, bound + 2, Int64(bitPattern: row.version)))
                            try check(sqlite3_bind_int64(statement, bound + 3, Int64(bitPattern: row.created)))
                            try bind(holdings, bound + 4)
                            try bind(context, bound + 5)
                            try bind(document, bound + 6)
                            try run(rows.dropFirst(), behind: bound + 6)
                        }
                    }
                }
            }
        }
        try run(rows, behind: 0)
    }

    /// Of a node; nothing is done where it is not there.
    static func markReleasing(_ key: ObjectKey, _ db: Database) throws {
        try db.cachedStatement(sql: "UPDATE \(key.kind.table) SET releasing = 1 WHERE key = ?")
            .execute(arguments: [key.key])
    }
}

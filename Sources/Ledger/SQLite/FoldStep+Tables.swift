import GRDB
import GRDBSQLite

extension FoldStep {
    /// Writes the rows into the tables.
    func write(to db: Database) throws {
        // Rows of one kind stand side by side: a statement for them is looked up once.
        var put: (kind: RecordKind, statement: Statement)?
        for (key, row) in records {
            try Self.write(row, of: key, to: db) {
                if let put, put.kind == key.kind { return put.statement }
                let statement = try db.cachedStatement(sql: Self.put(into: key.kind.table))
                put = (key.kind, statement)
                return statement
            }
        }
    }

    /// An earlier release's row does not say when the object was created: with the version that it has.
    private static func put(into table: String) -> String {
        """
        \(TableRow.insert(into: table))
        ON CONFLICT (key) DO UPDATE SET version = excluded.version, created = coalesce(created, version),
        holdings = excluded.holdings, context = excluded.context, document = excluded.document
        """
    }

    private static func write(_ row: Row, of key: ObjectKey, to db: Database, _ put: () throws -> Statement) throws {
        let table = key.kind.table
        if row.isReplaced {
            try db.cachedStatement(sql: "DELETE FROM \(table) WHERE key = ?").execute(arguments: [key.key])
        }
        for version in row.thawed {
            try db.cachedStatement(sql: "DELETE FROM \(table) WHERE key = ? AND version = ?")
                .execute(arguments: [key.key, Int64(bitPattern: version)])
        }
        if row.marksStored { try TableRow.markReleasing(key, db) }
        if let (form, version, created) = row.content {
            try TableRow.put(key, version: version, created: created, form, by: put(), db)
        }
        if row.isReleasing { try TableRow.markReleasing(key, db) }
    }
}

/// An object's row of its table.
enum TableRow {
    /// A statement for `put`.
    static func insert(into table: String) -> String {
        "INSERT INTO \(table) (key, version, created, holdings, context, document) VALUES (?, ?, ?, ?, ?, ?)"
    }

    /// Runs a statement that begins with `insert`. The columns are lent to SQLite, past GRDB's arguments: these would be a third of a
    /// row's cost.
    static func put(
        _ key: ObjectKey, version: UInt64, created: UInt64, _ form: StoredForm, by statement: Statement, _ db: Database
    ) throws {
        let row = statement.sqliteStatement
        // Nothing that was lent stays bound.
        defer {
            sqlite3_reset(row)
            sqlite3_clear_bindings(row)
        }
        func check(_ code: CInt, _ expected: CInt = SQLITE_OK) throws {
            guard code != expected else { return }
            throw DatabaseError(
                resultCode: ResultCode(rawValue: code), message: String(cString: sqlite3_errmsg(db.sqliteConnection)))
        }
        func bind(_ text: UnsafeBufferPointer<UInt8>, _ index: CInt) throws {
            // No text is not NULL.
            guard let start = text.baseAddress else { return try check(sqlite3_bind_text(row, index, "", 0, nil)) }
            let characters = UnsafeRawPointer(start).assumingMemoryBound(to: CChar.self)
            try check(sqlite3_bind_text64(row, index, characters, UInt64(text.count), nil, UInt8(SQLITE_UTF8)))
        }
        var name = key.key
        try name.withUTF8 { name in
            try Holding.utf8(form.holdings).withUnsafeBufferPointer { holdings in
                try form.context.withUnsafeBufferPointer { context in
                    try form.document.withUnsafeBufferPointer { document in
                        try bind(name, 1)
                        try check(sqlite3_bind_int64(row, 2, Int64(bitPattern: version)))
                        try check(sqlite3_bind_int64(row, 3, Int64(bitPattern: created)))
                        try bind(holdings, 4)
                        try bind(context, 5)
                        try bind(document, 6)
                        try check(sqlite3_step(row), SQLITE_DONE)
                    }
                }
            }
        }
    }

    /// Of a node; nothing is done where it is not there.
    static func markReleasing(_ key: ObjectKey, _ db: Database) throws {
        try db.cachedStatement(sql: "UPDATE \(key.kind.table) SET releasing = 1 WHERE key = ?")
            .execute(arguments: [key.key])
    }
}

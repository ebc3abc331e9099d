import GRDB
import GRDBSQLite

extension FoldStep {
    /// Rows of one statement, where there are as many: alone a quarter of a row's cost is that of its statement.
    private static var many: Int { 16 }

    private struct Content {
        let name: Name
        let form: Form
        let version: UInt64
        let created: UInt64
    }

    /// Writes the rows into the tables.
    func write(to db: Database) throws {
        let rows = rows
        var contents: [Content] = []
        contents.reserveCapacity(rows.count)
        var releasing: [Name] = []
        for (name, row) in rows {
            try takeOut(row, of: name, db)
            if let (form, version, created) = row.content {
                contents.append(Content(name: name, form: form, version: version, created: created))
            }
            if row.isReleasing { releasing.append(name) }
        }
        try put(contents[...], db)
        for name in releasing { try markReleasing(name, db) }
    }

    /// What happens to the row that is there, before another is put.
    private func takeOut(_ row: FoldedRow<Form>, of name: Name, _ db: Database) throws {
        if row.isReplaced {
            try db.cachedStatement(sql: "DELETE FROM \(name.kind.table) WHERE key = ?").execute(arguments: [key(name)])
        }
        for version in row.thawed {
            try db.cachedStatement(sql: "DELETE FROM \(name.kind.table) WHERE key = ? AND version = ?")
                .execute(arguments: [key(name), Int64(bitPattern: version)])
        }
        if row.marksStored { try markReleasing(name, db) }
    }

    /// Of a node; nothing is done where it is not there.
    private func markReleasing(_ name: Name, _ db: Database) throws {
        try db.cachedStatement(sql: "UPDATE \(name.kind.table) SET releasing = 1 WHERE key = ?")
            .execute(arguments: [key(name)])
    }

    private func put(_ contents: ArraySlice<Content>, _ db: Database) throws {
        var rest = contents
        // The same for most of the rows: it is looked up once.
        var last: (kind: RecordKind, count: Int, statement: Statement)?
        while let kind = rest.first?.name.kind {
            let neighbours = rest.prefix(Self.many)
            let isFull = neighbours.count == Self.many && neighbours.allSatisfy { $0.name.kind == kind }
            let count = isFull ? Self.many : 1
            if last?.kind != kind || last?.count != count {
                last = (kind, count, try db.cachedStatement(sql: Self.put(count, into: kind.table)))
            }
            if let last { try put(rest.prefix(count), by: last.statement, db) }
            rest = rest.dropFirst(count)
        }
    }

    /// An earlier release's row does not say when the object was created: with the version that it has.
    private static func put(_ count: Int, into table: String) -> String {
        let others = String(repeating: ", (?, ?, ?, ?, ?, ?)", count: count - 1)
        return """
            INSERT INTO \(table) (key, version, created, holdings, context, document) VALUES (?, ?, ?, ?, ?, ?)\(others)
            ON CONFLICT (key) DO UPDATE SET version = excluded.version, created = coalesce(created, version),
            holdings = excluded.holdings, context = excluded.context, document = excluded.document
            """
    }

    /// Puts as many rows as the statement has. The columns are lent to SQLite, past GRDB's arguments: these would be a third of a row's
    /// cost.
    private func put(_ contents: ArraySlice<Content>, by statement: Statement, _ db: Database) throws {
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
        var column: CInt = 0
        func bind(_ number: UInt64) throws {
            column += 1
            try check(sqlite3_bind_int64(statement, column, Int64(bitPattern: number)))
        }
        func bind(_ range: Range<Int>, of bytes: UnsafeBufferPointer<UInt8>) throws {
            column += 1
            // No text is not NULL.
            guard let start = bytes.baseAddress else {
                return try check(sqlite3_bind_text(statement, column, "", 0, nil))
            }
            // Inside of the bytes, which stay there until the statement has run.
            let text = UnsafeRawPointer(start + range.lowerBound).assumingMemoryBound(to: CChar.self)
            try check(sqlite3_bind_text64(statement, column, text, UInt64(range.count), nil, UInt8(SQLITE_UTF8)))
        }
        var texts: [UInt8] = []
        texts.reserveCapacity(contents.count * 96)
        let ends = contents.map { content in
            Holding.append(holdings[content.form.holdings], to: &texts)
            return texts.count
        }
        try bytes.withUnsafeBufferPointer { bytes in
            try texts.withUnsafeBufferPointer { texts in
                var start = 0
                for (content, end) in zip(contents, ends) {
                    try bind(content.name.key, of: bytes)
                    try bind(content.version)
                    try bind(content.created)
                    try bind(start..<end, of: texts)
                    try bind(content.form.context, of: bytes)
                    try bind(content.form.document, of: bytes)
                    start = end
                }
                try check(sqlite3_step(statement), SQLITE_DONE)
            }
        }
    }
}

import GRDB

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
            try put().execute(arguments: TableRow.columns(key, version: version, created: created, form))
        }
        if row.isReleasing { try TableRow.markReleasing(key, db) }
    }
}

/// An object's row of its table.
enum TableRow {
    /// With the columns of `columns`.
    static func insert(into table: String) -> String {
        "INSERT INTO \(table) (key, version, created, holdings, context, document) VALUES (?, ?, ?, ?, ?, ?)"
    }

    static func columns(_ key: ObjectKey, version: UInt64, created: UInt64, _ form: StoredForm) -> StatementArguments {
        [
            key.key, Int64(bitPattern: version), Int64(bitPattern: created), Holding.text(form.holdings),
            String(decoding: form.context, as: UTF8.self), String(decoding: form.document, as: UTF8.self),
        ]
    }

    /// Of a node; nothing is done where it is not there.
    static func markReleasing(_ key: ObjectKey, _ db: Database) throws {
        try db.cachedStatement(sql: "UPDATE \(key.kind.table) SET releasing = 1 WHERE key = ?")
            .execute(arguments: [key.key])
    }
}

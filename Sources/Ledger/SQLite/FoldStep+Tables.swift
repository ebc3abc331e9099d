import GRDB

extension FoldStep {
    /// Writes the rows into the tables.
    func write(to db: Database) throws {
        for (key, row) in records { try Self.write(row, of: key, to: db) }
    }

    /// An earlier release's row does not say when the object was created: with the version that it has.
    private static let puts = Dictionary(
        uniqueKeysWithValues: RecordKind.allCases.map { kind in
            (
                kind,
                """
                INSERT INTO \(kind.table) (key, version, created, holdings, context, document) VALUES (?, ?, ?, ?, ?, ?)
                ON CONFLICT (key) DO UPDATE SET version = excluded.version, created = coalesce(created, version),
                holdings = excluded.holdings, context = excluded.context, document = excluded.document
                """
            )
        })

    private static func write(_ row: Row, of key: ObjectKey, to db: Database) throws {
        let table = key.kind.table
        if row.isReplaced {
            try db.cachedStatement(sql: "DELETE FROM \(table) WHERE key = ?").execute(arguments: [key.key])
        }
        for version in row.thawed {
            try db.cachedStatement(sql: "DELETE FROM \(table) WHERE key = ? AND version = ?")
                .execute(arguments: [key.key, Int64(bitPattern: version)])
        }
        if row.marksStored { try markReleasing(key, db) }
        if let (form, version, created) = row.content {
            try db.cachedStatement(sql: puts[key.kind]!).execute(arguments: [
                key.key, Int64(bitPattern: version), Int64(bitPattern: created), Holding.text(form.holdings),
                String(decoding: form.context, as: UTF8.self), String(decoding: form.document, as: UTF8.self),
            ])
        }
        if row.isReleasing { try markReleasing(key, db) }
    }

    private static func markReleasing(_ key: ObjectKey, _ db: Database) throws {
        try db.cachedStatement(sql: "UPDATE nodes SET releasing = 1 WHERE key = ?").execute(arguments: [key.key])
    }
}

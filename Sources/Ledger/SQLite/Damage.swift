import GRDB

/// The message on a database that SQLite finds damaged: the place, and the remedy.
enum Damage {
    static let cure = """
        move tandem.db, its -wal file and all tandem.journal-* away, and start with --restore FILE, where FILE is of tandemctl backup
        """

    /// `, in the tables nodes and pods`; empty where that can't be told. Blocks: O(database).
    static func place(in path: String) -> String {
        var configuration = Configuration()
        configuration.readonly = true
        guard let queue = try? DatabaseQueue(path: path, configuration: configuration) else { return "" }
        let names = ["journal", "meta"] + RecordKind.allCases.map(\.table)
        let damaged = names.filter { table in
            let found = try? queue.inDatabase { db in
                try String.fetchOne(db, sql: "PRAGMA quick_check(\(table))")
            }
            return found != "ok"
        }
        if damaged.isEmpty { return "" }
        return ", in the table\(damaged.count == 1 ? "" : "s") \(damaged.sorted().joined(separator: ", "))"
    }
}

import GRDB

/// The database's tables, and how an older one becomes this one.
///
/// A person with the `sqlite3` shell reads the views `services`, `nodes`, `pods`, `cooling` and `addresses`, whose columns in front are
/// computed from the object's JSON text; the program reads and writes the tables below them.
enum Schema {
    /// "Tndm": marks a database as this program's (`PRAGMA application_id`).
    static let applicationID: Int64 = 0x546e_646d
    /// `PRAGMA user_version`.
    static let version: Int64 = 6

    /// The migration from version n - 1 to version n stands at index n - 1; entries are only ever added.
    static let migrations: [String] = [
        """
        CREATE TABLE journal (
            seq INTEGER PRIMARY KEY,
            record BLOB NOT NULL
        );
        CREATE TABLE meta (
            name TEXT PRIMARY KEY,
            value INTEGER NOT NULL
        ) WITHOUT ROWID;
        INSERT INTO meta VALUES ('seq', 0), ('version', 0);
        CREATE TABLE services (
            namespace TEXT AS (json_extract(document, '$.metadata.namespace')),
            name TEXT AS (json_extract(document, '$.metadata.name')),
            type TEXT AS (json_extract(document, '$.spec.type')),
            ip_family_policy TEXT AS (json_extract(document, '$.spec.ipFamilyPolicy')),
            cluster_ips TEXT AS (json_extract(document, '$.spec.clusterIPs')),
            uid TEXT AS (json_extract(document, '$.metadata.uid')),
            key TEXT PRIMARY KEY,
            version INTEGER NOT NULL,
            holdings TEXT NOT NULL,
            context TEXT NOT NULL,
            document TEXT NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE nodes (
            name TEXT AS (json_extract(document, '$.metadata.name')),
            pod_cidrs TEXT AS (json_extract(document, '$.spec.podCIDRs')),
            uid TEXT AS (json_extract(document, '$.metadata.uid')),
            key TEXT PRIMARY KEY,
            version INTEGER NOT NULL,
            holdings TEXT NOT NULL,
            context TEXT NOT NULL,
            document TEXT NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE pods (
            namespace TEXT AS (json_extract(document, '$.metadata.namespace')),
            name TEXT AS (json_extract(document, '$.metadata.name')),
            node TEXT AS (json_extract(document, '$.spec.nodeName')),
            pod_ips TEXT AS (json_extract(document, '$.status.podIPs')),
            uid TEXT AS (json_extract(document, '$.metadata.uid')),
            key TEXT PRIMARY KEY,
            version INTEGER NOT NULL,
            holdings TEXT NOT NULL,
            context TEXT NOT NULL,
            document TEXT NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE addresses (
            address TEXT NOT NULL,
            pool TEXT NOT NULL,
            kind TEXT NOT NULL,
            owner TEXT NOT NULL,
            PRIMARY KEY (pool, address)
        ) WITHOUT ROWID;
        """,
        // Rows as they come, found by an index of their keys: in the order of the keys themselves each new row touched a page of
        // its own in a deep tree, and the two addresses of a pod one more each.
        """
        DROP TABLE addresses;
        ALTER TABLE services RENAME TO old_services;
        CREATE TABLE services (
            namespace TEXT AS (json_extract(document, '$.metadata.namespace')),
            name TEXT AS (json_extract(document, '$.metadata.name')),
            type TEXT AS (json_extract(document, '$.spec.type')),
            ip_family_policy TEXT AS (json_extract(document, '$.spec.ipFamilyPolicy')),
            cluster_ips TEXT AS (json_extract(document, '$.spec.clusterIPs')),
            uid TEXT AS (json_extract(document, '$.metadata.uid')),
            key TEXT PRIMARY KEY NOT NULL,
            version INTEGER NOT NULL,
            holdings TEXT NOT NULL,
            context TEXT NOT NULL,
            document TEXT NOT NULL
        );
        INSERT INTO services (key, version, holdings, context, document)
        SELECT key, version, holdings, context, document FROM old_services;
        DROP TABLE old_services;
        ALTER TABLE nodes RENAME TO old_nodes;
        CREATE TABLE nodes (
            name TEXT AS (json_extract(document, '$.metadata.name')),
            pod_cidrs TEXT AS (json_extract(document, '$.spec.podCIDRs')),
            uid TEXT AS (json_extract(document, '$.metadata.uid')),
            key TEXT PRIMARY KEY NOT NULL,
            version INTEGER NOT NULL,
            holdings TEXT NOT NULL,
            context TEXT NOT NULL,
            document TEXT NOT NULL
        );
        INSERT INTO nodes (key, version, holdings, context, document)
        SELECT key, version, holdings, context, document FROM old_nodes;
        DROP TABLE old_nodes;
        ALTER TABLE pods RENAME TO old_pods;
        CREATE TABLE pods (
            namespace TEXT AS (json_extract(document, '$.metadata.namespace')),
            name TEXT AS (json_extract(document, '$.metadata.name')),
            node TEXT AS (json_extract(document, '$.spec.nodeName')),
            pod_ips TEXT AS (json_extract(document, '$.status.podIPs')),
            uid TEXT AS (json_extract(document, '$.metadata.uid')),
            key TEXT PRIMARY KEY NOT NULL,
            version INTEGER NOT NULL,
            holdings TEXT NOT NULL,
            context TEXT NOT NULL,
            document TEXT NOT NULL
        );
        INSERT INTO pods (key, version, holdings, context, document)
        SELECT key, version, holdings, context, document FROM old_pods;
        DROP TABLE old_pods;
        CREATE VIEW addresses (address, pool, kind, owner) AS
        WITH held (kind, owner, holding) AS (
            SELECT 'Service', services.key, json_each.value FROM services, json_each('["' || replace(holdings, ' ', '","') || '"]')
            UNION ALL
            SELECT 'Node', nodes.key, json_each.value FROM nodes, json_each('["' || replace(holdings, ' ', '","') || '"]')
            UNION ALL
            SELECT 'Pod', pods.key, json_each.value FROM pods, json_each('["' || replace(holdings, ' ', '","') || '"]')
        )
        SELECT substr(holding, instr(holding, '=') + 1), substr(holding, 1, instr(holding, '=') - 1), kind, owner
        FROM held WHERE holding <> '';
        """,
        """
        CREATE TABLE cooling (
            address TEXT AS (key),
            node TEXT AS (json_extract(document, '$.node')),
            released_at TEXT AS (datetime(json_extract(document, '$.releasedAt'), 'unixepoch')),
            key TEXT PRIMARY KEY NOT NULL,
            version INTEGER NOT NULL,
            holdings TEXT NOT NULL,
            context TEXT NOT NULL,
            document TEXT NOT NULL
        );
        """,
        // The version with which the object came into being; where an earlier release wrote the row, NULL, which means the one
        // that it has: rows are not written anew for that. The journal has been folded before, and holds entries from here on.
        // Of a node that is gone nothing cools any more: such a row would never go, as no change speaks of it.
        """
        ALTER TABLE services ADD COLUMN created INTEGER;
        ALTER TABLE nodes ADD COLUMN created INTEGER;
        ALTER TABLE nodes ADD COLUMN releasing INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE pods ADD COLUMN created INTEGER;
        ALTER TABLE cooling ADD COLUMN created INTEGER;
        DELETE FROM cooling WHERE json_valid(document) AND json_extract(document, '$.node') NOT IN (SELECT key FROM nodes);
        """,
        // Computed columns of a table are computed for each row that is written, though nothing of them is stored: a third of all that
        // a row costs. A view computes them where they are read. No row is written anew.
        """
        ALTER TABLE services RENAME TO stored_services;
        ALTER TABLE stored_services DROP COLUMN namespace;
        ALTER TABLE stored_services DROP COLUMN name;
        ALTER TABLE stored_services DROP COLUMN type;
        ALTER TABLE stored_services DROP COLUMN ip_family_policy;
        ALTER TABLE stored_services DROP COLUMN cluster_ips;
        ALTER TABLE stored_services DROP COLUMN uid;
        CREATE VIEW services AS
        SELECT json_extract(document, '$.metadata.namespace') AS namespace, json_extract(document, '$.metadata.name') AS name,
            json_extract(document, '$.spec.type') AS type, json_extract(document, '$.spec.ipFamilyPolicy') AS ip_family_policy,
            json_extract(document, '$.spec.clusterIPs') AS cluster_ips, json_extract(document, '$.metadata.uid') AS uid,
            key, version, created, holdings, context, document
        FROM stored_services;
        ALTER TABLE nodes RENAME TO stored_nodes;
        ALTER TABLE stored_nodes DROP COLUMN name;
        ALTER TABLE stored_nodes DROP COLUMN pod_cidrs;
        ALTER TABLE stored_nodes DROP COLUMN uid;
        CREATE VIEW nodes AS
        SELECT json_extract(document, '$.metadata.name') AS name, json_extract(document, '$.spec.podCIDRs') AS pod_cidrs,
            json_extract(document, '$.metadata.uid') AS uid,
            key, version, created, releasing, holdings, context, document
        FROM stored_nodes;
        ALTER TABLE pods RENAME TO stored_pods;
        ALTER TABLE stored_pods DROP COLUMN namespace;
        ALTER TABLE stored_pods DROP COLUMN name;
        ALTER TABLE stored_pods DROP COLUMN node;
        ALTER TABLE stored_pods DROP COLUMN pod_ips;
        ALTER TABLE stored_pods DROP COLUMN uid;
        CREATE VIEW pods AS
        SELECT json_extract(document, '$.metadata.namespace') AS namespace, json_extract(document, '$.metadata.name') AS name,
            json_extract(document, '$.spec.nodeName') AS node, json_extract(document, '$.status.podIPs') AS pod_ips,
            json_extract(document, '$.metadata.uid') AS uid,
            key, version, created, holdings, context, document
        FROM stored_pods;
        ALTER TABLE cooling RENAME TO stored_cooling;
        ALTER TABLE stored_cooling DROP COLUMN address;
        ALTER TABLE stored_cooling DROP COLUMN node;
        ALTER TABLE stored_cooling DROP COLUMN released_at;
        CREATE VIEW cooling AS
        SELECT key AS address, json_extract(document, '$.node') AS node,
            datetime(json_extract(document, '$.releasedAt'), 'unixepoch') AS released_at,
            key, version, created, holdings, context, document
        FROM stored_cooling;
        """,
        // The journal is in files now, each with a row here, and this version is there before the first of them. `epoch` is that of the
        // start that made it, `first` the number of the first change that may be in any of that start's, `bytes` the file's; where none
        // is needed, the tables have everything. Rows of earlier releases in the table `journal` are folded as they were.
        """
        CREATE TABLE segments (
            number INTEGER PRIMARY KEY,
            epoch BLOB NOT NULL,
            first INTEGER NOT NULL,
            bytes INTEGER NOT NULL,
            needed INTEGER NOT NULL
        );
        """,
    ]

    /// The first version whose journal holds entries.
    static let firstOfEntries: Int64 = 4
    /// The first version in which the names of kinds are views of the tables.
    static let firstOfViews: Int64 = 5

    /// Brings a database that `verify` let pass to this version, in one transaction. O(1), but for the rows of an earlier release's
    /// journal and cooling addresses: an interrupted start leaves all as it was.
    static func migrate(_ db: Database, _ path: String) throws {
        let found = try Int64.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        guard found < version else { return }
        try db.inTransaction(.immediate) {
            for next in found + 1...version {
                if next == firstOfEntries, found > 0 { try OldJournal.fold(db, path) }
                try db.execute(sql: migrations[Int(next) - 1])
            }
            try db.execute(sql: "PRAGMA user_version = \(version)")
            try db.execute(sql: "PRAGMA application_id = \(applicationID)")
            return .commit
        }
    }
}

extension RecordKind {
    /// The table of the objects of this kind.
    var table: String { "stored_\(name)" }

    /// The view of it for people; in earlier versions of the schema the table itself.
    package var name: String {
        switch self {
        case .service: "services"
        case .node: "nodes"
        case .pod: "pods"
        case .cooling: "cooling"
        }
    }
}

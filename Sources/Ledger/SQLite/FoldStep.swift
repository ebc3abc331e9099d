import Addressing
import GRDB

/// What some proposals make of the objects that they speak of: the last word on each, and the versions that are given.
///
/// Counts versions as the books do: each put and delete of a kept proposal gets the next one, in the order of the proposals and
/// of their changes.
struct FoldStep {
    /// What becomes of one object's row.
    private struct Row {
        /// The row as it is, if there is one, goes: what comes behind is another object.
        var isReplaced = false
        /// The row, if it has one of these versions, goes.
        var thawed: [UInt64] = []
        /// The row, if it is there, is marked.
        var marksStored = false
        var content: (form: StoredForm, version: UInt64, created: UInt64)?
        /// The content is.
        var isReleasing = false

        mutating func delete() { self = Row(isReplaced: true) }

        mutating func markReleasing() {
            if content != nil { isReleasing = true } else if !isReplaced { marksStored = true }
        }

        mutating func put(_ form: StoredForm, _ version: UInt64) {
            content = (form, version, content?.created ?? version)
        }
    }

    private var rows: [ObjectKey: Row] = [:]
    /// The version given last.
    private(set) var version: UInt64
    /// Changes so far.
    private(set) var count = 0

    init(version: UInt64) {
        self.version = version
    }

    /// The next kept proposal. O(changes).
    mutating func add(_ proposal: Proposal) {
        count += proposal.changes.count
        for change in proposal.changes { add(change) }
    }

    private mutating func add(_ change: Change) {
        switch change {
        case .put(let key, let form):
            version += 1
            rows[key, default: Row()].put(form, version)
        case .delete(let key):
            version += 1
            rows[key, default: Row()].delete()
        case .cool(let range, let node, let since):
            let document = Self.coolingDocument(node: node, since: since)
            rows[ObjectKey(.cooling, range.shortText), default: Row()].put(StoredForm(document: document), version)
        case .thaw(let range, let version):
            let key = ObjectKey(.cooling, range.shortText)
            var row = rows[key] ?? Row()
            if let content = row.content {
                if content.version == version { row.delete() }
            } else {
                row.thawed.append(version)
            }
            rows[key] = row
        case .markReleasing(let node):
            rows[ObjectKey(.node, node), default: Row()].markReleasing()
        }
    }

    /// `{"node":"n1","releasedAt":1700000000}`.
    static func coolingDocument(node: String, since: Int) -> [UInt8] {
        var text = #"{"node":""#
        for scalar in node.unicodeScalars {
            switch scalar {
            case "\"", "\\": text += "\\" + String(scalar)
            case "\0"..<" ": text += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
            default: text.unicodeScalars.append(scalar)
            }
        }
        return Array((text + #"","releasedAt":\#(since)}"#).utf8)
    }

    /// Writes the rows, in the order of kinds and keys.
    func write(to db: Database) throws {
        let order = rows.sorted { ($0.key.kind.rawValue, $0.key.key) < ($1.key.kind.rawValue, $1.key.key) }
        for (key, row) in order { try Self.write(row, of: key, to: db) }
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

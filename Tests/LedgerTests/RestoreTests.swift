import FaultyLog
import Foundation
import TestSupport
import Testing

@testable import Ledger

/// Only this program's own data is served or restored, checked table by table, with numbers that can be counted on from.
@Suite("Checks of a file to be served or restored")
struct RestoreTests {
    private let files = FileManager.default

    private func shell(_ path: String, _ sql: String) -> String {
        let result = Command.run("sqlite3", [path, sql])
        #expect(result.status == 0, "\(result.errors)")
        return result.output
    }

    /// A backup with rows in every table and in the journal, and its contents.
    private func made(_ scratch: ScratchDirectory) throws -> (path: String, twin: StoredTables) {
        let directory = ScratchDirectory()
        let store = try SQLiteLog(directory: directory.path)
        var maker = ProposalMaker(seed: 4)
        var twin = StoredTables()
        func commit(_ count: Int) throws {
            for _ in 0..<count {
                let proposal = maker.next()
                twin.take(proposal)
                try store.land([proposal])
            }
        }
        try commit(60)
        let path = "\(scratch.path)/backup.db"
        try store.backUp(to: path)
        store.close()
        // As a backup of an earlier release has them.
        let last = (0..<3).map { _ in maker.next() }
        for proposal in last { twin.take(proposal) }
        _ = shell(path, journalRows(last, behind: 60))
        return (path, twin)
    }

    @Test("a whole backup is restored, and its content is served")
    func restores() throws {
        let scratch = ScratchDirectory()
        let (backup, twin) = try made(scratch)
        let data = "\(scratch.path)/data"
        try Backup.restore(from: backup, into: data)
        let store = try SQLiteLog(directory: data)
        #expect(try StoredTables(starting: store) == twin)
        store.close()
    }

    @Test("a backup that is written object by object is restored as it was, nodes on their way out too")
    func writesObjects() throws {
        let scratch = ScratchDirectory()
        let (backup, data) = ("\(scratch.path)/backup.db", "\(scratch.path)/data")
        func record(_ kind: RecordKind, _ key: String, _ version: UInt64, isReleasing: Bool = false) -> StoredRecord {
            StoredRecord(
                key: ObjectKey(kind, key), version: version, created: 1, isReleasing: isReleasing,
                form: StoredForm(document: Array("{}".utf8)))
        }
        let records = [
            record(.service, "default/web", 2), record(.node, "n1", 3), record(.node, "n2", 4, isReleasing: true),
            record(.pod, "container/c/eth0", 5),
        ]
        let writer = try BackupWriter(backup)
        try writer.put(records)
        try writer.finish(version: 5)
        try Backup.restore(from: backup, into: data)
        let store = try SQLiteLog(directory: data)
        #expect(try StoredTables(starting: store) == StoredTables(records: records, version: 5))
        store.close()
    }

    @Test("the journal's changes are brought into the tables, and versions go on far above those of the backup")
    func settles() throws {
        let scratch = ScratchDirectory()
        let (backup, twin) = try made(scratch)
        let data = "\(scratch.path)/data"
        #expect(throws: LedgerError.self, "changes that are not judged are not in the tables") {
            try Backup.restore(from: backup, into: data) { try SQLiteLog(directory: $0).close() }
        }
        try Backup.restore(from: backup, into: data) { directory in
            let store = try SQLiteLog(directory: directory)
            _ = try StoredTables(starting: store)
            while try store.maintain(isIdle: true) {}
            store.close()
        }
        #expect(try files.contentsOfDirectory(atPath: data).sorted() == ["tandem.db", "tandem.lock"])
        let store = try SQLiteLog(directory: data)
        let found = try StoredTables(starting: store)
        #expect(found.records == twin.records)
        #expect(found.version == twin.version + UInt64(Backup.skippedVersions))
        #expect(store.backlog == 0)
        store.close()
        // A kill in the middle leaves a directory.
        let left = Backup.temporaryFile(directory: data)
        try files.createDirectory(atPath: left, withIntermediateDirectories: false)
        #expect(files.createFile(atPath: "\(left)/tandem.db", contents: nil))
        try SQLiteLog(directory: data).close()
        #expect(!files.fileExists(atPath: left))
    }

    @Test("one of each earlier version is restored", arguments: 1...Int(Schema.version))
    func restoresOlder(_ version: Int) throws {
        let table = version < Schema.firstOfViews ? RecordKind.node.name : RecordKind.node.table
        let scratch = ScratchDirectory()
        let backup = "\(scratch.path)/backup.db"
        _ = shell(
            backup,
            Schema.migrations[..<version].joined(separator: "\n")
                + "PRAGMA user_version = \(version); PRAGMA application_id = \(Schema.applicationID);"
                + "INSERT INTO \(table) (key, version, holdings, context, document) VALUES ('n1', 8, '', '', '{}');"
                + "UPDATE meta SET value = 8 WHERE name = 'version'")
        try Backup.restore(from: backup, into: "\(scratch.path)/data")
        let store = try SQLiteLog(directory: "\(scratch.path)/data")
        #expect(try StoredTables(starting: store).version == 8)
        store.close()
    }

    @Test(
        "a foreign schema is refused, by a restore and by a start, and nothing is changed",
        arguments: [
            ("CREATE TRIGGER t AFTER INSERT ON stored_pods BEGIN DELETE FROM stored_services; END", "the trigger t"),
            ("CREATE TRIGGER t AFTER DELETE ON journal BEGIN SELECT 1; END", #"(DROP TRIGGER "t")"#),
            ("CREATE TABLE other (x)", "the table other"), ("CREATE VIEW other AS SELECT 1", "the view other"),
            ("CREATE INDEX other ON stored_pods (version)", "the index other"),
            ("DROP VIEW addresses", "the view addresses"),
            ("DROP TABLE stored_cooling", "the table stored_cooling is missing"),
            ("ALTER TABLE stored_nodes ADD COLUMN other TEXT", "the table stored_nodes is not as"),
            ("PRAGMA user_version = 0", "schema version 0"), ("PRAGMA user_version = 2", "the table segments"),
            ("PRAGMA user_version = 99", "schema version 99"), ("PRAGMA application_id = 7", " is "),
            ("UPDATE meta SET value = 9223372036854775807 WHERE name = 'seq'", "seq in the table meta"),
            ("UPDATE meta SET value = -1 WHERE name = 'seq'", "seq in the table meta"),
            ("UPDATE meta SET value = 9223372036854775807 WHERE name = 'version'", "version in the table meta"),
            ("UPDATE meta SET value = 'x' WHERE name = 'seq'", "the table meta"),
            ("DELETE FROM meta WHERE name = 'seq'", "the table meta"),
            ("INSERT INTO meta VALUES ('other', 1)", "the table meta"),
            ("UPDATE meta SET value = value + 2 WHERE name = 'seq'", "already"),
            ("INSERT INTO journal VALUES (9223372036854775807, x'')", "the table journal has row"),
            ("INSERT INTO journal VALUES (-1, x'')", "already"),
            ("UPDATE stored_nodes SET version = 9223372036854775807", "was never given"),
            ("UPDATE stored_nodes SET version = -1", "was never given"),
            ("UPDATE stored_nodes SET created = version + 1", "was never given"),
            ("UPDATE stored_pods SET created = -1", "was never given"),
        ])
    func refuses(_ change: String, _ word: String) throws {
        let scratch = ScratchDirectory()
        let (backup, _) = try made(scratch)
        _ = shell(backup, change)
        let whole = try Data(contentsOf: URL(fileURLWithPath: backup))
        let data = "\(scratch.path)/data"
        let unrestored = #expect(throws: LedgerError.self) { try Backup.restore(from: backup, into: data) }
        #expect(unrestored?.message.contains(word) == true, "\(String(describing: unrestored))")
        #expect(unrestored?.message.contains(backup) == true)
        #expect(try files.contentsOfDirectory(atPath: data) == ["tandem.lock"])
        #expect(try Data(contentsOf: URL(fileURLWithPath: backup)) == whole)
        try whole.write(to: URL(fileURLWithPath: "\(data)/tandem.db"))
        let unstarted = #expect(throws: LedgerError.self) {
            let store = try SQLiteLog(directory: data)
            defer { store.close() }
            _ = try StoredTables(starting: store)
        }
        #expect(unstarted?.message.contains(word) == true, "\(String(describing: unstarted))")
        if !word.contains("never given") {
            #expect(try Data(contentsOf: URL(fileURLWithPath: "\(data)/tandem.db")) == whole)
        }
    }

    @Test("the statement that a refused start gives removes the foreign object, whatever its name")
    func quotesNames() throws {
        let scratch = ScratchDirectory()
        let (backup, _) = try made(scratch)
        _ = shell(backup, #"CREATE TRIGGER "log ""all""; x" AFTER DELETE ON journal BEGIN SELECT 1; END"#)
        let data = "\(scratch.path)/data"
        let refused = try #require(
            #expect(throws: LedgerError.self) { try Backup.restore(from: backup, into: data) })
        let start = try #require(refused.message.range(of: "(DROP")?.lowerBound)
        let end = try #require(refused.message.range(of: "),")?.lowerBound)
        _ = shell(backup, String(refused.message[start..<end].dropFirst()))
        try Backup.restore(from: backup, into: data)
    }

    @Test("the tables of an administrator's ANALYZE are allowed")
    func takesStatistics() throws {
        let scratch = ScratchDirectory()
        let (backup, twin) = try made(scratch)
        _ = shell(backup, "ANALYZE")
        try Backup.restore(from: backup, into: "\(scratch.path)/data")
        let store = try SQLiteLog(directory: "\(scratch.path)/data")
        #expect(try StoredTables(starting: store) == twin)
        store.close()
    }

    @Test(
        "files are their owner's alone, those too that were others' to read; unfinished copies go, no other file does")
    func keepsFilesPrivate() throws {
        let scratch = ScratchDirectory()
        let (backup, twin) = try made(scratch)
        func mode(_ path: String) throws -> Int {
            let attributes = try files.attributesOfItem(atPath: path)
            return try #require(attributes[.posixPermissions] as? Int)
        }
        #expect(try mode(backup) == 0o600)
        let data = "\(scratch.path)/data"
        try Backup.restore(from: backup, into: data)
        #expect(try mode(data) == 0o700)
        #expect(try mode("\(data)/tandem.db") == 0o600)
        for name in ["tandem.db", "tandem.lock"] { chmod("\(data)/\(name)", 0o644) }
        let unfinished = [
            "tandem.db.unfinished-7", "tandem.db.unfinished-7-journal", "tandem.db.restoring",
        ]
        let others = ["tandem.db.backup-12345678901234567890", "tandem.db.backup-before-upgrade", "note"]
        for name in unfinished + others { try Data().write(to: URL(fileURLWithPath: "\(data)/\(name)")) }
        let store = try SQLiteLog(directory: data)
        let known = ["tandem.db", "tandem.db-shm", "tandem.db-wal", "tandem.lock"]
        for name in known { #expect(try mode("\(data)/\(name)") == 0o600, "\(name)") }
        #expect(try files.contentsOfDirectory(atPath: data).sorted() == (known + others).sorted())
        #expect(try StoredTables(starting: store) == twin)
        store.close()
    }
}

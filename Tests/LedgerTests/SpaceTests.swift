import FaultyLog
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Ledger

/// Journal, log and file stay bounded in bytes, whatever the objects' size.
@Suite("Room on the disk")
struct SpaceTests {
    private func put(_ number: Int, bytes: Int) -> Proposal {
        .put(.pod, "container/\(number)/eth0", "{}" + String(repeating: " ", count: bytes))
    }

    private func delete(_ number: Int) -> Proposal { .delete(.pod, "container/\(number)/eth0") }

    private func bytes(_ directory: ScratchDirectory, _ suffix: String = "") -> Int {
        OpenFile.bytes("\(directory.path)/tandem.db\(suffix)")
    }

    private func number(_ directory: ScratchDirectory, _ sql: String) -> Int {
        Int(Command.run("sqlite3", ["\(directory.path)/tandem.db", sql]).output.dropLast()) ?? -1
    }

    @Test("under load unfolded changes are bounded in bytes, and the log with them")
    func boundsBacklog() throws {
        let directory = ScratchDirectory()
        let store = try SQLiteLog(directory: directory.path)
        let count = (SQLiteLog.maximumBacklogBytes >> 20) * 2
        for number in 1...count {
            try store.land([put(number, bytes: 1 << 20)])
            _ = try store.maintain(isIdle: false)
        }
        #expect(store.backlogState.withLock { $0.bytes } <= SQLiteLog.maximumBacklogBytes + 8 << 20)
        #expect(bytes(directory, "-wal") < 256 << 20)
        let segments = try FileManager.default.contentsOfDirectory(atPath: directory.path).filter {
            $0.hasPrefix("tandem.journal-")
        }
        #expect(segments.reduce(0) { $0 + OpenFile.bytes("\(directory.path)/\($1)") } <= 256 << 20)
        store.close()
    }

    @Test("the space of large objects returns to the file system once they are gone, and a long log is cut")
    func givesBack() throws {
        let directory = ScratchDirectory()
        let store = try SQLiteLog(directory: directory.path)
        let count = 60
        for number in 1...count { try store.land([put(number, bytes: 1 << 20)]) }
        while try store.maintain(isIdle: true) {}
        #expect(bytes(directory) > count << 20)
        #expect(bytes(directory, "-wal") <= SQLiteLog.keptLogBytes)
        // One is left in the middle, and is moved.
        for number in 1...count where number != count / 2 {
            try store.land([delete(number)])
        }
        var twin = StoredTables()
        for number in 1...count { twin.take(put(number, bytes: 1 << 20)) }
        for number in 1...count where number != count / 2 { twin.take(delete(number)) }
        var steps = 0
        while try store.maintain(isIdle: true) { steps += 1 }
        #expect(bytes(directory) < 8 << 20)
        #expect(bytes(directory, "-wal") <= SQLiteLog.keptLogBytes)
        // In small steps: of 256 pages at most, down to the rest.
        #expect(steps >= (count << 20 - 8 << 20) / (256 * 4096))
        #expect(try StoredTables(starting: store) == twin)
        #expect(Command.run("sqlite3", ["\(directory.path)/tandem.db", "PRAGMA integrity_check"]).output == "ok\n")
        store.close()
    }

    @Test("a long log that a reader keeps from being cut is cut once the reader has ended, without a further commit")
    func cutsLater() throws {
        let directory = ScratchDirectory()
        let store = try SQLiteLog(directory: directory.path)
        try store.land([put(1, bytes: 1)])
        let reader = try DatabaseHolder("\(directory.path)/tandem.db", .reading)
        for number in 2...30 { try store.land([put(number, bytes: 1 << 20)]) }
        while try store.maintain(isIdle: true) {}
        #expect(bytes(directory, "-wal") > SQLiteLog.keptLogBytes)
        reader.letGo()
        #expect(try store.maintain(isIdle: true) == false)
        #expect(bytes(directory, "-wal") <= SQLiteLog.keptLogBytes)
        store.close()
    }

    @Test("an earlier version's database is written anew at a start once most of it is free")
    func rebuilds() throws {
        let directory = ScratchDirectory()
        let path = "\(directory.path)/tandem.db"
        func make(_ sql: String) {
            let result = Command.run("sqlite3", [path], input: sql)
            #expect(result.status == 0, "\(result.errors)")
        }
        make(
            Schema.migrations.joined(separator: "\n")
                + """
                PRAGMA user_version = \(Schema.version); PRAGMA application_id = \(Schema.applicationID);
                PRAGMA journal_mode = WAL;
                WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
                INSERT INTO stored_nodes (key, version, holdings, context, document)
                SELECT 'n' || i, i, '', printf('%1048576s', ''), '{}' FROM n;
                UPDATE meta SET value = 60 WHERE name = 'version';
                """)
        let full = bytes(directory)
        var store = try SQLiteLog(directory: directory.path)
        store.close()
        // Worth nothing: it is all in use.
        #expect(number(directory, "PRAGMA auto_vacuum") == 0 && bytes(directory) >= full)
        make("DELETE FROM stored_nodes WHERE version > 9;")
        store = try SQLiteLog(directory: directory.path)
        // Nothing of it is left for the journal's thread to copy.
        #expect(bytes(directory, "-wal") == 0)
        let found = try StoredTables(starting: store)
        #expect(found.records.count == 9 && found.version == 60)
        while try store.maintain(isIdle: true) {}
        #expect(bytes(directory) < 16 << 20)
        #expect(number(directory, "PRAGMA auto_vacuum") == 2)
        store.close()
    }
}

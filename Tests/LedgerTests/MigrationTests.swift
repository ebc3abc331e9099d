import Addressing
import FaultyDisk
import FaultyLog
import Foundation
import TestSupport
import Testing

@testable import Ledger

/// The first start on a database of an earlier release.
@Suite("Databases of earlier releases")
struct MigrationTests {
    /// Made by the release that had schema version 3: tables, and a journal that is not folded.
    private static let fixture = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Fixtures/version-3.sql")

    private func made() throws -> ScratchDirectory {
        let directory = ScratchDirectory()
        let sql = try String(contentsOf: Self.fixture, encoding: .utf8)
        let made = Command.run("sqlite3", ["\(directory.path)/tandem.db"], input: sql)
        #expect(made.status == 0, "\(made.errors)")
        return directory
    }

    /// The objects that the release stored, with their versions.
    private var held: StoredTables {
        func record(
            _ kind: RecordKind, _ key: String, _ version: UInt64, _ document: String, _ context: String = "",
            _ holdings: [Holding] = []
        ) -> StoredRecord {
            StoredRecord(
                key: ObjectKey(kind, key), version: version,
                form: StoredForm(document: Array(document.utf8), context: Array(context.utf8), holdings: holdings))
        }
        func pod(_ name: String, _ version: UInt64, _ address: String) -> StoredRecord {
            record(
                .pod, "container/\(name)/eth0", version,
                #"{"metadata":{"name":"\#(name)","resourceVersion":"\#(version)"},"spec":{"nodeName":"n1"}}"#, "",
                [Holding(pool: .podIP, address: IPAddress(address)!)])
        }
        return StoredTables(
            records: [
                record(
                    .service, "default/web", 9,
                    #"{"metadata":{"namespace":"default","name":"web","uid":"u-web","resourceVersion":"9"},"spec":{"type":"LoadBalancer"}}"#,
                    "{}",
                    [
                        Holding(pool: .serviceIP, address: IPAddress("10.96.0.7")!),
                        Holding(pool: .loadBalancerIP, address: IPAddress("2001:db8::7")!),
                    ]),
                record(
                    .node, "n1", 3, #"{"metadata":{"name":"n1"}}"#, "",
                    [
                        Holding(pool: .nodeCIDR, range: CIDR("10.244.0.0/24")!),
                        Holding(pool: .nodeCIDR, range: CIDR("fd00:10:244::/64")!),
                    ]),
                pod("b", 18, "10.244.0.6"), pod("d", 11, "10.244.0.5"),
                record(.cooling, "10.244.0.2", 13, #"{"node":"n1","releasedAt":1700000100}"#),
                record(.cooling, "fd00:10:244::2", 14, #"{"node":"n1","releasedAt":1700000100}"#),
            ], version: 19)
    }

    private func check(_ directory: ScratchDirectory, _ place: String = "") throws {
        var store = try SQLiteLog(directory: directory.path)
        #expect(store.backlog == 0, "\(place)")
        #expect(try StoredTables(starting: store) == held, "\(place)")
        // It goes on from there.
        var twin = held
        for proposal in [Proposal.put(.node, "n1"), .put(.node, "n2"), .delete(.pod, "container/d/eth0")] {
            try store.land([proposal])
            twin.take(proposal)
        }
        #expect(twin.records[ObjectKey(.node, "n1")]?.created == 3)
        while try store.maintain(isIdle: true) {}
        store.close()
        store = try SQLiteLog(directory: directory.path)
        #expect(try StoredTables(starting: store) == twin, "\(place)")
        store.close()
    }

    @Test("all of the journal is folded, with the versions that its rows carry; later versions go on behind them")
    func folds() throws {
        let directory = try made()
        try check(directory)
        let version = Command.run("sqlite3", ["\(directory.path)/tandem.db", "PRAGMA user_version"])
        #expect(version.output == "\(Schema.version)\n")
    }

    @Test("a row of the tables that the journal does not speak of is not written anew")
    func leavesRows() throws {
        let directory = try made()
        try SQLiteLog(directory: directory.path).close()
        let created = Command.run(
            "sqlite3", ["\(directory.path)/tandem.db", "SELECT created IS NULL, releasing FROM nodes"])
        #expect(created.output == "1|0\n")
    }

    @Test("cooling addresses of a deleted node are left out, as no change would ever free them")
    func leavesOutWhatIsOfNobody() throws {
        let directory = try made()
        let sql = """
            INSERT INTO cooling VALUES ('10.244.9.9', 2, '', '', '{"node":"gone","releasedAt":1700000000}');
            """
        #expect(Command.run("sqlite3", ["\(directory.path)/tandem.db", sql]).status == 0)
        try check(directory)
    }

    @Test(
        "version 4, whose tables had computed columns, is brought to this one with its rows and its journal as they are"
    )
    func keepsEntries() throws {
        let directory = ScratchDirectory()
        var store = try SQLiteLog(directory: directory.path)
        var twin = StoredTables()
        var maker = ProposalMaker(seed: 11)
        for _ in 0..<40 {
            let proposal = maker.next()
            twin.take(proposal)
            try store.land([proposal])
        }
        while try store.maintain(isIdle: true) {}
        store.close()
        let last = (0..<5).map { _ in maker.next() }
        for proposal in last { twin.take(proposal) }
        // The same rows in a database of that version.
        let old = ScratchDirectory()
        let columns = "key, version, created, holdings, context, document"
        let copies = [
            "DELETE FROM meta", "INSERT INTO meta SELECT * FROM made.meta",
            journalRows(last, behind: 40),
            "INSERT INTO nodes (\(columns), releasing) SELECT \(columns), releasing FROM made.stored_nodes",
        ]
        let tables = RecordKind.allCases.filter { $0 != .node }.map {
            "INSERT INTO \($0.name) (\(columns)) SELECT \(columns) FROM made.\($0.table)"
        }
        let sql = """
            \(Schema.migrations[..<4].joined(separator: "\n"))
            PRAGMA user_version = 4; PRAGMA application_id = \(Schema.applicationID);
            ATTACH '\(directory.path)/tandem.db' AS made;
            \((copies + tables).joined(separator: ";\n"));
            """
        let made = Command.run("sqlite3", ["\(old.path)/tandem.db"], input: sql)
        #expect(made.status == 0, "\(made.errors)")
        store = try SQLiteLog(directory: old.path)
        #expect(store.backlog > 0)
        #expect(try StoredTables(starting: store) == twin)
        while try store.maintain(isIdle: true) {}
        store.close()
        store = try SQLiteLog(directory: old.path)
        #expect(try StoredTables(starting: store) == twin)
        store.close()
    }

    @Test("a backup of it is restored, and its journal folded at the first start")
    func restores() throws {
        let (directory, scratch) = (try made(), ScratchDirectory())
        try Backup.restore(from: "\(directory.path)/tandem.db", into: "\(scratch.path)/data")
        let store = try SQLiteLog(directory: "\(scratch.path)/data")
        #expect(try StoredTables(starting: store) == held)
        store.close()
    }

    @Test(
        "a damaged row refuses the start, and nothing is changed",
        arguments: ["record = zeroblob(length(record))", "record = substr(record, 1, 50)"])
    func noticesDamage(_ change: String) throws {
        let directory = try made()
        _ = Command.run("sqlite3", ["\(directory.path)/tandem.db", "UPDATE journal SET \(change) WHERE seq = 10"])
        let found = #expect(throws: LedgerError.self) { try SQLiteLog(directory: directory.path) }
        #expect(found?.code == .corrupt && found?.message.contains("row 10 of the table journal") == true)
        let left = Command.run(
            "sqlite3", ["\(directory.path)/tandem.db", "PRAGMA user_version; SELECT count(*) FROM journal"])
        #expect(left.output == "3\n4\n")
    }

    @Test("the power fails, or the disk, at every act of it: the next start finds all that there was")
    func isRestartable() throws {
        var isDisturbed = true
        var act = 0
        while isDisturbed {
            for fault in [nil, .full, .inputOutput, .torn] as [FaultyDisk.Fault?] {
                let directory = ScratchDirectory()
                let disk = FaultyDisk(directory)
                defer { FaultyDisk.detach(directory) }
                // Whole on the disk: the deletion of SQLite's own journal too.
                let sql = "PRAGMA synchronous = EXTRA;" + (try String(contentsOf: Self.fixture, encoding: .utf8))
                FaultyDisk.execute("\(directory.path)/tandem.db", sql)
                let start = disk.acts.count + act
                if let fault {
                    disk.fail { number, act in number == start && (fault == .inputOutput || act == .write) ? fault : nil
                    }
                } else {
                    disk.losePower(before: start)
                }
                let store = try? SQLiteLog(directory: directory.path)
                isDisturbed = disk.acts.count > start
                store?.close()
                for survival in [.nothing, .everything, .some(seed: UInt64(act))] as [FaultyDisk.Survival] {
                    let survivors = ScratchDirectory()
                    try disk.recover(into: survivors, survival)
                    // A disk that does as it should, and faster than the real one.
                    _ = FaultyDisk(survivors)
                    defer { FaultyDisk.detach(survivors) }
                    try check(survivors, "\(String(describing: fault)) at act \(act), \(survival)")
                }
            }
            act += 1
        }
        #expect(act > 10)
    }
}

import Addressing
import FaultyLog
import Foundation
import TestSupport
import Testing

@testable import Ledger

@Suite("The SQLite log")
struct SQLiteLogTests {
    /// Commits and checkpoint steps at random; after each, the state that a crash would leave is recovered and tested against the twin.
    @Test("whatever was committed is recovered, wherever a crash hits", arguments: seeds)
    func recoversAnywhere(_ seed: UInt64) throws {
        let directory = ScratchDirectory()
        var generator = SeededGenerator(seed: seed ^ 0xABCD)
        var maker = ProposalMaker(seed: seed)
        var twin = StoredTables()
        var store = try SQLiteLog.small(directory)
        for step in 0..<120 {
            switch Int.random(in: 0..<10, using: &generator) {
            case 0...5:
                let group = (0..<Int.random(in: 1...5, using: &generator)).map { _ in maker.next() }
                try store.land(group)
                for proposal in group { twin.take(proposal) }
            case 6, 7: _ = try store.maintain(isIdle: true)
            case 8:
                let copy = try directory.copy()
                let crashed = try SQLiteLog.small(copy)
                #expect(try StoredTables(starting: crashed) == twin, "seed \(seed), step \(step)")
                crashed.close()
                withExtendedLifetime(copy) {}
            default:
                store.close()
                store = try SQLiteLog.small(directory)
                #expect(try StoredTables(starting: store) == twin, "seed \(seed), step \(step)")
            }
        }
        while try store.maintain(isIdle: true) {}
        #expect(try StoredTables(starting: store) == twin, "seed \(seed)")
        store.close()
    }

    @Test("one process serves a directory; the next is told which")
    func locks() throws {
        let directory = ScratchDirectory()
        let store = try SQLiteLog(directory: directory.path)
        let refused = #expect(throws: LedgerError.self) { try SQLiteLog(directory: directory.path) }
        #expect(refused?.code == .locked)
        #expect(refused?.message.contains("pid \(getpid())") == true)
        store.close()
        try SQLiteLog(directory: directory.path).close()
    }

    @Test("a newer schema is refused with both versions, and is left as it was")
    func refusesNewerSchema() throws {
        let directory = ScratchDirectory()
        try SQLiteLog(directory: directory.path).close()
        _ = try shell(directory, "PRAGMA user_version = 99")
        let refused = #expect(throws: LedgerError.self) { try SQLiteLog(directory: directory.path) }
        #expect(refused?.code == .newerSchema)
        #expect(refused?.message.contains("99") == true)
        #expect(try shell(directory, "PRAGMA user_version") == "99\n")
    }

    @Test("a file that is no database, or another program's, is refused")
    func refusesStrangers() throws {
        let garbage = ScratchDirectory()
        try Data(repeating: 0x41, count: 8192).write(to: URL(fileURLWithPath: "\(garbage.path)/tandem.db"))
        #expect(#expect(throws: LedgerError.self) { try SQLiteLog(directory: garbage.path) }?.code == .notOurs)
        let other = ScratchDirectory()
        _ = try shell(other, "CREATE TABLE t (x); PRAGMA user_version = 1")
        #expect(#expect(throws: LedgerError.self) { try SQLiteLog(directory: other.path) }?.code == .notOurs)
    }

    @Test("a directory that can't be made is named")
    func refusesUnwritable() throws {
        let directory = ScratchDirectory()
        _ = FileManager.default.createFile(atPath: "\(directory.path)/file", contents: nil)
        let refused = #expect(throws: LedgerError.self) { try SQLiteLog(directory: "\(directory.path)/file/data") }
        #expect(refused?.code == .unwritable)
        #expect(refused?.message.contains("\(directory.path)/file") == true)
    }

    @Test("a person with the sqlite3 shell reads checkpointed state, while the server runs")
    func isReadable() throws {
        let directory = ScratchDirectory()
        let store = try SQLiteLog(directory: directory.path)
        let document =
            #"{"metadata":{"namespace":"default","name":"web","uid":"u1"},"spec":{"type":"ClusterIP","ipFamilyPolicy":"PreferDualStack","clusterIPs":["10.96.0.7","fd00::7"]}}"#
        try store.land([
            Proposal([
                .put(
                    ObjectKey(.service, "default/web"),
                    StoredForm(
                        document: Array(document.utf8),
                        holdings: [
                            Holding(pool: .serviceIP, address: .init("10.96.0.7")!),
                            Holding(pool: .serviceIP, address: .init("fd00::7")!), .port(.tcp, 30080),
                        ])),
                .cool(CIDR("10.244.0.9/32")!, node: "n \"1\"", since: 1_700_000_000),
            ])
        ])
        while try store.maintain(isIdle: true) {}
        let services = try shell(
            directory, "SELECT namespace, name, type, ip_family_policy, cluster_ips, uid FROM services")
        #expect(services == "default|web|ClusterIP|PreferDualStack|[\"10.96.0.7\",\"fd00::7\"]|u1\n")
        let addresses = try shell(directory, "SELECT address, pool, kind, owner FROM addresses ORDER BY address")
        #expect(
            addresses == """
                10.96.0.7|clusterIP|Service|default/web
                TCP/30080|nodePort|Service|default/web
                fd00::7|clusterIP|Service|default/web

                """)
        let cooling = try shell(directory, "SELECT address, node, released_at, version FROM cooling")
        #expect(cooling == "10.244.0.9|n \"1\"|2023-11-14 22:13:20|1\n")
        #expect(try shell(directory, "SELECT count(*) FROM journal") == "0\n")
        store.close()
    }

    @Test("a database of the first version is brought to this one: tables, journal and all")
    func migrates() throws {
        let directory = ScratchDirectory()
        let name = #"{"metadata":{"namespace":"default","name":"web"}}"#
        _ = try shell(
            directory,
            """
            \(Schema.migrations[0])
            PRAGMA user_version = 1;
            PRAGMA application_id = \(Schema.applicationID);
            INSERT INTO services (key, version, holdings, context, document)
            VALUES ('default/web', 7, 'clusterIP=10.96.0.7 loadBalancerIP=2001:db8::7', '{}', '\(name)');
            INSERT INTO nodes (key, version, holdings, context, document)
            VALUES ('n1', 8, 'podCIDR=10.244.0.0/24', '', '{"metadata":{"name":"n1"}}');
            INSERT INTO pods (key, version, holdings, context, document)
            VALUES ('container/c/eth0', 9, 'podIP=10.244.0.2', '', '\(name)'), ('container/d/eth0', 10, '', '', '{}');
            INSERT INTO addresses VALUES ('10.96.0.7', 'clusterIP', 'Service', 'default/web');
            UPDATE meta SET value = 10;
            """)
        let store = try SQLiteLog(directory: directory.path)
        var records: [StoredRecord] = []
        func put(_ kind: RecordKind, _ key: String, _ version: UInt64, _ document: String, _ held: [Holding]) {
            let context = Array((kind == .service ? "{}" : "").utf8)
            records.append(
                StoredRecord(
                    key: ObjectKey(kind, key), version: version,
                    form: StoredForm(document: Array(document.utf8), context: context, holdings: held)))
        }
        put(
            .service, "default/web", 7, name,
            [
                Holding(pool: .serviceIP, address: IPAddress("10.96.0.7")!),
                Holding(pool: .loadBalancerIP, address: IPAddress("2001:db8::7")!),
            ])
        put(
            .node, "n1", 8, #"{"metadata":{"name":"n1"}}"#,
            [Holding(pool: .nodeCIDR, range: CIDR("10.244.0.0/24")!)])
        put(.pod, "container/c/eth0", 9, name, [Holding(pool: .podIP, address: IPAddress("10.244.0.2")!)])
        put(.pod, "container/d/eth0", 10, "{}", [])
        #expect(try StoredTables(starting: store) == StoredTables(records: records, version: 10))
        #expect(try shell(directory, "PRAGMA user_version") == "\(Schema.version)\n")
        #expect(try shell(directory, "SELECT namespace, name FROM services") == "default|web\n")
        #expect(
            try shell(directory, "SELECT * FROM addresses ORDER BY address") == """
                10.244.0.0/24|podCIDR|Node|n1
                10.244.0.2|podIP|Pod|container/c/eth0
                10.96.0.7|clusterIP|Service|default/web
                2001:db8::7|loadBalancerIP|Service|default/web

                """)
        store.close()
    }

    @Test("while a long journal is folded the write-ahead log stays short", arguments: [true, false])
    func keepsTheLogShort(_ isIdle: Bool) throws {
        let directory = ScratchDirectory()
        let store = try SQLiteLog(directory: directory.path)
        var maker = ProposalMaker(seed: 3)
        var longest = 0
        func fold() throws {
            while try store.maintain(isIdle: isIdle) {
                let log = try FileManager.default.attributesOfItem(atPath: "\(directory.path)/tandem.db-wal")
                longest = max(longest, log[.size] as? Int ?? .max)
            }
        }
        for _ in 0..<80 {
            try store.land((0..<1_000).map { _ in maker.next() })
            if !isIdle { try fold() }
        }
        try fold()
        // Commits alone may fill it for 64 groups.
        #expect(longest < 40 << 20)
        // Not idle: work that may wait does, and no more.
        let limit = isIdle ? 0 : SQLiteLog.maximumBacklog
        #expect(store.backlog <= limit)
        store.close()
    }

    @Test(
        "proposals are counted on from the number that the tables have, where a fold is there though its commit failed")
    func countsOn() throws {
        let directory = ScratchDirectory()
        var store = try SQLiteLog(directory: directory.path)
        var maker = ProposalMaker(seed: 6)
        for _ in 0..<3 { try store.land([maker.next()]) }
        _ = try shell(directory, "UPDATE meta SET value = 3 WHERE name = 'seq'")
        #expect(try store.maintain(isIdle: true))
        #expect(store.backlog == 0)
        try store.land([maker.next()])
        #expect(store.backlog == 1)
        while try store.maintain(isIdle: true) {}
        #expect(store.backlog == 0)
        store.close()
        store = try SQLiteLog(directory: directory.path)
        #expect(try shell(directory, "SELECT value FROM meta WHERE name = 'seq'") == "4\n")
        store.close()
    }

    private func shell(_ directory: ScratchDirectory, _ sql: String) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["sqlite3", "\(directory.path)/tandem.db", sql]
        let output = Pipe()
        process.standardOutput = output
        try Children.start(process)
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        return String(decoding: data, as: UTF8.self)
    }
}

import FaultyLog
import Foundation
import TestSupport
import Testing

@testable import Ledger

/// Files that are not as they were left: pages overwritten, a log cut short.
@Suite("Damaged files")
struct DamageTests {
    private static let pageSize = 4096

    /// A database with every table in use, all of it in one file, and its contents.
    private func made() throws -> (ScratchDirectory, StoredTables) {
        let directory = ScratchDirectory()
        let store = try SQLiteLog(directory: directory.path)
        var maker = ProposalMaker(seed: 4)
        var twin = StoredTables()
        for _ in 0..<60 {
            let proposal = maker.next()
            twin.take(proposal)
            try store.land([proposal])
        }
        while try store.maintain(isIdle: true) {}
        store.close()
        return (directory, twin)
    }

    @Test("a page that was overwritten is never served: the start is refused with the table and the cure")
    func noticesPages() throws {
        let (directory, twin) = try made()
        let whole = try Data(contentsOf: URL(fileURLWithPath: "\(directory.path)/tandem.db"))
        var generator = SeededGenerator(seed: 7)
        var named: Set<String> = []
        for page in 0..<whole.count / Self.pageSize {
            var damaged = whole
            let start = page * Self.pageSize
            damaged.replaceSubrange(
                start..<start + Self.pageSize,
                with: (0..<Self.pageSize).map { _ in UInt8.random(in: 0...255, using: &generator) })
            let copy = ScratchDirectory()
            try damaged.write(to: URL(fileURLWithPath: "\(copy.path)/tandem.db"))
            do {
                let store = try SQLiteLog(directory: copy.path)
                defer { store.close() }
                #expect(try StoredTables(starting: store) == twin, "page \(page + 1) of \(whole.count / Self.pageSize)")
                // A page that no start reads: the checkpoint meets it, and the journal then stops.
                var maker = ProposalMaker(seed: 4)
                let journal = Journal(log: store, runsOwnThread: false)
                journal.send(maker.next()) { _ in }
                while journal.step() {}
            } catch let error as LedgerError where page == 0 {
                #expect(error.code == .notOurs, "\(error)")
            } catch let error as LedgerError {
                #expect(error.code == .corrupt, "\(error)")
                #expect(error.message.contains("--restore FILE") && error.message.contains("tandemctl backup"))
                for table in ["stored_services", "stored_nodes", "stored_pods"]
                where error.message.contains(table) {
                    named.insert(table)
                }
            }
        }
        #expect(named.isSuperset(of: ["stored_services", "stored_nodes", "stored_pods"]))
    }

    @Test("damage that a checkpoint meets stops the journal, and says where")
    func noticesDamageWhileServing() throws {
        let directory = ScratchDirectory()
        let store = try SQLiteLog(directory: directory.path)
        let root = try #require(
            Int(shell(directory, "SELECT rootpage FROM sqlite_master WHERE name = 'stored_services'")))
        store.close()
        let file = try #require(FileHandle(forUpdatingAtPath: "\(directory.path)/tandem.db"))
        try file.seek(toOffset: UInt64((root - 1) * Self.pageSize))
        try file.write(contentsOf: Data(repeating: 0xA5, count: Self.pageSize))
        try file.close()
        let journal = Journal(log: try SQLiteLog(directory: directory.path), runsOwnThread: false)
        var maker = ProposalMaker(seed: 4)
        let kept = Noted<Bool>()
        for _ in 0..<10 { journal.send(maker.next()) { if case .success = $0 { kept.add(true) } } }
        for _ in 0..<3 { journal.step() }
        #expect(kept.all.count == 10)
        #expect(journal.fault?.code == .corrupt)
        #expect(
            journal.fault?.message.contains("table stored_services") == true, "\(String(describing: journal.fault))")
        journal.stop()
    }

    @Test("where the database's own log was cut short, the tables are as of a step before, or the start is refused")
    func survivesCutLogs() throws {
        let directory = ScratchDirectory()
        let store = try SQLiteLog.small(directory)
        var maker = ProposalMaker(seed: 8)
        var twin = StoredTables()
        for _ in 0..<12 {
            let proposal = maker.next()
            twin.take(proposal)
            try store.land([proposal])
            try store.fold()
        }
        let left = try directory.copy()
        store.close()
        let path = "\(left.path)/tandem.db-wal"
        let log = try Data(contentsOf: URL(fileURLWithPath: path))
        var served = 0
        for length in stride(from: 0, through: log.count, by: 7_993) {
            let copy = try left.copy()
            try log.prefix(length).write(to: URL(fileURLWithPath: "\(copy.path)/tandem.db-wal"))
            do {
                let cut = try SQLiteLog.small(copy)
                defer { cut.close() }
                // The journal has the changes that the tables lack.
                #expect(try StoredTables(starting: cut) == twin, "cut at \(length)")
                served += 1
            } catch let error as LedgerError {
                #expect(error.code == .corrupt, "cut at \(length): \(error)")
            }
        }
        #expect(served > 0)
    }

    @Test("a segment that was cut short is not served")
    func refusesCutSegments() throws {
        let directory = ScratchDirectory()
        let store = try SQLiteLog.small(directory)
        var maker = ProposalMaker(seed: 8)
        for _ in 0..<3 { try store.land([maker.next()]) }
        let copy = try directory.copy()
        store.close()
        let path = "\(copy.path)/\(DataFiles(directory: copy.path).segments()[0])"
        for length in [0, 1, 4_096, 8_192, 16_383] {
            #expect(truncate(path, off_t(length)) == 0)
            let refused = #expect(throws: LedgerError.self) { try SQLiteLog.small(copy) }
            #expect(refused?.message.contains("\(path) has \(length) bytes and not 16384") == true)
        }
    }

    private func shell(_ directory: ScratchDirectory, _ sql: String) -> String {
        Command.run("sqlite3", ["\(directory.path)/tandem.db", sql]).output.trimmingCharacters(in: .newlines)
    }
}

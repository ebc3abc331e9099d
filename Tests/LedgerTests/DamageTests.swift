import FaultyLog
import Foundation
import Ledger
import TestSupport
import Testing

/// Files that are not as they were left: pages overwritten, a log cut short.
@Suite("Damaged files")
struct DamageTests {
    private static let pageSize = 4096

    /// A database with every table in use, all of it in one file, and what it holds.
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
        let last = maker.next()
        twin.take(last)
        try store.land([last])
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
                for table in ["stored_services", "stored_nodes", "stored_pods", "journal", "meta"]
                where error.message.contains(table) {
                    named.insert(table)
                }
            }
        }
        #expect(named.isSuperset(of: ["stored_services", "stored_nodes", "stored_pods", "journal"]))
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

    @Test("a log that was cut short gives the commits before the cut, each whole, and nothing of those behind")
    func survivesCutLogs() throws {
        let directory = ScratchDirectory()
        let store = try SQLiteLog(directory: directory.path)
        var maker = ProposalMaker(seed: 8)
        var twin = StoredTables()
        var states = [twin]
        for _ in 0..<12 {
            let proposal = maker.next()
            twin.take(proposal)
            states.append(twin)
            try store.land([proposal])
        }
        let log = try Data(contentsOf: URL(fileURLWithPath: "\(directory.path)/tandem.db-wal"))
        let file = try Data(contentsOf: URL(fileURLWithPath: "\(directory.path)/tandem.db"))
        store.close()
        var latest = 0
        for length in stride(from: 0, through: log.count, by: 1999) {
            let copy = ScratchDirectory()
            try file.write(to: URL(fileURLWithPath: "\(copy.path)/tandem.db"))
            try log.prefix(length).write(to: URL(fileURLWithPath: "\(copy.path)/tandem.db-wal"))
            let cut = try SQLiteLog(directory: copy.path)
            let found = try StoredTables(starting: cut)
            let position = try #require(states.firstIndex(of: found), "cut at \(length)")
            #expect(position >= latest, "cut at \(length)")
            latest = position
            cut.close()
        }
        #expect(latest >= 11)
    }

    private func shell(_ directory: ScratchDirectory, _ sql: String) -> String {
        Command.run("sqlite3", ["\(directory.path)/tandem.db", sql]).output.trimmingCharacters(in: .newlines)
    }
}

import FaultyDisk
import FaultyLog
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Ledger

/// The journal's files: how they come and go, and that no start goes on with others than those that belong to its database.
@Suite("The journal's segments")
struct SegmentTests {
    private let files = FileManager.default

    private func names(_ directory: ScratchDirectory) -> [String] { DataFiles(directory: directory.path).segments() }

    private func path(_ directory: ScratchDirectory, _ index: Int = 0) -> String {
        "\(directory.path)/\(names(directory)[index])"
    }

    private func shell(_ directory: ScratchDirectory, _ sql: String) -> String {
        Command.run("sqlite3", ["\(directory.path)/tandem.db", sql]).output.trimmingCharacters(in: .newlines)
    }

    private func refusal(_ directory: ScratchDirectory) -> String {
        let refused = #expect(throws: LedgerError.self) {
            let store = try SQLiteLog.small(directory)
            defer { store.close() }
            _ = try StoredTables(starting: store)
        }
        #expect(refused?.code == .corrupt, "\(String(describing: refused))")
        return refused?.message ?? ""
    }

    /// A log at work, and its contents.
    private struct Work {
        let directory = ScratchDirectory()
        let store: SQLiteLog
        var twin = StoredTables()
        private var maker = ProposalMaker(seed: 21)

        init() throws { store = try SQLiteLog.small(directory) }

        mutating func land(_ groups: Int) throws {
            for _ in 0..<groups {
                let proposal = maker.next()
                twin.take(proposal)
                try store.land([proposal])
            }
        }

        func fold() throws { while try store.maintain(isIdle: true) {} }
    }

    @Test("each is twice as large as the one before, and those that are in the tables are written over again")
    func growsAndReuses() throws {
        var work = try Work()
        defer { work.store.close() }
        // 4, 8, 16, 16, 16 groups.
        try work.land(50)
        let sizes = names(work.directory).map { OpenFile.bytes("\(work.directory.path)/\($0)") >> 10 }.sorted()
        #expect(sizes == [16, 32, 64, 64, 64])
        try work.fold()
        let before = names(work.directory)
        for _ in 0..<40 {
            try work.land(9)
            try work.fold()
        }
        #expect(names(work.directory) == before)
        let copy = try work.directory.copy()
        let crashed = try SQLiteLog.small(copy)
        #expect(try StoredTables(starting: crashed) == work.twin)
        crashed.close()
    }

    @Test("a segment is not written over before the step that had the last of it is on the disk")
    func keepsUnfolded() throws {
        var work = try Work()
        defer { work.store.close() }
        try work.land(100)
        let copy = try work.directory.copy()
        let crashed = try SQLiteLog.small(copy)
        #expect(crashed.backlog == 100)
        #expect(try StoredTables(starting: crashed) == work.twin)
        crashed.close()
    }

    @Test("the last write is not overwritten before a later one, even if the tables have it")
    func keepsTheNewest() throws {
        let directory = ScratchDirectory()
        let disk = FaultyDisk(directory)
        defer { FaultyDisk.detach(directory) }
        let store = try SQLiteLog.small(directory, disk)
        // Segments of 4 and 8 groups.
        for numbers in [1...7, 8...12] {
            for number in numbers { try store.land([.put(.node, "n\(number)")]) }
            while try store.maintain(isIdle: true) {}
        }
        #expect(names(directory).count == 2)
        let next = disk.acts.count
        disk.fail { number, _ in number == next ? .full : nil }
        // To the first one, and not kept; the next one has more bytes than that one.
        #expect(throws: LedgerError.self) { try store.land([.put(.node, "n13")]) }
        try store.land([.put(.node, "n13", String(repeating: " ", count: 20 << 10))])
        #expect(names(directory).count == 3)
        store.close()
    }

    @Test(
        "a group whose write failed, and comes to the disk after the caller was told, is not there after a loss of power"
    )
    func voidsWhatComesLate() throws {
        let directory = ScratchDirectory()
        let disk = FaultyDisk(directory)
        defer { FaultyDisk.detach(directory) }
        let store = try SQLiteLog.small(directory, disk)
        try store.land([.put(.node, "n1")])
        let next = disk.acts.count
        disk.fail { number, _ in number == next ? .late : nil }
        let failed = #expect(throws: LedgerError.self) {
            try store.land([.put(.node, "n2", String(repeating: " ", count: 10 << 10))])
        }
        #expect(failed?.outcome == .notCommitted, "\(String(describing: failed))")
        let copy = ScratchDirectory()
        try disk.recover(into: copy, .everything)
        let after = try SQLiteLog.small(copy)
        #expect(after.backlog == 1)
        after.close()
        store.close()
    }

    @Test("a stop that had the time leaves one file, which names no segment")
    func leavesOneFile() throws {
        var work = try Work()
        try work.land(20)
        #expect(!names(work.directory).isEmpty)
        try work.fold()
        work.store.close()
        #expect(try Set(files.contentsOfDirectory(atPath: work.directory.path)) == ["tandem.db", "tandem.lock"])
        #expect(shell(work.directory, "SELECT count(*) FROM segments") == "0")
        let next = try SQLiteLog.small(work.directory)
        #expect(try StoredTables(starting: next) == work.twin)
        next.close()
    }

    @Test(
        "segments of an earlier start are read, and removed once they are in the tables; the new one writes files of its own"
    )
    func drains() throws {
        var work = try Work()
        try work.land(10)
        work.store.close()
        let old = names(work.directory)
        #expect(!old.isEmpty)
        for round in 0..<3 {
            let store = try SQLiteLog.small(work.directory)
            #expect(try StoredTables(starting: store) == work.twin)
            let proposal = Proposal.put(.node, "round-\(round)")
            work.twin.take(proposal)
            try store.land([proposal])
            #expect(Set(names(work.directory)).isSuperset(of: old))
            store.close()
        }
        let store = try SQLiteLog.small(work.directory)
        #expect(try StoredTables(starting: store) == work.twin)
        try store.land([.put(.node, "last")])
        while try store.maintain(isIdle: true) {}
        #expect(names(work.directory).count == 1)
        #expect(Set(names(work.directory)).isDisjoint(with: old))
        store.close()
    }

    @Test("a group that is larger than any segment has one that is large enough")
    func takesLargeGroups() throws {
        var work = try Work()
        try work.land(3)
        let large = Proposal.put(.pod, "large", "{}" + String(repeating: " ", count: 300 << 10))
        work.twin.take(large)
        try work.store.land([large])
        try work.land(3)
        #expect(try StoredTables(starting: work.store) == work.twin)
        work.store.close()
        let store = try SQLiteLog.small(work.directory)
        #expect(try StoredTables(starting: store) == work.twin)
        store.close()
    }

    @Test("a segment that is missing, while something in it is not in the tables, refuses the start by its name")
    func missesSegments() throws {
        var work = try Work()
        try work.land(20)
        work.store.close()
        for index in names(work.directory).indices {
            let copy = try work.directory.copy()
            let path = path(copy, index)
            try files.removeItem(atPath: path)
            #expect(refusal(copy).contains("\(path) is missing"))
        }
    }

    @Test("of database and segments only one was copied: each is refused, and put together they are served")
    func refusesHalves() throws {
        var work = try Work()
        try work.land(5)
        let before = try work.directory.copy()
        try work.fold()
        try work.land(40)
        try work.fold()
        try work.land(2)
        work.store.close()
        // An older database among newer segments, and the other way round.
        for (database, segments) in [(before, work.directory), (work.directory, before)] {
            let mixed = try segments.copy()
            for name in ["tandem.db", "tandem.db-wal"] {
                try? files.removeItem(atPath: "\(mixed.path)/\(name)")
                try? files.copyItem(atPath: "\(database.path)/\(name)", toPath: "\(mixed.path)/\(name)")
            }
            #expect(refusal(mixed).contains("tandem.journal-"))
        }
        // One of a later start, whose files have other names.
        let later = try SQLiteLog.small(work.directory)
        #expect(try StoredTables(starting: later) == work.twin)
        while try later.maintain(isIdle: true) {}
        try later.land([.put(.node, "later")])
        later.close()
        let mixed = try work.directory.copy()
        for name in ["tandem.db", "tandem.db-wal"] {
            try? files.removeItem(atPath: "\(mixed.path)/\(name)")
            try? files.copyItem(atPath: "\(before.path)/\(name)", toPath: "\(mixed.path)/\(name)")
        }
        #expect(refusal(mixed).contains("is there, and"))
        // A whole database, of a backup, put among segments that it does not know.
        let alone = try work.directory.copy()
        for name in ["tandem.db", "tandem.db-wal"] { try? files.removeItem(atPath: "\(alone.path)/\(name)") }
        try SQLiteLog.small(ScratchDirectory()).close()
        #expect(refusal(alone).contains("its database"))
        let fresh = ScratchDirectory()
        try SQLiteLog.small(fresh).close()
        try files.copyItem(atPath: "\(fresh.path)/tandem.db", toPath: "\(alone.path)/tandem.db")
        #expect(refusal(alone).contains("is not the database that it was written for"))
    }

    @Test("segments that were set back, or emptied, are not taken for ones to which nothing was written")
    func refusesEmptied() throws {
        var work = try Work()
        try work.land(12)
        try work.fold()
        // A kill before the end leaves them, though all is in the tables.
        let copy = try work.directory.copy()
        work.store.close()
        for name in names(copy) {
            let path = "\(copy.path)/\(name)"
            try Data(count: OpenFile.bytes(path)).write(to: URL(fileURLWithPath: path))
        }
        #expect(refusal(copy).contains("end before 12"))
    }

    @Test("each byte of the journal changed: a start finds a state that was there, with no hole, or is refused")
    func noticesBytes() throws {
        let work = ScratchDirectory()
        let store = try SQLiteLog.small(work)
        var maker = ProposalMaker(seed: 5)
        var twin = StoredTables()
        var states = [twin]
        for _ in 0..<6 {
            let proposal = maker.next()
            twin.take(proposal)
            states.append(twin)
            try store.land([proposal])
        }
        let copy = try work.copy()
        store.close()
        var (refused, cut) = (0, 0)
        for name in names(copy) {
            let path = "\(copy.path)/\(name)"
            let whole = try Data(contentsOf: URL(fileURLWithPath: path))
            for block in stride(from: 0, to: whole.count, by: GroupCoding.block) {
                for offset in [0, 9, 25, 40, 120, 380] {
                    let damaged = try copy.copy()
                    let file = try #require(FileHandle(forUpdatingAtPath: "\(damaged.path)/\(name)"))
                    try file.seek(toOffset: UInt64(block + offset))
                    try file.write(contentsOf: Data([whole[block + offset] ^ 0x40]))
                    try file.close()
                    do {
                        let log = try SQLiteLog.small(damaged)
                        defer { log.close() }
                        let found = try StoredTables(starting: log)
                        // The last one is as one whose writing was broken off.
                        #expect(found == twin || found == states[5], "byte \(offset) of \(block) of \(name)")
                        if found != twin { cut += 1 }
                    } catch let error as LedgerError {
                        #expect(error.code == .corrupt, "\(error)")
                        #expect(error.message.contains("--restore FILE"))
                        refused += 1
                    }
                }
            }
        }
        #expect(refused > 15 && cut >= 3)
    }

    @Test("damage that the checkpoint meets stops the journal, and names the file")
    func noticesDamageWhileServing() throws {
        let directory = ScratchDirectory()
        let journal = Journal(log: try SQLiteLog.small(directory), runsOwnThread: false)
        var maker = ProposalMaker(seed: 5)
        journal.send(maker.next()) { _ in }
        journal.step()
        let file = try #require(FileHandle(forUpdatingAtPath: path(directory)))
        try file.seek(toOffset: 40)
        try file.write(contentsOf: Data([0xA5, 0xA5]))
        try file.close()
        while journal.step() {}
        #expect(journal.fault?.code == .corrupt)
        #expect(journal.fault?.message.contains("\(path(directory)): the changes 1 to 1 are damaged") == true)
        journal.stop()
    }

    @Test("no older program serves a database that has segments")
    func keepsOlderProgramsOut() throws {
        var work = try Work()
        try work.land(1)
        #expect(shell(work.directory, "PRAGMA user_version") == "6")
        work.store.close()
    }

    @Test("a database that was copied without its segments is no backup")
    func refusesBareCopies() throws {
        var work = try Work()
        try work.land(1)
        let copy = try work.directory.copy()
        work.store.close()
        let target = ScratchDirectory()
        let refused = #expect(throws: LedgerError.self) {
            try Backup.restore(from: "\(copy.path)/tandem.db", into: "\(target.path)/data")
        }
        #expect(refused?.message.contains("tandem.journal-*") == true)
        #expect(throws: LedgerError.self) { try Backup.restore(from: "\(copy.path)/tandem.db", into: copy.path) }
    }

    @Test("a backup has all changes acknowledged when it began, in its tables, and needs nothing else; commits go on")
    func backsUp() throws {
        let directory = ScratchDirectory()
        let store = try SQLiteLog.small(directory)
        store.startTidying()
        var maker = ProposalMaker(seed: 5)
        var twin = StoredTables()
        for _ in 0..<30 {
            let proposal = maker.next()
            twin.take(proposal)
            try store.land([proposal])
        }
        let backup = "\(directory.path)/backup"
        try store.backUp(to: backup)
        try store.land([maker.next()])
        store.close()
        let data = "\(directory.path)/data"
        try Backup.restore(from: backup, into: data)
        let restored = try SQLiteLog(directory: data)
        #expect(restored.backlog == 0)
        #expect(try StoredTables(starting: restored) == twin)
        restored.close()
    }

    @Test("commits that come faster than they are folded wait for the checkpoint, and none is refused")
    func boundsBacklog() throws {
        let directory = ScratchDirectory()
        let store = try SQLiteLog(directory: directory.path)
        let group = (0..<4_096).map { Proposal.put(.pod, "p\($0 % 64)") }
        for _ in 0..<40 {
            try store.land(group)
            #expect(store.backlog <= SQLiteLog.maximumBacklog * SQLiteLog.backlogFactor + group.count)
        }
        store.close()
    }

    @Test("with threads of its own it keeps acknowledged changes, folds, and stops in good order")
    func worksOnThreads() async throws {
        let directory = ScratchDirectory()
        var maker = ProposalMaker(seed: 31)
        let proposals = (0..<400).map { _ in maker.next() }
        var twin = StoredTables()
        for proposal in proposals { twin.take(proposal) }
        let journal = Journal(log: try SQLiteLog.small(directory), idleMilliseconds: 1)
        let landed = Mutex(0)
        for proposal in proposals {
            journal.send(proposal) { result in
                if case .success = result { landed.withLock { $0 += 1 } }
            }
        }
        while landed.withLock({ $0 }) < proposals.count || journal.statistics.backlog > 0 { await Task.yield() }
        journal.stop()
        #expect(names(directory).isEmpty)
        let store = try SQLiteLog.small(directory)
        #expect(try StoredTables(starting: store) == twin)
        store.close()
    }
}

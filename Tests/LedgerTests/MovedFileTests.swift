import FaultyDisk
import FaultyLog
import Foundation
import TestSupport
import Testing

@testable import Ledger

/// Files of a database that are not at their paths any more while a server has them open.
@Suite("Files that were moved, deleted or replaced")
struct MovedFileTests {
    enum Fate: CaseIterable {
        case moved, deleted, replaced, directoryMoved, directoryReplaced
    }

    private let files = FileManager.default

    private func befall(_ fate: Fate, _ name: String, of directory: String) throws {
        let path = "\(directory)/\(name)"
        switch fate {
        case .moved: try files.moveItem(atPath: path, toPath: "\(directory)/away")
        case .deleted: try files.removeItem(atPath: path)
        case .replaced:
            try files.copyItem(atPath: path, toPath: "\(directory)/copy")
            #expect(rename("\(directory)/copy", path) == 0)
        case .directoryMoved: try files.moveItem(atPath: directory, toPath: directory + ".away")
        case .directoryReplaced:
            try files.copyItem(atPath: directory, toPath: directory + ".copy")
            try files.moveItem(atPath: directory, toPath: directory + ".away")
            try files.moveItem(atPath: directory + ".copy", toPath: directory)
        }
    }

    @Test(
        "nothing is acknowledged any more, and it is noticed without a commit",
        arguments: Fate.allCases, ["tandem.db", "tandem.db-wal", "tandem.db-shm", "tandem.lock", "tandem.journal-"])
    func endsAcknowledgements(_ fate: Fate, _ file: String) throws {
        for isIdle in [false, true] {
            let scratch = ScratchDirectory()
            let directory = "\(scratch.path)/data"
            let journal = Journal(log: try SQLiteLog(directory: directory), runsOwnThread: false)
            var maker = ProposalMaker(seed: 6)
            let outcomes = Noted<LedgerError?>()
            func submit() {
                journal.send(maker.next()) { result in
                    if case .failure(let error) = result { outcomes.add(error) } else { outcomes.add(nil) }
                }
            }
            submit()
            while journal.step() {}
            #expect(outcomes.all.count == 1 && outcomes.all[0] == nil && journal.impairment == nil)
            let name = try #require(files.contentsOfDirectory(atPath: directory).sorted().first { $0.hasPrefix(file) })
            try befall(fate, name, of: directory)
            if !isIdle { submit() }
            journal.step()
            let fault = try #require(journal.fault)
            #expect(fault.code == .moved)
            let isWhole = fate == .directoryMoved || fate == .directoryReplaced
            #expect(fault.message.contains("\(directory)/\(isWhole ? "tandem.db" : name) was moved away"), "\(fault)")
            #expect(fault.message.contains("--restore FILE"))
            submit()
            #expect(outcomes.all.dropFirst().allSatisfy { $0?.code == .moved })
            // Whether it was kept depends on the fate of the file.
            if !isIdle { #expect(outcomes.all[1]?.outcome == .unknown) }
            #expect(outcomes.all.count == (isIdle ? 2 : 3))
            journal.stop()
        }
    }

    @Test("an outcome that is not known is not looked up in a file that was put in its place")
    func resolvesInTheSameFile() throws {
        let scratch = ScratchDirectory()
        let disk = FaultyDisk(scratch)
        defer { FaultyDisk.detach(scratch) }
        let log = try SQLiteLog.small(scratch, disk)
        let journal = Journal(log: log, runsOwnThread: false)
        log.prepareSegment()
        let name = try #require(DataFiles(directory: scratch.path).segments().first)
        let path = "\(scratch.path)/\(name)"
        disk.fail { _, act in
            guard act == .sync else { return nil }
            if !FileManager.default.fileExists(atPath: path + ".away") {
                rename(path, path + ".away")
                try? FileManager.default.copyItem(atPath: path + ".away", toPath: path)
            }
            return .inputOutput
        }
        var maker = ProposalMaker(seed: 6)
        let outcomes = Noted<LedgerError.Outcome?>()
        journal.send(maker.next()) { result in
            if case .failure(let error) = result { outcomes.add(error.outcome) } else { outcomes.add(nil) }
        }
        journal.step()
        #expect(outcomes.all == [.unknown])
        #expect(journal.fault?.code == .moved)
        disk.fail { _, _ in nil }
        journal.stop()
    }

    @Test("a path that can't be looked at leaves the outcome open, with the system's reason; it need not have moved")
    func tellsFaultsFromMoves() throws {
        let scratch = ScratchDirectory()
        let store = try SQLiteLog(directory: scratch.path)
        let path = "\(scratch.path)/tandem.db"
        var maker = ProposalMaker(seed: 6)
        var twin = StoredTables()
        func next() -> Proposal {
            let proposal = maker.next()
            twin.take(proposal)
            return proposal
        }
        try store.land([next()])
        try files.moveItem(atPath: path, toPath: path + ".away")
        try files.createSymbolicLink(atPath: path, withDestinationPath: path)
        let proposal = next()
        let failed = #expect(throws: LedgerError.self) { try store.land([proposal]) }
        #expect(failed?.code == .inputOutput && failed?.outcome == .unknown)
        #expect(failed?.message.contains(String(cString: strerror(ELOOP))) == true, "\(String(describing: failed))")
        try files.removeItem(atPath: path)
        try files.moveItem(atPath: path + ".away", toPath: path)
        // Nothing is appended behind it by a journal; a start finds it.
        store.close()
        let found = try SQLiteLog(directory: scratch.path)
        #expect(try StoredTables(starting: found) == twin)
        found.close()
    }

    @Test("no database is made where one must be there already")
    func makesNone() {
        let scratch = ScratchDirectory()
        let path = "\(scratch.path)/50% #1?.db"
        #expect(throws: LedgerError.self) { try Connection(path, []) }
        #expect(files.fileExists(atPath: scratch.path))
        #expect(!files.fileExists(atPath: path))
    }

    @Test("a database may be a symbolic link: its log lies beside the file that it names")
    func followsLinks() throws {
        let (scratch, volume) = (ScratchDirectory(), ScratchDirectory())
        try SQLiteLog(directory: scratch.path).close()
        try files.moveItem(atPath: "\(scratch.path)/tandem.db", toPath: "\(volume.path)/t 1%.db")
        try files.createSymbolicLink(atPath: "\(scratch.path)/tandem.db", withDestinationPath: "\(volume.path)/t 1%.db")
        var maker = ProposalMaker(seed: 6)
        var twin = StoredTables()
        for _ in 0..<2 {
            let store = try SQLiteLog(directory: scratch.path)
            #expect(try StoredTables(starting: store) == twin)
            let proposal = maker.next()
            twin.take(proposal)
            try store.land([proposal])
            #expect(OpenFile.exists("\(volume.path)/t 1%.db-wal"))
            while try store.maintain(isIdle: true) {}
            store.close()
        }
        let store = try SQLiteLog(directory: scratch.path)
        try files.moveItem(atPath: "\(volume.path)/t 1%.db-wal", toPath: "\(volume.path)/away")
        #expect(#expect(throws: LedgerError.self) { try store.maintain(isIdle: true) }?.code == .moved)
        store.close()
    }

    @Test("a start removes the copies that the program left unfinished, and nothing of an administrator's")
    func removesOnlyItsOwn() throws {
        let scratch = ScratchDirectory()
        let kept = [
            "tandem.db.backup-20261126154500123", "tandem.db.backup-1234567890123456-journal", "tandem.db.backup-1",
            "tandem.db.unfinished-", "tandem.db.unfinished-mine", "tandem.db.unfinished-007",
            "tandem.db.unfinished-99999999999999999999", "tandem.db.restoring-old",
        ]
        let left = [
            "tandem.db.unfinished-7", "tandem.db.unfinished-18446744073709551615-journal", "tandem.db.restoring",
            "tandem.db.restoring-journal",
            URL(fileURLWithPath: Backup.temporaryFile(directory: scratch.path)).lastPathComponent,
        ]
        for name in kept + left { #expect(files.createFile(atPath: "\(scratch.path)/\(name)", contents: nil)) }
        try SQLiteLog(directory: scratch.path).close()
        let found = try files.contentsOfDirectory(atPath: scratch.path)
        #expect(Set(found) == Set(kept + ["tandem.db", "tandem.lock"]))
    }

    @Test("acknowledged changes are in the file that was moved away, and the files in its place are left alone")
    func closesWithoutHarm() throws {
        let (scratch, other) = (ScratchDirectory(), ScratchDirectory())
        let store = try SQLiteLog(directory: scratch.path)
        var maker = ProposalMaker(seed: 6)
        var twin = StoredTables()
        for _ in 0..<20 {
            let proposal = maker.next()
            twin.take(proposal)
            try store.land([proposal])
        }
        // Another database, with a journal that holds all that it was told.
        let strange = try SQLiteLog(directory: other.path)
        var strangers = ProposalMaker(seed: 7)
        var strangeTwin = StoredTables()
        for _ in 0..<5 {
            let proposal = strangers.next()
            strangeTwin.take(proposal)
            try strange.land([proposal])
        }
        let (back, placing) = (ScratchDirectory(), try other.copy())
        for (from, to) in [(scratch.path, back.path), (placing.path, scratch.path)] {
            for name in try files.contentsOfDirectory(atPath: from)
            where name != "tandem.lock" && name != "tandem.db-shm" {
                try files.moveItem(atPath: "\(from)/\(name)", toPath: "\(to)/\(name)")
            }
        }
        #expect(#expect(throws: LedgerError.self) { try store.maintain(isIdle: true) }?.code == .moved)
        store.close()
        strange.close()
        let placed = try SQLiteLog(directory: scratch.path)
        #expect(try StoredTables(starting: placed) == strangeTwin)
        placed.close()
        let found = try SQLiteLog(directory: back.path)
        #expect(try StoredTables(starting: found) == twin)
        found.close()
    }

    @Test("a log without its database is not taken for a new directory, nor for the log of a restored one")
    func refusesLogsAlone() throws {
        let scratch = ScratchDirectory()
        let store = try SQLiteLog(directory: scratch.path)
        var maker = ProposalMaker(seed: 6)
        try store.land([maker.next()])
        let crashed = try scratch.copy()
        for name in DataFiles(directory: crashed.path).segments() {
            try files.removeItem(atPath: "\(crashed.path)/\(name)")
        }
        let backup = "\(scratch.path)/backup"
        try store.backUp(to: backup)
        store.close()
        try files.removeItem(atPath: "\(crashed.path)/tandem.db")
        let refused = #expect(throws: LedgerError.self) { try SQLiteLog(directory: crashed.path) }
        #expect(refused?.message.contains("tandem.db-wal is there, and its database") == true)
        #expect(throws: LedgerError.self) { try Backup.restore(from: backup, into: crashed.path) }
        #expect(!files.fileExists(atPath: "\(crashed.path)/tandem.db"))
        try files.removeItem(atPath: "\(crashed.path)/tandem.db-wal")
        try Backup.restore(from: backup, into: crashed.path)
        try SQLiteLog(directory: crashed.path).close()
    }
}

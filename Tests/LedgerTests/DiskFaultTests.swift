import FaultyDisk
import FaultyLog
import Foundation
import GRDB
import TestSupport
import Testing

@testable import Ledger

/// Everything that can befall one act of SQLite on the disk, act by act: the power fails before, between and after the
/// writes of commits and checkpoints; a write or a sync fails once, or for a while.
@Suite("Faults of the disk under SQLite")
struct DiskFaultTests {
    /// Commits, checkpoints, and the state that must be found afterwards.
    private struct Work {
        var store: SQLiteLog?
        var maker = ProposalMaker(seed: 11)
        /// The acknowledged changes.
        var acknowledged = StoredTables()
        /// The same without the last group.
        var before = StoredTables()
        /// The same with the group whose commit got no answer.
        var attempted = StoredTables()

        /// Runs until the end, or until the disk refuses something.
        mutating func run(_ directory: ScratchDirectory, _ disk: FaultyDisk, folds: Bool = true) throws {
            let store = try SQLiteLog.tiny(directory, disk)
            self.store = store
            for step in 0..<8 {
                let group = (0..<1 + step % 3).map { _ in maker.next() }
                for proposal in group { attempted.take(proposal) }
                try store.land(group)
                before = acknowledged
                acknowledged = attempted
                if folds, step % 3 == 2 {
                    // Folds, then copies the log.
                    for _ in 0..<2 { _ = try store.maintain(isIdle: true) }
                }
            }
            // As a stop does that has the time.
            while folds, try store.maintain(isIdle: true) {}
        }
    }

    /// The acts of an undisturbed run.
    private func acts() throws -> [FaultyDisk.Act] {
        let directory = ScratchDirectory()
        let disk = FaultyDisk(directory)
        defer { FaultyDisk.detach(directory) }
        var work = Work()
        try work.run(directory, disk)
        work.store?.close()
        #expect(Set(disk.acts).isSuperset(of: [.write, .sync, .delete]))
        return disk.acts
    }

    @Test("the power fails at every operation of commits and checkpoints: acknowledged changes are there")
    func survivesPowerLoss() throws {
        let count = try acts().count
        for act in 0..<count {
            let directory = ScratchDirectory()
            let disk = FaultyDisk(directory)
            defer { FaultyDisk.detach(directory) }
            disk.losePower(before: act)
            var work = Work()
            try? work.run(directory, disk)
            work.store?.close()
            #expect(disk.isOff)
            for survival in [.nothing, .everything, .some(seed: UInt64(act))] as [FaultyDisk.Survival] {
                try check(disk, survival, work, "power lost before act \(act), \(survival)")
            }
        }
    }

    /// The store opens on the surviving files, holds the acknowledged changes and at most the group that got no answer, whole; and
    /// it works.
    private func check(_ disk: FaultyDisk, _ survival: FaultyDisk.Survival, _ work: Work, _ place: String) throws {
        let survivors = ScratchDirectory()
        try disk.recover(into: survivors, survival)
        // A disk that does as it should, and faster than the real one.
        let disk = FaultyDisk(survivors)
        defer { FaultyDisk.detach(survivors) }
        var store = try SQLiteLog.small(survivors, disk)
        var found = try StoredTables(starting: store)
        #expect(found == work.acknowledged || found == work.attempted, "\(place)")
        let last = Proposal.put(.service, "default/last")
        try store.land([last])
        found.take(last)
        while try store.maintain(isIdle: true) {}
        store.close()
        store = try SQLiteLog.small(survivors, disk)
        #expect(try StoredTables(starting: store) == found, "\(place)")
        store.close()
    }

    @Test(
        "an act fails, once or for a while: no acknowledgement is wrong, not even when the power fails next",
        arguments: [
            (FaultyDisk.Fault.full, 1), (.full, 6), (.inputOutput, 1), (.inputOutput, 2), (.torn, 2), (.lost, 1),
            (.lost, 2),
        ])
    func acknowledgesTruly(_ fault: FaultyDisk.Fault, _ duration: Int) throws {
        let acts = try acts()
        for first in acts.indices where fault != .torn && fault != .full || acts[first] == .write {
            if fault == .lost, acts[first] != .sync { continue }
            let directory = ScratchDirectory()
            let disk = FaultyDisk(directory)
            defer { FaultyDisk.detach(directory) }
            disk.fail { number, act in
                guard (first..<first + duration).contains(number), fault != .full || act == .write else { return nil }
                return fault
            }
            let place = "\(fault) at act \(first), \(duration) times"
            guard let store = try? SQLiteLog.tiny(directory, disk) else { continue }
            let journal = Journal(log: store, runsOwnThread: false)
            let (kept, doubtful) = commit(to: journal)
            // Power lost now: nothing that was not synced is there.
            let survivors = ScratchDirectory()
            try disk.recover(into: survivors, .nothing)
            let survivorsDisk = FaultyDisk(survivors)
            defer { FaultyDisk.detach(survivors) }
            let recovered = try SQLiteLog.small(survivors, survivorsDisk)
            let found = try StoredTables(starting: recovered)
            #expect(found == kept || found == doubtful, "\(place)")
            recovered.close()
            if fault == .full {
                #expect(journal.fault == nil, "\(place): a full disk is no reason to stop")
                #expect(doubtful == nil, "\(place)")
            }
            journal.stop()
            FaultyDisk.detach(directory)
            let reopened = try SQLiteLog.small(directory)
            let left = try StoredTables(starting: reopened)
            #expect(left == kept || left == doubtful, "\(place)")
            reopened.close()
        }
    }

    /// The proposals that the journal said it keeps, and the same with the one whose outcome it said is unknown.
    private func commit(to journal: Journal) -> (kept: StoredTables, doubtful: StoredTables?) {
        var maker = ProposalMaker(seed: 11)
        var kept = StoredTables()
        for step in 0..<9 {
            let before = maker
            let proposal = maker.next()
            var with = kept
            with.take(proposal)
            let outcome = Noted<LedgerError.Outcome?>()
            journal.send(proposal) { result in
                if case .failure(let error) = result { outcome.add(error.outcome) } else { outcome.add(nil) }
            }
            journal.step()
            switch outcome.all.first {
            case .some(nil): kept = with
            case .some(.notCommitted?):
                if journal.fault != nil { return (kept, nil) }
                #expect(journal.impairment != nil)
                // Made again: the client asks again.
                maker = before
            default: return (kept, with)
            }
            // Not each time: the log must have something in it when a commit fails.
            if step % 3 == 2 { for _ in 0..<2 { journal.step() } }
        }
        return (kept, nil)
    }

    @Test(
        "a disk that lies: its loss of journal data is noticed, but for the group that was written last"
    )
    func noticesLies() throws {
        let directory = ScratchDirectory()
        let disk = FaultyDisk(directory)
        defer { FaultyDisk.detach(directory) }
        var work = Work()
        try work.run(directory, disk, folds: false)
        work.store?.close()
        let lies = zip(disk.acts, disk.names).enumerated().filter {
            $0.element.0 == .sync && $0.element.1.hasPrefix("tandem.journal-")
        }
        var (refused, shortened) = (0, 0)
        for lie in lies {
            let directory = ScratchDirectory()
            let disk = FaultyDisk(directory)
            defer { FaultyDisk.detach(directory) }
            disk.fail { number, _ in number == lie.offset ? .lie : nil }
            var work = Work()
            try work.run(directory, disk, folds: false)
            let survivors = ScratchDirectory()
            try disk.recover(into: survivors, .nothing)
            work.store?.close()
            do {
                let store = try SQLiteLog.small(survivors)
                defer { store.close() }
                let found = try StoredTables(starting: store)
                #expect(found == work.acknowledged || found == work.before, "act \(lie.offset)")
                if found != work.acknowledged { shortened += 1 }
            } catch let error as LedgerError {
                #expect(error.code == .corrupt, "\(error)")
                refused += 1
            }
        }
        #expect(refused > 1 && shortened == 1)
    }

    @Test("a group without a known outcome is on the disk before a start serves it")
    func keepsWhatItFinds() throws {
        let directory = ScratchDirectory()
        let disk = FaultyDisk(directory)
        defer { FaultyDisk.detach(directory) }
        let journal = Journal(log: try SQLiteLog.small(directory, disk), runsOwnThread: false)
        let outcomes = Noted<LedgerError.Outcome?>()
        func send(_ name: String) {
            journal.send(.put(.node, name)) { result in
                if case .failure(let error) = result { outcomes.add(error.outcome) } else { outcomes.add(nil) }
            }
            journal.step()
        }
        send("n1")
        // It is in the system's memory, and no sync brings it to the disk, nor says so.
        disk.fail { _, act in act == .sync ? .lost : nil }
        send("n2")
        #expect(outcomes.all == [nil, .unknown])
        disk.fail { _, _ in nil }
        journal.stop()
        let store = try SQLiteLog.small(directory, disk)
        let served = try StoredTables(starting: store)
        #expect(served.records.count == 2)
        let survivors = ScratchDirectory()
        try disk.recover(into: survivors, .nothing)
        store.close()
        let recovered = try SQLiteLog.small(survivors)
        #expect(try StoredTables(starting: recovered) == served)
        recovered.close()
    }

    @Test("a fold that fails, wherever its reads do, takes nothing from the commits behind it: each is on the disk")
    func foldsApart() throws {
        var reads = 0
        var hasFailed = true
        while hasFailed {
            let directory = ScratchDirectory()
            let disk = FaultyDisk(directory)
            defer { FaultyDisk.detach(directory) }
            let store = try SQLiteLog.small(directory, disk)
            var maker = ProposalMaker(seed: 5)
            var twin = StoredTables()
            func commit() throws {
                let proposal = maker.next()
                try store.land([proposal])
                twin.take(proposal)
            }
            for _ in 0..<4 {
                try commit()
                while try store.maintain(isIdle: true) {}
            }
            try commit()
            // Another program's view: all statements are made anew in the middle of the fold, for which the tables'
            // definitions are read again; and these are too long now for the page that is read first.
            let view = "CREATE VIEW other AS SELECT '\(String(repeating: "x", count: 6000))'"
            FaultyDisk.execute("\(directory.path)/tandem.db", view)
            disk.failReads(after: reads)
            _ = try? store.maintain(isIdle: true)
            hasFailed = disk.hasFailedReads
            disk.failReads(after: nil)
            for _ in 0..<2 {
                try commit()
                let survivors = ScratchDirectory()
                try disk.recover(into: survivors, .nothing)
                FaultyDisk.execute("\(survivors.path)/tandem.db", "DROP VIEW IF EXISTS other")
                let recovered = try SQLiteLog.small(survivors)
                #expect(try StoredTables(starting: recovered) == twin, "reads failed behind \(reads)")
                recovered.close()
            }
            while try store.maintain(isIdle: true) {}
            #expect(store.backlog == 0)
            store.close()
            reads += 1
        }
        #expect(reads > 4)
    }

    @Test("a fold that leaves its transaction open, as one whose rollback fails does, ends with its connection")
    func closesOpenFolds() throws {
        let directory = ScratchDirectory()
        let store = try SQLiteLog.small(directory)
        var maker = ProposalMaker(seed: 3)
        try store.land([maker.next()])
        struct Failure: Error {}
        #expect(throws: LedgerError.self) {
            try store.connection.run { db in
                try db.execute(sql: "BEGIN IMMEDIATE; DELETE FROM meta")
                throw Failure()
            }
        }
        #expect(store.backlog == 1)
        try store.land([maker.next()])
        while try store.maintain(isIdle: true) {}
        #expect(store.backlog == 0)
        store.close()
    }

    @Test("behind a failure, a log that a reader keeps from being copied whole is no proof of the disk's content")
    func waitsForReaders() throws {
        let directory = ScratchDirectory()
        let store = try SQLiteLog.small(directory)
        var maker = ProposalMaker(seed: 3)
        try store.land([maker.next()])
        let reader = try DatabaseHolder("\(directory.path)/tandem.db", .reading)
        struct Failure: Error {}
        #expect(throws: LedgerError.self) { try store.connection.run { _ in throw Failure() } }
        // Commits go on.
        try store.land([maker.next()])
        let refused = #expect(throws: LedgerError.self) { try store.maintain(isIdle: true) }
        #expect(refused?.code == .locked)
        #expect(store.backlog == 2)
        reader.letGo()
        while try store.maintain(isIdle: true) {}
        #expect(store.backlog == 0)
        store.close()
    }

    @Test("storage that failed is tried again by itself")
    func heals() throws {
        let directory = ScratchDirectory()
        let disk = FaultyDisk(directory)
        defer { FaultyDisk.detach(directory) }
        let journal = Journal(log: try SQLiteLog.small(directory, disk), runsOwnThread: false)
        disk.fail { _, act in act == .write ? .full : nil }
        var maker = ProposalMaker(seed: 3)
        journal.send(maker.next()) { _ in }
        journal.step()
        #expect(journal.impairment?.code == .full)
        journal.step()
        #expect(journal.impairment?.code == .full)
        disk.fail { _, _ in nil }
        journal.step()
        #expect(journal.impairment == nil && journal.fault == nil)
        journal.stop()
    }
}

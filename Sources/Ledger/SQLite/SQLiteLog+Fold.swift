import Foundation
import GRDB
import Measures
import Synchronization

/// The checkpoint: folds the journal's oldest groups into the readable tables.
///
/// Groups are folded in the order of the journal, some at a time, in one transaction with the number of the last one: at any moment the
/// tables are the state as of `meta.seq`, and the journal has the later changes. A crash leaves a step done or not begun. Of several changes
/// of one object in a step only the last is written, in key order. Proposals that were refused are passed over; which they are is known
/// from `replay` and `noteRefused`. A segment is written over only once the step that had the last of it is on the disk.
extension SQLiteLog {
    public func maintain(isIdle: Bool) throws(LedgerError) -> Bool {
        backlogState.withLock { $0.judge() }
        // There are no commits that would notice it.
        if isIdle { try checkInPlace(.notCommitted) }
        self.isIdle.store(isIdle, ordering: .relaxed)
        let failure = housekeeping.withLock { $0.failure }
        if let error = failure?.error, error.code == .corrupt || error.code == .moved { throw error }
        if hasThreads {
            let isPausing = failure.map { Moment.now().since($0.since) < Self.pause } ?? false
            if isIdle || isLate && !isPausing { rouseFolds() }
            return false
        }
        if segments.needsPreparing { prepareSegment() }
        return try tidy(isIdle: isIdle)
    }

    /// The same as `maintain` on the checkpoint's own thread: returns whether more is due.
    func tidyUp() -> Bool {
        do throws(LedgerError) {
            let hasMore = try tidy(isIdle: isIdle.load(ordering: .relaxed))
            housekeeping.withLock { $0.failure = nil }
            return hasMore
        } catch {
            housekeeping.withLock { $0.failure = (error, .now()) }
            return false
        }
    }

    private func tidy(isIdle: Bool) throws(LedgerError) -> Bool {
        let isFoldable = backlogState.withLock { $0.foldable > 0 }
        if isFoldable, isIdle || isLate {
            try fold()
            return true
        }
        if segments.hasDrained {
            try segments.removeDrained()
            return isIdle
        }
        guard isIdle else { return false }
        let (mayHaveRoom, mayHaveLog) = housekeeping.withLock { ($0.mayHaveRoom, $0.mayHaveLog) }
        if mayHaveRoom {
            try giveBack()
            return true
        }
        if mayHaveLog { try copyLog() }
        return false
    }

    private var isLate: Bool {
        backlogState.withLock { $0.foldable > Self.maximumBacklog || $0.bytes > Self.maximumBacklogBytes }
    }

    public var backlog: Int { backlogState.withLock { $0.count } }

    public var trouble: LedgerError? {
        guard let (error, _) = housekeeping.withLock({ $0.failure }) else { return nil }
        return isLate ? error : nil
    }

    /// One step. Any thread; where another one folds, behind it.
    func fold() throws(LedgerError) {
        try folding.withLock { _ throws(LedgerError) in
            let (known, rows, places, refused) = backlogState.withLock { state in
                (state.folded, state.rows, state.next(Self.stepSize, bytes: Self.stepBytes), state.refused)
            }
            if known >= rows, places.isEmpty { return }
            let path = path
            let end = try connection.run { db in
                var end = known
                try db.inTransaction(.immediate) {
                    let (sequence, version) = try JournalRows.folded(db)
                    guard sequence == known else {
                        // A step is there though its commit failed; it is in the database by now, to the last page.
                        end = sequence
                        return .rollback
                    }
                    var step = FoldStep(version: version)
                    if known < rows {
                        try JournalRows.read(db, after: known, path) { proposals, first in
                            for (number, proposal) in zip(first..., proposals) where !refused.contains(number) {
                                step.add(proposal)
                            }
                            end = first + Int64(proposals.count) - 1
                            return end - known < Int64(Self.stepSize)
                        }
                    } else {
                        let memory = AlignedMemory()
                        for place in places {
                            let first = place.header.first
                            try place.read(memory) { entry in
                                let count = step.add(entry) { !refused.contains(first + Int64($0)) }
                                return count == place.header.count ? () : nil
                            }
                            end = place.last
                        }
                    }
                    guard step.version <= Proposal.maximumNumber else {
                        throw JournalRows.damage(path, "the versions of the journal go out of range")
                    }
                    try step.write(to: db)
                    try JournalRows.cut(db, end, step.version)
                    return .commit
                }
                return end
            }
            backlogState.withLock { $0.fold(through: end) }
            segments.fold(through: end)
            housekeeping.withLock { ($0.mayHaveRoom, $0.mayHaveLog) = (true, true) }
        }
    }

    private func giveBack() throws(LedgerError) {
        let pages = try connection.run { db in try Space.giveBack(db) }
        housekeeping.withLock { $0.mayHaveRoom = pages > 0 }
    }

    /// Copies the write-ahead log into the database, as far as no reader holds it back. Where it is long, its room is given back. A log
    /// that stays long, or is not copied whole, is tried again by a later idle step.
    private func copyLog() throws(LedgerError) {
        func isLong() -> Bool { OpenFile.bytes(connection.log) > Self.keptLogBytes }
        let mode = isLong() ? "TRUNCATE" : "PASSIVE"
        let isWhole = try connection.run { db in
            // Whether others kept it from ending; the log's pages; those of them that are copied.
            let row = try Row.fetchOne(db, sql: "PRAGMA wal_checkpoint(\(mode))")
            return row.map { $0[0] == 0 && $0[1] as Int == $0[2] } ?? false
        }
        housekeeping.withLock { $0.mayHaveLog = !isWhole || isLong() }
    }

    /// Brings the tables up to the last acknowledged change, and writes a copy of them into a new file, for its owner alone, while commits go
    /// on. Blocks; any thread.
    public func backUp(to file: String) throws(LedgerError) {
        let newest = backlogState.withLock { $0.newest }
        var pauses = 0
        while true {
            let (folded, foldable) = backlogState.withLock { ($0.folded, $0.foldable) }
            if folded >= newest { break }
            if foldable > 0 {
                try fold()
                continue
            }
            // The refused ones of the last group are told within microseconds.
            guard pauses < 10_000 else { throw LedgerError(.timedOut, "the last change is not judged yet") }
            pauses += 1
            usleep(1_000)
        }
        try Backup.write(directory: directory, to: file)
    }
}

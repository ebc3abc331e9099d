import Foundation
import GRDB
import Synchronization

/// The checkpoint: folds the journal's oldest rows into the readable tables, and cuts them off.
///
/// Rows are folded in the order of the journal, a small step at a time, each step in one transaction with its cut: at any
/// moment the tables are the state as of `meta.seq`, and the journal is what came after. A crash leaves a step done or
/// not begun. Of several changes of one object in a step only the last is written, in key order. Proposals that were refused are
/// passed over; which they are is known from `replay` and `noteRefused`.
///
/// Steps run on the journal's own thread between two commits, so that they meet no lock, and are short, so that no commit
/// waits long. They need not reach the disk by themselves: the cut and what it stands for are lost together or kept
/// together, and the next commit carries both to the disk. So they have a connection of their own, which waits for none.
extension SQLiteLog {
    public func maintain(isIdle: Bool) throws(LedgerError) -> Bool {
        let (backlog, arrived, weight, mayHaveRoom) = state.withLock { state in
            defer { state.maintained = state.newest }
            return (
                state.awaitsReplay ? Position() : state.newest - state.folded, state.newest - state.maintained,
                state.logWeight, state.mayHaveRoom
            )
        }
        // Nobody commits, so that nobody else would see it.
        if isIdle { try checkInPlace(.notCommitted) }
        if weight >= Self.logWeightLimit {
            try copyLog(cutsIt: false)
            return isIdle && (backlog.sequence > 0 || mayHaveRoom)
        }
        let isLate =
            backlog.sequence > Int64(Self.maximumBacklog) || backlog.bytes > Self.maximumBacklogBytes
        if backlog.sequence > 0, isIdle || isLate {
            try fold(max(Self.stepSize, Int(arrived.sequence) * 2), bytes: max(Self.stepBytes, arrived.bytes * 2))
            return true
        }
        guard isIdle else { return false }
        if mayHaveRoom {
            try giveBack()
            return true
        }
        if weight > 0 { try copyLog(cutsIt: true) }
        return false
    }

    public var backlog: Int { state.withLock { Int(($0.newest - $0.folded).sequence) } }

    private func fold(_ limit: Int, bytes: Int) throws(LedgerError) {
        let (refused, known) = state.withLock { ($0.refused, $0.folded) }
        let path = path
        let (newest, start, end) = try opened().fold { db in
            var newest: Position?
            var (start, end) = (known, known)
            try db.inTransaction(.immediate) {
                let (sequence, version) = try JournalRows.folded(db)
                if sequence != known.sequence {
                    // A fold was kept though its commit failed.
                    let ends = try Self.ends(db, foldedBytes: known.bytes)
                    newest = ends.newest
                    start = ends.folded
                    end = start
                }
                var step = FoldStep(version: version)
                try JournalRows.read(db, after: sequence, changesOnly: true, path) { proposals, first, rowBytes in
                    for (number, proposal) in zip(first..., proposals) where !refused.contains(number) {
                        step.add(proposal)
                    }
                    end.sequence += Int64(proposals.count)
                    end.bytes += rowBytes
                    return end.sequence - start.sequence < limit && end.bytes - start.bytes < bytes
                }
                guard step.version <= Schema.maximumNumber else {
                    throw JournalRows.damage(path, "the versions of the table journal go out of range")
                }
                try step.write(to: db)
                try JournalRows.cut(db, end.sequence, step.version)
                return .commit
            }
            return (newest, start, end)
        }
        state.withLock { state in
            if let newest { state.newest = newest }
            let step = end - start
            state.logWeight += max(Int(step.sequence) / Self.foldedRowsPerGroup, step.bytes / Self.bytesPerGroup)
            state.folded = end
            state.mayHaveRoom = true
        }
    }

    private func giveBack() throws(LedgerError) {
        let pages = try opened().fold { db in try Space.giveBack(db) }
        state.withLock { state in
            state.mayHaveRoom = pages > 0
            // To move a page writes two.
            state.logWeight += (pages * 2 * 4096 + Self.bytesPerGroup - 1) / Self.bytesPerGroup
        }
    }

    /// Copies the write-ahead log into the database, as far as no reader holds it back. Where it is long, `cutsIt` gives its
    /// room back. A log that stays long, or is not copied whole, keeps some weight, so that a later idle step tries again.
    private func copyLog(cutsIt: Bool) throws(LedgerError) {
        let connections = try opened()
        func isLong() -> Bool { OpenFile.bytes(connections.log) > Self.keptLogBytes }
        let mode = cutsIt && isLong() ? "TRUNCATE" : "PASSIVE"
        let isWhole = try connections.fold { db in
            // Whether others kept it from ending; the log's pages; those of them that are copied.
            let row = try Row.fetchOne(db, sql: "PRAGMA wal_checkpoint(\(mode))")
            return row.map { $0[0] == 0 && $0[1] as Int == $0[2] } ?? false
        }
        let weight = isWhole && !isLong() ? 0 : 1
        state.withLock { $0.logWeight = weight }
    }
}

extension SQLiteLog.Position {
    static func - (end: Self, start: Self) -> Self {
        Self(sequence: end.sequence - start.sequence, bytes: end.bytes - start.bytes)
    }
}

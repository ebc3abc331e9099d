import Allocation
import Ledger
import TandemAPI

/// The order that keeps every promise: claim, then journal, then acknowledge - and the way back.
///
/// 1. Whoever commits holds the turns on all objects of the change, and `claimed` is marked in the pools already: no
///    other call can be given it.
/// 2. The journal makes the change durable, all of it or nothing.
/// 3. Only then are addresses freed, do readers see it, and is the caller told.
///
/// If the change is not kept, what was claimed goes back. If nobody can say whether it was kept, nothing is guessed:
/// the marks stay, so that no address can get a second owner, and the journal stops acknowledging.
struct Change: Sendable {
    var records: [LedgerRecord]
    /// Taken for this change; given back if it is not kept.
    var claimed: [Hold] = []
    /// Held until this change is kept; given back then, and not before.
    var freed: [Hold] = []
    /// Makes the change visible in the registry.
    var apply: @Sendable () -> Void
}

enum CommitOutcome: Sendable {
    case kept
    /// Another server of the same store was first with an address; this server's books now know that it is taken.
    case refused
    case failed(APIError)
}

extension Engine {
    /// `done` runs on the journal's thread.
    func commit(_ change: Change, _ done: @escaping @Sendable (CommitOutcome) -> Void) {
        let start = stageStart()
        journal.submit(LedgerTransaction(records: change.records)) { result in
            switch result {
            case .success(.committed):
                // Freed first: who reads that an object is gone, and then asks for its address, gets it. Who gets it sooner
                // is committed, and so shown, after this on this same thread.
                for hold in change.freed { hold.giveBack() }
                change.apply()
                self.stages.end(.commit, start)
                self.count(change)
                done(.kept)
            case .success(.refused(let taken)):
                let taken = Set(taken.map(\.range))
                for hold in change.claimed where !taken.contains(hold.range) { hold.giveBack() }
                done(.refused)
            case .failure(let error):
                if error.outcome == .notCommitted {
                    for hold in change.claimed { hold.giveBack() }
                }
                done(.failed(APIError(error)))
            }
        }
    }

    private func count(_ change: Change) {
        for case .subnet(let pool, _) in change.claimed { allocations.count(pool.cluster, .allocated) }
        for case .subnet(let pool, _) in change.freed { allocations.count(pool.cluster, .released) }
    }

    /// How often a call takes other addresses after a store refused the ones it had.
    static var attempts: Int { 16 }
}

extension APIError {
    /// What a caller is told when storage could not commit.
    init(_ error: LedgerError) {
        self =
            error.code == .queueFull
            ? APIError(.resourceExhausted, reason: "QueueFull", error.message, isRetryable: true)
            : .unavailable("storage could not commit: \(error.message)", reason: "StorageUnavailable")
    }

    /// What a change is refused with while the journal is congested.
    static let congested = APIError(Journal.congestion)

    static let refusedTooOften = APIError.unavailable(
        "other servers were first with every address tried; try again", reason: "Contention")
}

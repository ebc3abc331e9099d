import Addressing
import Allocation
import Ledger
import TandemAPI

enum CommitOutcome: Sendable {
    case kept
    /// Something was first: the books show it by now.
    case refused
    case failed(APIError)
}

extension CommitOutcome {
    func result(_ success: @autoclosure () -> CallResult) -> Result<CallResult, APIError> {
        switch self {
        case .kept: .success(success())
        case .refused: .failure(.refusedTooOften)
        case .failed(let error): .failure(error)
        }
    }
}

/// The order that keeps every promise: claim, propose, and at the proposal's place in the log judge and apply; then answer.
///
/// 1. The call holds the turns on all objects that its proposal is about, and its claims are marked in the pools: no other call of
///    this server is given it.
/// 2. The log makes the proposal durable and gives it its place.
/// 3. There `Books.apply` keeps it whole or refuses it whole: readers see kept changes, and freed addresses can be claimed.
/// 4. The caller is told, where its work is done.
///
/// If the proposal is not kept, the claims are released. If the outcome is unknown, nothing is guessed: the marks stay, so
/// that no address can get a second owner, and the journal stops acknowledging.
extension Engine {
    /// `done` runs exactly once: on the executor, for all of a group at once, and without one on the journal's thread; or, where the
    /// journal takes no more, before this returns. Where the caller has left before the proposal is appended, it is not.
    func commit(
        _ intent: Intent, for caller: Caller?, _ done: @escaping @Sendable (CommitOutcome) -> Void
    ) {
        let start = stageStart()
        let executor = caller?.executor
        let refusal = journal.offer(intent.proposal, of: caller?.flow ?? .server, for: caller?.asker) { result in
            // Kept or refused, all before it is applied by now; a failure does not rest on what memory shows.
            caller?.noteFence()
            switch result {
            case .success:
                let isKept = self.books.apply(intent.proposal, intent.prepared) == nil
                if isKept { self.count(intent) } else { self.giveBack(intent.claims) }
                self.stages.end(.commit, start)
                self.verdicts.post(on: executor) { done(isKept ? .kept : .refused) }
                return isKept
            case .failure(let error):
                if error.outcome == .notCommitted { self.giveBack(intent.claims) }
                self.verdicts.post(on: executor) { done(.failed(APIError(error))) }
                return false
            }
        }
        if let refusal {
            caller?.noteFence()
            giveBack(intent.claims)
            done(.failed(APIError(refusal)))
        }
    }

    /// The result of `check`; the claims are released where it throws.
    func giveBack<Result>(
        _ claims: [Claim], unless check: () throws(APIError) -> Result
    ) throws(APIError) -> Result {
        do throws(APIError) {
            return try check()
        } catch {
            giveBack(claims)
            throw error
        }
    }

    func giveBack(_ claims: [Claim]) {
        for claim in claims { books.giveBack(claim) }
    }

    private func count(_ intent: Intent) {
        for claim in intent.claims {
            switch claim {
            case .subnet(let pool, _): allocations.count(pool.cluster, .allocated)
            case .coolingCIDR(let range, _):
                if let pool = pools.subnetPool(containing: range) { allocations.count(pool.cluster, .allocated) }
            case .address, .nodePort, .cooling, .own: break
            }
        }
    }

    /// How often a call decides again after something else was first.
    static var attempts: Int { 16 }
}

extension APIError {
    /// The error for a caller when storage could not commit.
    init(_ error: LedgerError) {
        self =
            switch error.code {
            case .queueFull: APIError(.resourceExhausted, reason: "QueueFull", error.message, isRetryable: true)
            // For the records alone: there is no caller to be told.
            case .abandoned: APIError(.aborted, reason: "Abandoned", error.message, isRetryable: true)
            case .tooLarge: APIError(.resourceExhausted, reason: "ObjectTooLarge", error.message)
            case .nearlyFull:
                APIError(.resourceExhausted, reason: "StorageNearlyFull", error.message, isRetryable: true)
            case .configurationChanged: .unavailable(error.message, reason: "ConfigurationChanged")
            default: .unavailable("storage could not commit: \(error.message)", reason: "StorageUnavailable")
            }
    }

    /// The refusal of a change while the journal is congested.
    static let congested = APIError(LedgerError.congestion)

    static let refusedTooOften = APIError.unavailable(
        "others were first with everything that was tried; try again", reason: "Contention")
}

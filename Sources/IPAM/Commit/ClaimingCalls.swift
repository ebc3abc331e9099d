import Synchronization

/// The calls that may hold a claim of which the journal knows nothing yet. The audit waits until those of a moment are over: a mark that is
/// still without an object then is none of theirs. Thread-safe; never blocks. An engine has one audit at most: a round is its own.
final class ClaimingCalls: Sendable {
    // Sequentially consistent, all three: a call claims after it has entered, and the audit reads a count after it has begun the round; all
    // threads see these in one order.
    private let round = Atomic<Int>(0)
    private let even = Atomic<Int>(0)
    private let odd = Atomic<Int>(0)

    /// Before a call claims. The result is for `leave`.
    func enter() -> Int {
        let round = round.load(ordering: .sequentiallyConsistent)
        add(1, to: round)
        return round
    }

    /// Once its claims are handed to the journal, or given back.
    func leave(_ round: Int) { add(-1, to: round) }

    private func add(_ change: Int, to round: Int) {
        if round & 1 == 0 {
            even.wrappingAdd(change, ordering: .sequentiallyConsistent)
        } else {
            odd.wrappingAdd(change, ordering: .sequentiallyConsistent)
        }
    }

    /// Calls that enter from now on count for the new round. One that has seen the round before and not counted itself yet is waited for
    /// two rounds later.
    func beginRound() { round.wrappingAdd(1, ordering: .sequentiallyConsistent) }

    /// Whether the calls of the round before are over.
    var isRoundBeforeOver: Bool {
        if round.load(ordering: .sequentiallyConsistent) & 1 == 0 {
            odd.load(ordering: .sequentiallyConsistent) == 0
        } else {
            even.load(ordering: .sequentiallyConsistent) == 0
        }
    }
}

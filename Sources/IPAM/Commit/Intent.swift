import Addressing
import Ledger

/// A call's intended change: the proposal, the objects that are made for it already, and its claims in the pools.
struct Intent: Sendable {
    var proposal: Proposal
    var prepared: Prepared
    /// Given back if the proposal is not kept.
    var claims: [Claim]

    init(_ proposal: Proposal = Proposal(), _ prepared: Prepared = Prepared(), claims: [Claim] = []) {
        self.proposal = proposal
        self.prepared = prepared
        self.claims = claims
    }
}

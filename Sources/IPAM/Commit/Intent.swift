import Ledger

/// What a call is about to change: the proposal, the objects that are made for it already, and what it claimed in the pools.
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

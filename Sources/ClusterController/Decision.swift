import Reconciliation

/// One thing that was done or found, for the log, the metrics and a dry run.
struct Decision: Sendable, Hashable {
    /// The action: a purpose of a call, `patch`, or a finding.
    var action: String
    var outcome: Outcome
    var key: ObjectKey
    /// Addresses, CIDRs, or why not.
    var details = ""

    enum Outcome: String, Sendable, Hashable, CaseIterable {
        case done
        /// Tandem or the cluster says no.
        case refused
        /// No answer, or another one was first: it is tried again.
        case failed
        /// Nothing is to be done.
        case found
        /// A dry run.
        case supposed
    }
}

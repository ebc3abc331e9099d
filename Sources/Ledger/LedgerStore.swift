/// Where records are kept. Calls block; they come from one thread at a time, the journal's, once it has started.
///
/// The seam is honest about stores that several servers share: a commit may refuse, and says with what.
public protocol LedgerStore: Sendable {
    /// Hands over everything stored, each object once: first the Services, then the nodes, then the pods, those of one
    /// kind in no promised order and from several threads at a time. Returns the highest version ever given, that of
    /// removed objects included; throws what `body` threw first. That no two objects hold one address is the caller's
    /// to check. O(objects).
    func recover(_ body: @Sendable (RecoveredObject) throws -> Void) throws -> UInt64

    /// Makes a group of transactions durable in one go; each gets its own verdict, in their order.
    ///
    /// An empty group shows whether storage takes writes. An error speaks for the whole group: of `.notCommitted` nothing was kept; after `.unknown` call `resolve`.
    func commit(_ transactions: [LedgerTransaction]) throws(LedgerError) -> [CommitVerdict]

    /// After an unknown outcome: reads the store again and says whether the last group was kept. Throws if even that
    /// can't be told; then nothing more may be acknowledged.
    func resolve() throws(LedgerError) -> Bool

    /// Does one small step of work that no caller waits for. `isIdle` says that nothing else is to be done.
    /// Returns whether more of it is due now.
    func maintain(isIdle: Bool) throws(LedgerError) -> Bool

    /// Transactions that are kept, and not yet in the form that people read: work for `maintain`. Any thread.
    var backlog: Int { get }

    /// Leaves everything in good order and lets go of it. Nothing may be called after.
    func close()
}

extension LedgerStore {
    /// None: a store that keeps no second form.
    public var backlog: Int { 0 }
}

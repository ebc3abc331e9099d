import Dispatch
public import Ledger
public import Measures
import Synchronization

/// The server's access to the log's thread.
extension Engine {
    /// Any thread; O(1).
    public var storage: Journal.Statistics { journal.statistics }

    /// How long the stages of a call took, in nanoseconds, by name: from the rules, the claims in the pools, and from the
    /// journal's queue to the disk, until readers see the change. About one change in eight is timed.
    public var stageTimes: [(name: String, times: Histogram.Snapshot)] {
        StageTimes.Stage.allCases.map { ("\($0)", stages[$0]) }
    }

    /// Why nothing could be kept last time; nil where storage works. It is tried again by itself.
    public var impairment: LedgerError? { journal.impairment }

    /// Why nothing can be kept any more; nil while all is well.
    public var fault: LedgerError? { journal.fault }

    /// Runs `body` when storage fails for good; at once if it has failed already.
    public func onFailure(_ body: @escaping @Sendable (LedgerError) -> Void) { journal.onFailure(body) }

    /// Returns once everything that any server was acknowledged by now is applied here. Blocks for two seconds at most, not on the
    /// journal's thread or an event loop; throws where the log does not answer by then.
    public func fence() throws(LedgerError) {
        let outcome = Mutex<Result<Void, LedgerError>?>(nil)
        let done = DispatchSemaphore(value: 0)
        let refusal = journal.fence { result in
            outcome.withLock { $0 = result }
            done.signal()
        }
        if let refusal { throw refusal }
        done.wait()
        try outcome.withLock { $0 }?.get()
    }

    /// Runs `body` on the journal's thread once every change proposed before has its verdict; at once where the engine has stopped.
    public func flush(_ body: @escaping @Sendable () -> Void) { journal.flush(body) }

    /// Does one step of the journal's work, of an engine that was made with `stepsByHand`: one call at a time, on any thread. Returns
    /// whether there is more to do.
    @discardableResult
    public func step() -> Bool { journal.step() }

    /// Commits pending proposals, tidies up and closes the log. Blocks for as long as that takes, or, with a deadline, for two
    /// seconds more than until then; false where storage has not answered by then. Call it once, and not on the journal's thread.
    @discardableResult
    public func stop(by deadline: ContinuousClock.Instant? = nil) -> Bool { journal.stop(by: deadline) }
}

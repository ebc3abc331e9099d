public import Measures

/// How long the stages of a call take. Thread-safe.
///
/// About one change in eight is timed: the clock is read for those alone, so that timing costs the others nothing.
public final class StageTimes: Sendable {
    public enum Stage: Int, CaseIterable, Sendable {
        /// From bytes to a call.
        case decode
        /// The rules: from a call to what it needs.
        case decide
        /// Taking addresses from the pools.
        case claim
        /// From the journal's queue to the disk, until the change is seen by readers.
        case commit

        public var name: String { "\(self)" }
    }

    private let histograms = Stage.allCases.map { _ in Histogram.times() }

    public func histogram(_ stage: Stage) -> Histogram { histograms[stage.rawValue] }

    /// Ends a stage that began at `start`, and so begins the next; nil, and nothing is done, where it is not timed.
    @discardableResult
    func end(_ stage: Stage, _ start: Moment?) -> Moment? {
        guard let start else { return nil }
        let now = Moment.now()
        histograms[stage.rawValue].observe(now.since(start))
        return now
    }
}

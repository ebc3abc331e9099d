import Measures

/// How long the stages of a call take. Thread-safe.
///
/// About one change in eight is timed: the clock is read for those alone, so that timing costs the others nothing.
final class StageTimes: Sendable {
    enum Stage: Int, CaseIterable {
        case decide
        case claim
        case commit
    }

    private let histograms = Stage.allCases.map { _ in Histogram.times() }

    subscript(stage: Stage) -> Histogram.Snapshot { histograms[stage.rawValue].snapshot }

    /// Ends a stage that began at `start`, and so begins the next; nil, and nothing is done, where it is not timed.
    @discardableResult
    func end(_ stage: Stage, _ start: Moment?) -> Moment? {
        guard let start else { return nil }
        let now = Moment.now()
        histograms[stage.rawValue].observe(now.since(start))
        return now
    }
}

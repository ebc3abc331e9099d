import Histogram
import NIOCore

/// What one connection measured; those of all connections are added up at the end.
struct Measurements: Sendable {
    /// Microseconds from a request's start to its answer; in an open loop from the start that was intended.
    var latency = Histogram<UInt64>(highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: .three)
    /// Calls that were answered, refusals included, in each second since the measuring began.
    var perSecond: [Int] = []
    var calls = 0
    var refused = 0
    var reasons: [String: Int] = [:]

    mutating func record(
        _ request: LoadRequest, latency elapsed: TimeAmount, at second: Int, refused: Int, _ reason: String?
    ) {
        latency.record(UInt64(clamping: max(1, elapsed.nanoseconds / 1_000)))
        calls += request.calls
        self.refused += refused
        if let reason { reasons[reason, default: 0] += refused }
        while perSecond.count <= second { perSecond.append(0) }
        perSecond[second] += request.calls
    }

    mutating func add(_ other: Measurements) {
        latency.add(other.latency)
        calls += other.calls
        refused += other.refused
        reasons.merge(other.reasons, uniquingKeysWith: +)
        while perSecond.count < other.perSecond.count { perSecond.append(0) }
        for (second, calls) in other.perSecond.enumerated() { perSecond[second] += calls }
    }
}

import Histogram
import NIOCore

/// What one connection measured; those of all connections are added up at the end.
struct Measurements: Sendable {
    /// Microseconds from a request's start to its answer; in an open loop from the start that was intended.
    var latency = Histogram<UInt64>(highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: .three)
    /// Microseconds from when a request that was refused had been sent to the refusal.
    var refusalLatency = Histogram<UInt64>(highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: .three)
    /// Calls that were answered, refusals included, in each second since the measuring began.
    var perSecond: [Int] = []
    var calls = 0
    var refused = 0
    var reasons: [String: Int] = [:]

    mutating func record(
        _ request: LoadRequest, latency elapsed: TimeAmount, sinceSent: TimeAmount, at second: Int, refused: Int,
        _ reason: String?
    ) {
        latency.record(Self.microseconds(elapsed))
        if refused > 0 { refusalLatency.record(Self.microseconds(sinceSent)) }
        calls += request.calls
        self.refused += refused
        if let reason { reasons[reason, default: 0] += refused }
        while perSecond.count <= second { perSecond.append(0) }
        perSecond[second] += request.calls
    }

    private static func microseconds(_ time: TimeAmount) -> UInt64 {
        UInt64(clamping: max(1, time.nanoseconds / 1_000))
    }

    mutating func add(_ other: Measurements) {
        latency.add(other.latency)
        refusalLatency.add(other.refusalLatency)
        calls += other.calls
        refused += other.refused
        reasons.merge(other.reasons, uniquingKeysWith: +)
        while perSecond.count < other.perSecond.count { perSecond.append(0) }
        for (second, calls) in other.perSecond.enumerated() { perSecond[second] += calls }
    }
}

import Histogram
import NIOCore

/// The measurements of one connection; those of all connections are added up at the end.
struct Measurements: Sendable {
    /// Of one second since the measuring began.
    struct Second: Sendable {
        /// Calls that were answered, refusals included.
        var calls = 0
        var latency = LatencyBuckets()
    }

    /// Microseconds from a request's start to its answer; in an open loop from the start that was intended.
    var latency = Histogram<UInt64>(highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: .three)
    /// The same by kind of request, where there are several.
    var byMethod: [LoadRequest.Method: Histogram<UInt64>] = [:]
    /// Microseconds from when a request that was refused had been sent to the refusal.
    var refusalLatency = Histogram<UInt64>(highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: .three)
    var seconds: [Second] = []
    var calls = 0
    var refused = 0
    var reasons: [String: Int] = [:]

    mutating func record(
        _ request: LoadRequest, latency elapsed: TimeAmount, sinceSent: TimeAmount, at second: Int, refused: Int,
        _ reason: String?
    ) {
        let microseconds = Self.microseconds(elapsed)
        latency.record(microseconds)
        byMethod[request.kind.method, default: Self.coarse].record(microseconds)
        if refused > 0 { refusalLatency.record(Self.microseconds(sinceSent)) }
        calls += request.calls
        self.refused += refused
        if let reason { reasons[reason, default: 0] += refused }
        while seconds.count <= second { seconds.append(Second()) }
        seconds[second].calls += request.calls
        seconds[second].latency.record(microseconds)
    }

    /// Within 1 %: there is one of each method for each connection.
    private static let coarse = Histogram<UInt64>(
        highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: .two)

    private static func microseconds(_ time: TimeAmount) -> UInt64 {
        UInt64(clamping: max(1, time.nanoseconds / 1_000))
    }

    mutating func add(_ other: Measurements) {
        latency.add(other.latency)
        for (method, latency) in other.byMethod { byMethod[method, default: Self.coarse].add(latency) }
        refusalLatency.add(other.refusalLatency)
        calls += other.calls
        refused += other.refused
        reasons.merge(other.reasons, uniquingKeysWith: +)
        while seconds.count < other.seconds.count { seconds.append(Second()) }
        for (index, second) in other.seconds.enumerated() {
            seconds[index].calls += second.calls
            seconds[index].latency.add(second.latency)
        }
    }
}

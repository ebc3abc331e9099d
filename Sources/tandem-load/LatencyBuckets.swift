import Glibc

/// Latencies by twenty steps a decade, from a microsecond to a hundred seconds: in less than a kilobyte, so that each second of each connection
/// has its own. A percentile is right within 12 %.
struct LatencyBuckets: Sendable, Equatable {
    private static let stepsPerDecade = 20.0
    private static let count = 161

    private var counts = [UInt32](repeating: 0, count: count)
    /// In microseconds.
    private(set) var highest: UInt64 = 0

    private static func index(_ microseconds: UInt64) -> Int {
        min(count - 1, Int(log10(Double(max(1, microseconds))) * stepsPerDecade))
    }

    mutating func record(_ microseconds: UInt64) {
        counts[Self.index(microseconds)] += 1
        highest = max(highest, microseconds)
    }

    mutating func add(_ other: LatencyBuckets) {
        for index in counts.indices { counts[index] += other.counts[index] }
        highest = max(highest, other.highest)
    }

    /// In microseconds; nil where there is none.
    func valueAtPercentile(_ percentile: Double) -> UInt64? {
        let total = counts.reduce(0) { $0 + Int($1) }
        guard total > 0 else { return nil }
        let wanted = max(1, Int((Double(total) * percentile / 100).rounded(.up)))
        var seen = 0
        for (index, count) in counts.enumerated() {
            seen += Int(count)
            if seen >= wanted {
                return min(highest, UInt64(pow(10, Double(index + 1) / Self.stepsPerDecade).rounded()))
            }
        }
        return highest
    }
}

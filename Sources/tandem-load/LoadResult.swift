import Histogram
import NIOCore
import TandemAPI

/// What came out of a run.
struct LoadResult: Sendable {
    var plan: LoadPlan
    var elapsed: TimeAmount
    var measurements = Measurements()
    /// What is wrong with what the server did; empty where all is well.
    var faults: [String] = []

    static let percentiles: [Double] = [50, 75, 90, 95, 99, 99.9, 99.99, 100]

    var callsPerSecond: Double { Double(measurements.calls) / (Double(elapsed.nanoseconds) / 1e9) }

    /// Calls that were not refused.
    var servedPerSecond: Double {
        Double(measurements.calls - measurements.refused) / (Double(elapsed.nanoseconds) / 1e9)
    }

    var table: String {
        var lines = [
            "workload      \(plan.workload.rawValue), \(plan.transport.rawValue), \(loop)",
            "calls         \(measurements.calls) in \(Self.fixed(Double(elapsed.nanoseconds) / 1e9, 1)) s, "
                + "\(measurements.refused) refused",
            "throughput    \(Self.fixed(callsPerSecond, 0)) calls/s",
        ]
        for (reason, count) in measurements.reasons.sorted(by: { $0.key < $1.key }) {
            lines.append("refused       \(count) \(reason)")
        }
        lines.append("latency       of a request, in milliseconds")
        lines += Self.lines(measurements.latency)
        if measurements.refused > 0 {
            lines.append("refused after milliseconds since it was sent")
            lines += Self.lines(measurements.refusalLatency)
        }
        lines.append(
            faults.isEmpty
                ? "check         ok: no address has two owners, everything acknowledged is there"
                : "check         FAILED: \(faults.count) faults")
        lines += faults.prefix(20).map { "  \($0)" }
        return lines.joined(separator: "\n")
    }

    private static func lines(_ latency: Histogram<UInt64>) -> [String] {
        percentiles.map { percentile in
            let name = percentile == 100 ? "max" : "p\(plain(percentile))"
            let value = fixed(Double(latency.valueAtPercentile(percentile)) / 1_000, 3)
            return "  \(name)" + String(repeating: " ", count: 12 - name.count) + value
        }
    }

    private static func microseconds(_ latency: Histogram<UInt64>) -> JSONValue {
        var object: JSONValue = [:]
        for percentile in percentiles {
            object[plain(percentile)] = .number(String(latency.valueAtPercentile(percentile)))
        }
        return object
    }

    private var loop: String {
        plan.rate.map { "open loop of \(Self.fixed($0, 0)) requests/s over \(plan.connections) connections" }
            ?? "closed loop of \(plan.connections) connections with \(plan.pipeline) requests each"
    }

    var json: JSONValue {
        var reasons: JSONValue = [:]
        for (reason, count) in measurements.reasons { reasons[reason] = .number(String(count)) }
        return [
            "workload": .string(plan.workload.rawValue), "transport": .string(plan.transport.rawValue),
            "connections": .number(String(plan.connections)), "pipeline": .number(String(plan.pipeline)),
            "rate": plan.rate.map { .number(Self.fixed($0, 0)) } ?? .null,
            "seconds": .number(Self.fixed(Double(elapsed.nanoseconds) / 1e9, 3)),
            "calls": .number(String(measurements.calls)), "refused": .number(String(measurements.refused)),
            "reasons": reasons, "callsPerSecond": .number(Self.fixed(callsPerSecond, 1)),
            "servedPerSecond": .number(Self.fixed(servedPerSecond, 1)),
            "latencyMicroseconds": Self.microseconds(measurements.latency),
            "refusalMicroseconds": Self.microseconds(measurements.refusalLatency),
            "perSecond": .array(measurements.perSecond.map { .number(String($0)) }),
            "faults": .array(faults.map { .string($0) }),
        ]
    }

    static func fixed(_ value: Double, _ digits: Int) -> String {
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let whole = Int((value * scale).rounded())
        guard digits > 0 else { return String(whole) }
        let fraction = String(abs(whole) % Int(scale))
        return "\(whole / Int(scale))." + String(repeating: "0", count: digits - fraction.count) + fraction
    }

    private static func plain(_ percentile: Double) -> String {
        percentile == percentile.rounded() ? String(Int(percentile)) : String(percentile)
    }
}

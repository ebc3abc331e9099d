import Histogram
import NIOCore
import TandemAPI

/// The result of a run.
struct LoadResult: Sendable {
    var plan: LoadPlan
    var run: RunDescription
    var elapsed: TimeAmount
    var measurements = Measurements()
    /// Faults of the server that the verification found; empty where there are none.
    var faults: [String] = []

    static let percentiles: [Double] = [50, 75, 90, 95, 99, 99.9, 99.99, 100]

    var callsPerSecond: Double { Double(measurements.calls) / (Double(elapsed.nanoseconds) / 1e9) }

    /// Calls that were not refused.
    var servedPerSecond: Double {
        Double(measurements.calls - measurements.refused) / (Double(elapsed.nanoseconds) / 1e9)
    }

    /// The latencies of each method by its name.
    var methods: [(name: String, latency: Histogram<UInt64>)] {
        LoadRequest.Method.allCases.compactMap { method in
            measurements.byMethod[method].map { (method.name(plan.workload), $0) }
        }
    }

    var table: String {
        var lines = run.rows.map { Self.row($0.name, $0.text) }
        lines += [
            Self.row("workload", "\(plan.workload.rawValue), \(plan.transport.rawValue), \(loop)"),
            Self.row(
                "calls",
                "\(measurements.calls) in \(Decimal.fixed(Double(elapsed.nanoseconds) / 1e9, 1)) s, \(measurements.refused) refused"
            ),
            Self.row("throughput", "\(Decimal.fixed(callsPerSecond, 0)) calls/s"),
        ]
        for (reason, count) in measurements.reasons.sorted(by: { $0.key < $1.key }) {
            lines.append(Self.row("refused", "\(count) \(reason)"))
        }
        lines.append(Self.row("latency", "of a request, in milliseconds"))
        lines += latencyLines
        if measurements.refused > 0 {
            lines.append(Self.row("refused after", "milliseconds since it was sent"))
            lines += Self.lines([("", measurements.refusalLatency)])
        }
        lines.append(
            Self.row(
                "check",
                plan.workload == .handshakes || plan.ignoresAnswers
                    ? "none: nothing was stored"
                    : faults.isEmpty
                        ? "ok: no address has two owners, everything acknowledged is there"
                        : "FAILED: \(faults.count) faults"))
        lines += faults.prefix(20).map { "  \($0)" }
        return lines.joined(separator: "\n")
    }

    private static func row(_ name: String, _ text: String) -> String {
        name + String(repeating: " ", count: max(1, 14 - name.count)) + text
    }

    /// A column for all requests, and where there are several methods one for each.
    private var latencyLines: [String] {
        Self.lines([("all", measurements.latency)] + (methods.count > 1 ? methods : []))
    }

    private static func lines(_ columns: [(name: String, latency: Histogram<UInt64>)]) -> [String] {
        func line(_ name: String, _ cells: [String]) -> String {
            let padded = zip(cells, columns).map { cell, column in
                String(repeating: " ", count: max(0, max(10, column.name.count) - cell.count)) + cell
            }
            return "  \(name)" + String(repeating: " ", count: 8 - name.count) + padded.joined(separator: "  ")
        }
        let titles = columns.count > 1 ? [line("", columns.map(\.name))] : []
        return titles
            + percentiles.map { percentile in
                line(title(percentile), columns.map { milliseconds($0.latency.valueAtPercentile(percentile)) })
            }
    }

    static func title(_ percentile: Double) -> String { percentile == 100 ? "max" : "p\(plain(percentile))" }

    static func milliseconds(_ microseconds: UInt64) -> String { Decimal.fixed(Double(microseconds) / 1_000, 3) }

    private static func microseconds(_ latency: Histogram<UInt64>) -> JSONValue {
        var object: JSONValue = [:]
        for percentile in percentiles {
            object[plain(percentile)] = .number(String(latency.valueAtPercentile(percentile)))
        }
        return object
    }

    private var loop: String {
        plan.rate.map { "open loop of \(Decimal.fixed($0, 0)) requests/s over \(plan.connections) connections" }
            ?? "closed loop of \(plan.connections) connections with \(plan.pipeline) requests each"
    }

    var json: JSONValue {
        var json: JSONValue = [:]
        run.write(to: &json)
        var settings: JSONValue = [:]
        for (name, value) in plan.settings { settings[name] = value }
        json["settings"] = settings
        json["workload"] = .string(plan.workload.rawValue)
        json["transport"] = .string(plan.transport.rawValue)
        json["connections"] = .number(String(plan.connections))
        json["pipeline"] = .number(String(plan.pipeline))
        json["rate"] = plan.rate.map { .number(Decimal.fixed($0, 0)) } ?? .null
        json["seconds"] = .number(Decimal.fixed(Double(elapsed.nanoseconds) / 1e9, 3))
        json["calls"] = .number(String(measurements.calls))
        json["refused"] = .number(String(measurements.refused))
        var reasons: JSONValue = [:]
        for (reason, count) in measurements.reasons { reasons[reason] = .number(String(count)) }
        json["reasons"] = reasons
        json["callsPerSecond"] = .number(Decimal.fixed(callsPerSecond, 1))
        json["servedPerSecond"] = .number(Decimal.fixed(servedPerSecond, 1))
        json["latencyMicroseconds"] = Self.microseconds(measurements.latency)
        var byMethod: JSONValue = [:]
        for (name, latency) in methods { byMethod[name] = Self.microseconds(latency) }
        json["methodMicroseconds"] = byMethod
        json["refusalMicroseconds"] = Self.microseconds(measurements.refusalLatency)
        json["perSecond"] = .array(measurements.seconds.map { .number(String($0.calls)) })
        json["secondMicroseconds"] = .array(
            measurements.seconds.map { second in
                var object: JSONValue = [:]
                for percentile in Self.overTime {
                    object[Self.plain(percentile)] =
                        second.latency.valueAtPercentile(percentile).map { .number(String($0)) } ?? .null
                }
                return object
            })
        json["faults"] = .array(faults.map { .string($0) })
        return json
    }

    /// The percentiles reported for each second.
    static let overTime: [Double] = [50, 99, 100]

    static func plain(_ percentile: Double) -> String {
        percentile == percentile.rounded() ? String(Int(percentile)) : String(percentile)
    }
}

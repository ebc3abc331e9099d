import Measures
import TandemAPI

/// Calls by method and status, and how long they took. Thread-safe; counting is one addition.
final class CallMetrics: Sendable {
    /// The outcome of a call: OK or a status.
    private static let outcomes: [APIError.Status?] = [nil] + APIError.Status.allCases
    /// The methods, and one more for calls that name none.
    private static let methods: [Method?] = Method.allCases + [nil]

    private let cells = Counters(methods.count * outcomes.count)
    private let times = methods.map { _ in Histogram.times() }
    /// From bytes to calls, in nanoseconds.
    let decoding = Histogram.times()
    private static let statusIndex = Dictionary(
        uniqueKeysWithValues: APIError.Status.allCases.enumerated().map { ($1, $0 + 1) })

    func count(_ method: Method?, _ error: APIError?) {
        let column = error.flatMap { Self.statusIndex[$0.status] } ?? 0
        cells.add(Self.row(method) * Self.outcomes.count + column)
    }

    /// Notes the time from the call to its answer.
    func end(_ method: Method?, _ start: Moment) {
        times[Self.row(method)].observe(Moment.now().since(start))
    }

    private static func row(_ method: Method?) -> Int {
        methods.firstIndex(of: method) ?? methods.count - 1
    }

    private static func name(_ method: Method?) -> String { method?.rawValue ?? "none" }

    /// Every count that is not zero, with its labels.
    var counts: [(method: String, status: String, count: UInt64)] {
        var counts: [(method: String, status: String, count: UInt64)] = []
        for (row, method) in Self.methods.enumerated() {
            for (column, status) in Self.outcomes.enumerated() {
                let value = cells[row * Self.outcomes.count + column]
                if value > 0 { counts.append((Self.name(method), status?.name ?? "OK", value)) }
            }
        }
        return counts
    }

    /// The times of every method that has one, in nanoseconds.
    var durations: [(method: String, times: Histogram.Snapshot)] {
        zip(Self.methods, times).map { (Self.name($0), $1.snapshot) }.filter { $0.times.count > 0 }
    }
}

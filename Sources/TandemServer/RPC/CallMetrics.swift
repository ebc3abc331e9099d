import Synchronization
import TandemAPI

/// Calls by method and status. Thread-safe; counting is one addition.
final class CallMetrics: Sendable {
    /// What a call ended with: OK or a status.
    private static let outcomes: [APIError.Status?] = [nil] + APIError.Status.allCases
    /// The methods, and one more for what names none.
    private static let methods: [Method?] = Method.allCases + [nil]

    private struct Counter: ~Copyable, Sendable {
        // Relaxed: a count that orders nothing.
        let value = Atomic<UInt64>(0)
    }

    private final class Cell: Sendable {
        let counter = Counter()
    }

    private let cells = (0..<methods.count * outcomes.count).map { _ in Cell() }
    private static let methodIndex = Dictionary(uniqueKeysWithValues: Method.allCases.enumerated().map { ($1, $0) })
    private static let statusIndex = Dictionary(
        uniqueKeysWithValues: APIError.Status.allCases.enumerated().map { ($1, $0 + 1) })

    func count(_ method: Method?, _ error: APIError?) {
        let row = method.flatMap { Self.methodIndex[$0] } ?? Method.allCases.count
        let column = error.flatMap { Self.statusIndex[$0.status] } ?? 0
        cells[row * Self.outcomes.count + column].counter.value.wrappingAdd(1, ordering: .relaxed)
    }

    /// Every count that is not zero, with its labels.
    var counts: [(method: String, status: String, count: UInt64)] {
        var counts: [(method: String, status: String, count: UInt64)] = []
        for (row, method) in Self.methods.enumerated() {
            for (column, status) in Self.outcomes.enumerated() {
                let value = cells[row * Self.outcomes.count + column].counter.value.load(ordering: .relaxed)
                if value > 0 { counts.append((method?.rawValue ?? "none", status?.name ?? "OK", value)) }
            }
        }
        return counts
    }
}

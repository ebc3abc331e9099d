import Synchronization

/// Calls in flight that make an object of a namespace. Thread-safe, O(1).
final class Arrivals: Sendable {
    private let counts = Mutex<[String: Int]>([:])

    /// How many there are with this one.
    func enter(_ namespace: String) -> Int {
        counts.withLock { counts in
            counts[namespace, default: 0] += 1
            return counts[namespace] ?? 1
        }
    }

    func leave(_ namespace: String) {
        counts.withLock { counts in
            let count = counts[namespace] ?? 1
            counts[namespace] = count > 1 ? count - 1 : nil
        }
    }
}

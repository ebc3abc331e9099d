import Measures
import Synchronization

/// Calls refused because of a limit come by the ten thousand a second, when there is the least time for a line of the log for
/// each: one a second stands for all. Thread-safe.
final class RefusalTally: Sendable {
    /// Between two lines, in nanoseconds.
    static let interval: UInt64 = 1_000_000_000

    // Relaxed: a count and a time that order nothing else.
    private let count = Atomic<Int>(0)
    private let next = Atomic<UInt64>(0)

    /// Counts one. How many a line that is written now stands for; nil where none is due.
    func note(_ now: Moment) -> Int? {
        count.wrappingAdd(1, ordering: .relaxed)
        let due = next.load(ordering: .relaxed)
        guard now.nanoseconds >= due,
            next.compareExchange(expected: due, desired: now.nanoseconds + Self.interval, ordering: .relaxed).exchanged
        else { return nil }
        return count.exchange(0, ordering: .relaxed)
    }
}

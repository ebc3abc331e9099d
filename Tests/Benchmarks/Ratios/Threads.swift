import Synchronization

/// A sum that threads add to.
final class Total: Sendable {
    private let sum = Atomic<UInt64>(0)
    // Relaxed: read after all threads have ended.
    var value: UInt64 { sum.load(ordering: .relaxed) }
    func add(_ value: UInt64) { sum.wrappingAdd(value, ordering: .relaxed) }
}

/// Lets threads go on once all of them are there. They spin: each has a core, and wakes up at once.
final class Barrier: Sendable {
    private let missing: Atomic<Int>

    init(_ count: Int) { missing = Atomic(count) }

    func wait() {
        missing.wrappingSubtract(1, ordering: .acquiringAndReleasing)
        while missing.load(ordering: .acquiring) > 0 {}
    }
}

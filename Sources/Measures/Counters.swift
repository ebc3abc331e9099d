import Synchronization

/// A row of counts that only grow. Thread-safe; counting never blocks: one addition.
// Proof of Sendable: `cells` is made in `init`, freed in `deinit`, and in between touched by atomic operations alone.
public final class Counters: @unchecked Sendable {
    public let count: Int
    private let cells: UnsafeMutablePointer<Atomic<UInt64>>

    public init(_ count: Int) {
        self.count = count
        cells = .allocate(capacity: count)
        for index in 0..<count { (cells + index).initialize(to: Atomic(0)) }
    }

    deinit {
        cells.deinitialize(count: count)
        cells.deallocate()
    }

    public func add(_ index: Int) {
        precondition(index >= 0 && index < count)
        // Relaxed: counts that order nothing.
        cells[index].wrappingAdd(1, ordering: .relaxed)
    }

    public subscript(index: Int) -> UInt64 {
        precondition(index >= 0 && index < count)
        return cells[index].load(ordering: .relaxed)
    }
}

/// Counts by the cases of an enumeration. Thread-safe; counting never blocks.
public struct CountsBy<Key: CaseIterable & Equatable & Sendable>: Sendable where Key.AllCases: Sendable {
    private let cells = Counters(Key.allCases.count)

    public init() {}

    /// O(cases).
    public func add(_ key: Key) { cells.add(Self.index(key)) }

    public subscript(key: Key) -> UInt64 { cells[Self.index(key)] }

    private static func index(_ key: Key) -> Int {
        Key.allCases.enumerated().first { $0.element == key }!.offset
    }
}

import Synchronization

/// How many observations were how large, in buckets that each reach twice as far as the one before.
///
/// Thread-safe; `observe` never blocks: two additions. A reader that looks meanwhile may see an observation counted and
/// not yet summed.
// Proof of Sendable: `cells` holds the buckets and behind them the sum; it is made in `init`, freed in `deinit`, and in
// between touched by atomic operations alone.
public final class Histogram: @unchecked Sendable {
    public struct Snapshot: Sendable {
        /// Upper bounds, inclusive, in the unit of the observations; the last bucket has none.
        public var bounds: [UInt64]
        /// Observations in each bucket, one more than there are bounds.
        public var counts: [UInt64]
        public var sum: UInt64

        public var count: UInt64 { counts.reduce(0, +) }
    }

    private let firstBound: UInt64
    private let bucketCount: Int
    private let cells: UnsafeMutablePointer<Atomic<UInt64>>

    /// Bounds `firstBound`, 2·`firstBound`, 4·`firstBound`… and one bucket without a bound.
    public init(firstBound: UInt64, bounds: Int) {
        precondition(firstBound > 0 && (1...60).contains(bounds))
        self.firstBound = firstBound
        bucketCount = bounds + 1
        cells = .allocate(capacity: bounds + 2)
        for index in 0..<(bounds + 2) { (cells + index).initialize(to: Atomic(0)) }
    }

    /// Times in nanoseconds: from 1 µs to 8.4 s.
    public static func times() -> Histogram { Histogram(firstBound: 1000, bounds: 24) }

    /// Sizes from 1 to `2^(bounds - 1)`.
    public static func sizes(bounds: Int) -> Histogram { Histogram(firstBound: 1, bounds: bounds) }

    deinit {
        cells.deinitialize(count: bucketCount + 1)
        cells.deallocate()
    }

    public func observe(_ value: UInt64) {
        let steps = value <= firstBound ? 0 : UInt64.bitWidth - ((value - 1) / firstBound).leadingZeroBitCount
        // Relaxed: counts that order nothing.
        cells[min(steps, bucketCount - 1)].wrappingAdd(1, ordering: .relaxed)
        cells[bucketCount].wrappingAdd(value, ordering: .relaxed)
    }

    public var snapshot: Snapshot {
        Snapshot(
            bounds: (0..<(bucketCount - 1)).map { firstBound << UInt64($0) },
            counts: (0..<bucketCount).map { cells[$0].load(ordering: .relaxed) },
            sum: cells[bucketCount].load(ordering: .relaxed))
    }
}

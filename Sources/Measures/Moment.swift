import Glibc

/// A reading of the monotonic clock, in nanoseconds since some start; it goes on through changes of the time of day.
public struct Moment: Sendable, Comparable {
    public let nanoseconds: UInt64

    public init(nanoseconds: UInt64) {
        self.nanoseconds = nanoseconds
    }

    /// Reads the clock: some 30 ns.
    public static func now() -> Moment {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Moment(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }

    /// Nanoseconds from `start` to this.
    public func since(_ start: Moment) -> UInt64 {
        nanoseconds >= start.nanoseconds ? nanoseconds - start.nanoseconds : 0
    }

    public static func < (left: Moment, right: Moment) -> Bool { left.nanoseconds < right.nanoseconds }
}

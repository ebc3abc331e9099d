import Glibc

/// Nanoseconds of processor time: what others do on the machine does not count.
enum Clock {
    case thread, process, wall

    @inline(__always)
    var now: UInt64 {
        var time = timespec()
        let id =
            switch self {
            case .thread: CLOCK_THREAD_CPUTIME_ID
            case .process: CLOCK_PROCESS_CPUTIME_ID
            case .wall: CLOCK_MONOTONIC
            }
        clock_gettime(id, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}

/// Nanoseconds per call of several bodies, measured in turn in one run: medians over the rounds, and of the ratios of each
/// round, so that a disturbed round disturbs nothing.
struct Interleaved {
    /// Nanoseconds a call, one for each body.
    var nanoseconds: [Double]
    /// The first body's time over each one's.
    var ratios: [Double]

    /// - Parameter bodies: each is told how many calls to make.
    init(rounds: Int, calls: Int, clock: Clock = .thread, _ bodies: [(Int) -> Void]) {
        var times = bodies.map { _ in [Double]() }
        for body in bodies { body(calls) }
        for _ in 0..<rounds {
            for (index, body) in bodies.enumerated() {
                let start = clock.now
                body(calls)
                times[index].append(Double(clock.now - start) / Double(calls))
            }
        }
        nanoseconds = times.map(Self.median)
        ratios = times.map { other in Self.median(zip(times[0], other).map { $0 / $1 }) }
    }

    static func median(_ values: [Double]) -> Double {
        values.sorted()[values.count / 2]
    }
}

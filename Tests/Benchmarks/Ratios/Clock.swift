import Foundation

/// Nanoseconds of this process's processor time, without that of other processes, or of the wall's clock.
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

/// Nanoseconds of this thread's processor time a call, of several bodies that were measured in turns: medians over the
/// rounds, and of the ratios within each round, so that a disturbed round disturbs nothing.
struct Interleaved {
    /// One for each body.
    var nanoseconds: [Double]
    /// The first body's time over each one's.
    var ratios: [Double]

    /// - Parameter bodies: each is told how many calls to make.
    init(rounds: Int, calls: Int, _ bodies: [(Int) -> Void]) {
        for body in bodies { body(calls) }
        var times = bodies.map { _ in [Double]() }
        for _ in 0..<rounds {
            for (index, body) in bodies.enumerated() {
                let start = Clock.thread.now
                body(calls)
                times[index].append(Double(Clock.thread.now - start) / Double(calls))
            }
        }
        nanoseconds = times.map(median)
        ratios = times.map { other in median(zip(times[0], other).map { $0 / $1 }) }
    }
}

func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

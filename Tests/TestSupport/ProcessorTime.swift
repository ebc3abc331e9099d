import Foundation

/// The processor time in seconds that `body` took on its thread. How long the thread waited for a processor does not count,
/// so that a bound on it holds beside any other load. `body` does its work on the calling thread.
public func processorSeconds(of body: () throws -> Void) rethrows -> Double {
    func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
    let start = now()
    try body()
    return now() - start
}

import Glibc

/// Runs `body` on `count` threads of the system's, which it may preempt anywhere, and waits for all. `body` gets the
/// thread's number.
func runThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    final class Work: Sendable {
        let number: Int
        let body: @Sendable (Int) -> Void
        init(_ number: Int, _ body: @escaping @Sendable (Int) -> Void) {
            self.number = number
            self.body = body
        }
    }
    let threads = (0..<count).map { number in
        var thread = pthread_t()
        // Retained here, released by the thread's takeRetainedValue.
        let work = Unmanaged.passRetained(Work(number, body)).toOpaque()
        let status = pthread_create(
            &thread, nil,
            { raw in
                guard let raw else { return nil }
                let work = Unmanaged<Work>.fromOpaque(raw).takeRetainedValue()
                work.body(work.number)
                return nil
            }, work)
        precondition(status == 0, "no thread: \(status)")
        return thread
    }
    for thread in threads { pthread_join(thread, nil) }
}

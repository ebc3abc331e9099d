import Synchronization

@testable import KubeAPI

/// A clock that stands still except for sleepers: a pause is over at once, and noted. Thread-safe.
final class ManualClock: Sendable {
    private let state = Mutex<(now: Duration, pauses: [Duration])>((.seconds(1_000), []))

    var pauses: [Duration] { state.withLock { $0.pauses } }

    func advance(_ duration: Duration) { state.withLock { $0.now += duration } }

    var clock: KubeClock {
        KubeClock(
            now: { self.state.withLock { $0.now } },
            sleep: { duration in
                try Task.checkCancellation()
                self.state.withLock { state in
                    state.now += duration
                    state.pauses.append(duration)
                }
                await Task.yield()
            })
    }
}

/// The error of a request; nil where there is none.
func failure<Value>(_ request: () async throws(KubeError) -> Value) async -> KubeError? {
    do throws(KubeError) {
        _ = try await request()
        return nil
    } catch {
        return error
    }
}

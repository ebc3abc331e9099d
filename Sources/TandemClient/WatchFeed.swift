import Synchronization
import TandemAPI

/// Received events of one watch that were not read yet. Thread-safe.
final class WatchFeed: Sendable {
    /// Notifications that wait: a reader that is slower goes on later, from where it is.
    static let maximum = 64

    private struct State {
        var lines: [JSONValue] = []
        var waiter: CheckedContinuation<JSONValue?, Never>?
        var hasEnded = false
    }

    private let state = Mutex(State())

    /// The params of one notification. False where nothing more is taken.
    func put(_ params: JSONValue) -> Bool {
        let (waiter, isOpen) = state.withLock { state in
            guard !state.hasEnded else { return (CheckedContinuation<JSONValue?, Never>?.none, false) }
            if let waiter = state.waiter {
                state.waiter = nil
                return (waiter, true)
            }
            state.lines.append(params)
            state.hasEnded = state.lines.count >= Self.maximum
            return (nil, !state.hasEnded)
        }
        waiter?.resume(returning: params)
        return isOpen
    }

    /// Events received by now can still be read.
    func end() {
        let waiter = state.withLock { state in
            state.hasEnded = true
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(returning: nil)
    }

    /// One caller at a time; nil when nothing more comes.
    func next() async -> JSONValue? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let line: JSONValue?? = state.withLock { state in
                    if !state.lines.isEmpty { return .some(state.lines.removeFirst()) }
                    if state.hasEnded { return .some(nil) }
                    state.waiter = continuation
                    return nil
                }
                if let line { continuation.resume(returning: line) }
            }
        } onCancel: {
            end()
        }
    }
}

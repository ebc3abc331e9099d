import Synchronization
import TandemAPI

/// Changes on their way to a page: the newest of those that it was not told yet, and how many there were before them. Whatever comes, and
/// however slow the page is, no more than that is kept. Thread-safe; one task takes.
final class ChangeBuffer: Sendable {
    static let maximum = 100

    private struct State {
        var changes: [JSONValue] = []
        var skipped = 0
        var state: JSONValue?
    }

    private let state = Mutex(State())
    private let signal: AsyncStream<Void>
    private let more: AsyncStream<Void>.Continuation

    init() { (signal, more) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1)) }

    func put(_ change: JSONValue) {
        state.withLock { state in
            state.changes.append(change)
            // Not at each change: an array gives up its first elements in O(count).
            guard state.changes.count >= 2 * Self.maximum else { return }
            state.skipped += state.changes.count - Self.maximum
            state.changes.removeFirst(state.changes.count - Self.maximum)
        }
        more.yield()
    }

    /// The state of the watch itself: `{"state": "watching"|"lost"…}`.
    func put(state text: JSONValue) {
        state.withLock { $0.state = text }
        more.yield()
    }

    /// Nothing is new, and the page is to know that this goes on.
    func beat() { more.yield() }

    /// The changes since the last call, once there are any: `{"changes":[…],"skipped":n,"watch":…}`; nil when the task is cancelled.
    func next() async -> JSONValue? {
        for await _ in signal { return take() }
        return nil
    }

    private func take() -> JSONValue {
        state.withLock { state in
            let over = max(0, state.changes.count - Self.maximum)
            var message: JSONValue = ["changes": .array(Array(state.changes.dropFirst(over)))]
            if state.skipped + over > 0 { message["skipped"] = .number(String(state.skipped + over)) }
            if let watch = state.state { message["watch"] = watch }
            state = State()
            return message
        }
    }
}

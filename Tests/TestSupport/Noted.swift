import Synchronization

/// Received items, in order. Thread-safe.
public final class Noted<Entry: Sendable>: Sendable {
    private let entries = Mutex<[Entry]>([])
    public var all: [Entry] { entries.withLock { $0 } }
    public init() {}

    public func add(_ entry: Entry) { entries.withLock { $0.append(entry) } }
}

import Synchronization
import TandemAPI

/// The last changes, in the order of their versions, without a gap: for watches. Thread-safe.
///
/// The log's thread puts references to kept objects in, and wakes waiting readers once a group; readers do all else. An
/// event is O(1) to put in, and to find by its version.
final class ChangeHistory: Sendable {
    /// Events that one look under the lock goes by: the log's thread waits for no longer than that.
    static let looks = 256

    private struct Slot {
        enum Content {
            case none
            case object(WatchedObject, WatchEvent.EventType)
            /// A reader has asked for it.
            case event(WatchEvent)
        }

        var content = Content.none
        var bytes: UInt32 = 0
    }

    private struct State {
        /// A ring: as many as a power of two.
        var slots: [Slot] = Array(repeating: Slot(), count: 64)
        var start = 0
        var count = 0
        /// The version behind the newest one that was put in.
        var next: UInt64 = 1
        var bytes = 0

        var first: UInt64 { next - UInt64(count) }

        /// Where the event of a version lies, which is one of those that are there.
        func place(_ version: UInt64) -> Int { (start + Int(version - first)) & (slots.count - 1) }

        mutating func append(_ slot: Slot) {
            if count == slots.count { grow() }
            slots[(start + count) & (slots.count - 1)] = slot
            count += 1
            next += 1
            bytes += Int(slot.bytes)
        }

        mutating func dropFirst() {
            bytes -= Int(slots[start].bytes)
            slots[start] = Slot()
            start = (start + 1) & (slots.count - 1)
            count -= 1
        }

        private mutating func grow() {
            let old = slots
            slots = (0..<2 * old.count).map { $0 < old.count ? old[(start + $0) & (old.count - 1)] : Slot() }
            start = 0
        }

        mutating func begin(at version: UInt64) {
            while count > 0 { dropFirst() }
            next = version + 1
        }
    }

    let maximumBytes: Int
    private let state = Mutex(State())
    // Releasing and acquiring: a thread that sees a version finds all earlier changes in the books.
    private let published = Atomic<UInt64>(0)
    private let listeners = Mutex<[@Sendable () -> Void]>([])
    // Relaxed: a reader that comes while a group ends reads by itself.
    private let hasListeners = Atomic<Bool>(false)
    private let told = Atomic<UInt64>(0)

    init(maximumBytes: Int) {
        self.maximumBytes = maximumBytes
    }

    /// The newest version whose event may be read.
    var newest: UInt64 { published.load(ordering: .acquiring) }

    /// The bytes and the number of the kept events.
    var size: (bytes: Int, events: Int) { state.withLock { ($0.bytes, $0.count) } }

    // MARK: The log's thread

    /// Empty, behind a version.
    func begin(at version: UInt64) {
        state.withLock { $0.begin(at: version) }
        publish(version)
    }

    /// The change with the next version, which no reader sees before it is published.
    func append(_ object: WatchedObject, _ change: WatchEvent.EventType, version: UInt64) {
        let bytes = min(object.keptBytes, Int(UInt32.max))
        let slot = Slot(content: .object(object, change), bytes: UInt32(bytes))
        state.withLock { state in
            if version != state.next { state.begin(at: version - 1) }
            state.append(slot)
            while state.bytes > maximumBytes { state.dropFirst() }
        }
    }

    func publish(_ version: UInt64) { published.store(version, ordering: .releasing) }

    /// A group is through: wakes waiting readers where it brought something.
    func wake() {
        guard hasListeners.load(ordering: .relaxed) else { return }
        let newest = newest
        guard told.exchange(newest, ordering: .relaxed) != newest else { return }
        for listener in listeners.withLock({ $0 }) { listener() }
    }

    // MARK: Readers

    /// `wake` runs on the log's thread when there is something new; it must be short.
    func listen(_ wake: @escaping @Sendable () -> Void) {
        listeners.withLock { $0.append(wake) }
        hasListeners.store(true, ordering: .relaxed)
    }

    /// Whether all that came behind the version is there.
    func reaches(back version: UInt64) -> Bool {
        let newest = newest
        return state.withLock { version + 1 >= $0.first } && version <= newest
    }

    /// Events behind `version`, up to `end`, that are wanted: as many as a look finds. Returns up to where it looked; nil where some of them
    /// are gone.
    func events(
        after version: UInt64, through end: UInt64, upTo limit: Int = looks, where isWanted: (WatchedObject) -> Bool
    ) -> (events: [WatchEvent], through: UInt64)? {
        guard version < end else { return ([], version) }
        return state.withLock { state in
            guard version + 1 >= state.first, end < state.next else { return nil }
            var events: [WatchEvent] = []
            var last = version
            while last < end, last - version < UInt64(Self.looks), events.count < limit {
                last += 1
                let place = state.place(last)
                switch state.slots[place].content {
                case .none: break
                case .event(let event): if isWanted(event.object) { events.append(event) }
                case .object(let object, let change):
                    guard isWanted(object) else { continue }
                    let event = WatchEvent(object, change, version: last)
                    state.slots[place].content = .event(event)
                    events.append(event)
                }
            }
            return (events, last)
        }
    }
}

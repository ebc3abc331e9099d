import IPAM
import NIOCore
import Synchronization
import TandemAPI

/// A watch, as its hub knows it: brought new changes while it is live, and asked from time to time to look after itself. On the hub's
/// event loop alone.
protocol WatchSubscriber: AnyObject {
    var query: WatchQuery { get }
    /// Takes new changes; false where it has to get them later itself, from behind `version` on: then it is live no more.
    func deliver(_ batch: inout WatchBatch, behind version: UInt64) -> Bool
    /// The events behind `version` are gone, or the hub can't bring them.
    func fallBehind(_ version: UInt64)
    func look()
    /// Takes all that it can now, and ends; one that has not begun only ends. The server leaves.
    func drain()
}

/// The counts of a server's watches. Thread-safe.
final class WatchMetrics: Sendable {
    // Relaxed: counts that order nothing.
    private let open = Atomic<Int>(0)
    private let told = Atomic<Int>(0)
    private let tooSlow = Atomic<Int>(0)

    /// Those that are open.
    var watches: Int { open.load(ordering: .relaxed) }
    /// Events that were told, each for each watch.
    var events: Int { told.load(ordering: .relaxed) }
    /// Watches that ended as their readers were slower than changes are kept.
    var expired: Int { tooSlow.load(ordering: .relaxed) }

    func addWatches(_ count: Int) { open.wrappingAdd(count, ordering: .relaxed) }
    func addEvents(_ count: Int) { told.wrappingAdd(count, ordering: .relaxed) }
    func addExpired() { tooSlow.wrappingAdd(1, ordering: .relaxed) }
}

/// The watches of one event loop: looks at each change once, and brings it to those that want it. On its event loop alone.
///
/// Those that want the same are one group, for which a notification's events are put together once; and a change finds its groups by its
/// namespace and node, so that watches of other nodes cost it nothing.
final class WatchHub {
    private struct Key: Hashable {
        var namespace: String?
        var nodeName: String?

        init(namespace: String? = nil, nodeName: String? = nil) {
            (self.namespace, self.nodeName) = (namespace, nodeName)
        }

        init(_ query: WatchQuery) { self.init(namespace: query.namespace, nodeName: query.nodeName) }
    }

    private final class Group {
        let query: WatchQuery
        var watches: [ObjectIdentifier: any WatchSubscriber] = [:]
        var events: [WatchEvent] = []

        init(_ query: WatchQuery) {
            self.query = query
        }
    }

    /// How often the loop looks at the clock, and in how many parts: each watch is looked at within so many seconds.
    static let looks = 14
    /// Notifications take one part in so many of the loop's time: with many watches later changes are sent together, in fewer writes.
    static let share = 10
    /// The longest time for which something new waits for others.
    static let longestRest = TimeAmount.milliseconds(10)

    let eventLoop: any EventLoop
    let engine: Engine
    let metrics: WatchMetrics
    private let waker: WatchWaker
    /// All changes up to here have been brought to the live ones.
    private(set) var seen: UInt64 = 0
    private var groups: [Key: [Group]] = [:]
    private var groupsOfNamespaces = 0
    private var all: [ObjectIdentifier: any WatchSubscriber] = [:]
    private var parts: [[ObjectIdentifier: any WatchSubscriber]]
    private var ticks = 0
    private var timer: RepeatedTask?
    /// Changes before then are sent then.
    private var restsUntil = NIODeadline.uptimeNanoseconds(0)
    private var isResting = false

    fileprivate init(
        _ eventLoop: any EventLoop, _ engine: Engine, _ metrics: WatchMetrics, _ waker: WatchWaker, looks: Int
    ) {
        (self.eventLoop, self.engine, self.metrics, self.waker) = (eventLoop, engine, metrics, waker)
        parts = Array(repeating: [:], count: max(1, looks))
    }

    // MARK: Watches

    func add(_ watch: any WatchSubscriber) {
        if all.isEmpty {
            seen = engine.newestChange
            waker.isWanted.store(true, ordering: .sequentiallyConsistent)
            let bound = NIOLoopBound(self, eventLoop: eventLoop)
            timer = eventLoop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { _ in
                bound.value.tick()
            }
        }
        all[ObjectIdentifier(watch)] = watch
        parts[part(of: watch)][ObjectIdentifier(watch)] = watch
        metrics.addWatches(1)
    }

    private func part(of watch: any WatchSubscriber) -> Int { abs(ObjectIdentifier(watch).hashValue) % parts.count }

    /// It has received all changes up to `seen`: from here on the hub brings it its changes.
    func join(_ watch: any WatchSubscriber) {
        let group = group(of: watch.query) ?? makeGroup(watch.query)
        group.watches[ObjectIdentifier(watch)] = watch
    }

    private func group(of query: WatchQuery) -> Group? {
        groups[Key(query)]?.first { $0.query.kinds == query.kinds && $0.query.limit == query.limit }
    }

    private func makeGroup(_ query: WatchQuery) -> Group {
        let group = Group(query)
        groups[Key(query), default: []].append(group)
        if query.namespace != nil { groupsOfNamespaces += 1 }
        return group
    }

    private func unjoin(_ watch: any WatchSubscriber) {
        guard let group = group(of: watch.query), group.watches.removeValue(forKey: ObjectIdentifier(watch)) != nil,
            group.watches.isEmpty
        else { return }
        let key = Key(watch.query)
        groups[key]?.removeAll { $0 === group }
        if groups[key]?.isEmpty ?? false { groups[key] = nil }
        if key.namespace != nil { groupsOfNamespaces -= 1 }
    }

    func leave(_ watch: any WatchSubscriber) {
        unjoin(watch)
        guard all.removeValue(forKey: ObjectIdentifier(watch)) != nil else { return }
        parts[part(of: watch)][ObjectIdentifier(watch)] = nil
        metrics.addWatches(-1)
        guard all.isEmpty else { return }
        waker.isWanted.store(false, ordering: .relaxed)
        timer?.cancel()
        timer = nil
    }

    // MARK: New changes

    /// There is something new: tells it, at the latest when its rest is over.
    func wake() {
        let begun = eventLoop.now
        guard begun >= restsUntil else {
            guard !isResting else { return }
            isResting = true
            let bound = NIOLoopBound(self, eventLoop: eventLoop)
            eventLoop.scheduleTask(deadline: restsUntil) {
                bound.value.isResting = false
                bound.value.wake()
            }
            return
        }
        catchUp()
        let end = eventLoop.now
        restsUntil = end + min(Self.longestRest, (end - begun) * (Self.share - 1))
    }

    /// Brings everything that is new to the live ones. O(new changes + notifications).
    func catchUp() {
        let end = engine.newestChange
        while seen < end {
            guard !groups.isEmpty else {
                seen = end
                return
            }
            guard let (events, through) = engine.changes(after: seen, through: end, for: nil) else {
                // More than is kept has come since the last look.
                for watch in groups.values.flatMap({ $0 }).flatMap(\.watches.values) {
                    watch.fallBehind(seen)
                    unjoin(watch)
                }
                seen = end
                return
            }
            var touched: [Group] = []
            for event in events { bring(event, &touched) }
            for group in touched { tell(group) }
            seen = through
        }
    }

    private func bring(_ event: WatchEvent, _ touched: inout [Group]) {
        let node = event.nodeName
        bring(event, to: Key(), &touched)
        if let node { bring(event, to: Key(nodeName: node), &touched) }
        guard groupsOfNamespaces > 0, event.kind != .node else { return }
        let namespace = event.namespace
        bring(event, to: Key(namespace: namespace), &touched)
        if let node { bring(event, to: Key(namespace: namespace, nodeName: node), &touched) }
    }

    private func bring(_ event: WatchEvent, to key: Key, _ touched: inout [Group]) {
        guard let groups = groups[key] else { return }
        for group in groups where group.query.kinds.contains(KindSet(event.kind)) {
            if group.events.isEmpty { touched.append(group) }
            group.events.append(event)
        }
    }

    private func tell(_ group: Group) {
        var version = seen
        var batch = WatchBatch()
        for (index, event) in group.events.enumerated() {
            batch.append(event.text, version: event.version)
            guard batch.isFull || batch.count >= group.query.limit || index + 1 == group.events.count else { continue }
            for watch in group.watches.values where !watch.deliver(&batch, behind: version) { unjoin(watch) }
            (version, batch) = (event.version, WatchBatch())
        }
        group.events = []
    }

    // MARK: The clock, and the end

    private func tick() {
        ticks += 1
        for watch in parts[ticks % parts.count].values { watch.look() }
    }

    fileprivate func drain() {
        catchUp()
        for watch in all.values { watch.drain() }
    }
}

extension WatchHub {
    fileprivate convenience init(_ hubs: WatchHubs, _ eventLoop: any EventLoop, _ waker: WatchWaker) {
        self.init(eventLoop, hubs.engine, hubs.metrics, waker, looks: hubs.looks)
    }
}

/// How the log's thread wakes an event loop: once, however much comes before the loop looks. Thread-safe.
private final class WatchWaker: Sendable {
    let isWanted = Atomic<Bool>(false)
    // Acquiring and releasing: a thread that finds it set is seen by the pending look.
    private let isWoken = Atomic<Bool>(false)

    func wake(_ hub: NIOLoopBound<WatchHub>, on eventLoop: any EventLoop) {
        guard isWanted.load(ordering: .sequentiallyConsistent),
            !isWoken.exchange(true, ordering: .acquiringAndReleasing)
        else { return }
        eventLoop.execute {
            self.isWoken.store(false, ordering: .sequentiallyConsistent)
            hub.value.wake()
        }
    }
}

/// The hub of each event loop. Thread-safe.
final class WatchHubs: Sendable {
    private struct Entry: Sendable {
        let eventLoop: any EventLoop
        let hub: NIOLoopBound<WatchHub>
        let waker: WatchWaker
    }

    fileprivate let engine: Engine
    let metrics = WatchMetrics()
    /// Seconds within which each watch is looked at: a connection with a quiet one is not idle.
    fileprivate let looks: Int
    private let entries = Mutex<[ObjectIdentifier: Entry]>([:])

    init(_ engine: Engine, idleTimeout: TimeAmount) {
        self.engine = engine
        looks = min(WatchHub.looks, max(1, Int(idleTimeout.nanoseconds / 4_000_000_000)))
        engine.onChanges { [weak self] in self?.wake() }
    }

    /// On the event loop.
    func hub(of eventLoop: any EventLoop) -> WatchHub {
        entries.withLock { entries in
            if let entry = entries[ObjectIdentifier(eventLoop)] { return entry.hub }
            let waker = WatchWaker()
            let hub = NIOLoopBound(WatchHub(self, eventLoop, waker), eventLoop: eventLoop)
            entries[ObjectIdentifier(eventLoop)] = Entry(eventLoop: eventLoop, hub: hub, waker: waker)
            return hub
        }.value
    }

    private func wake() {
        for entry in entries.withLock({ Array($0.values) }) { entry.waker.wake(entry.hub, on: entry.eventLoop) }
    }

    /// Sends every watch that has begun its last changes; all of them have ended then.
    func drain() async {
        for entry in entries.withLock({ Array($0.values) }) {
            let hub = entry.hub
            try? await entry.eventLoop.submit { hub.value.drain() }.get()
        }
    }
}

/// Which objects are to be looked at, in which order: each by one worker at a time, again after a pause where that failed.
///
/// Objects that show addresses that are not adopted yet have a low rank, and those that may be assigned some the highest: nothing of a rank is begun
/// while anything of a lower one waits, runs, or waits to be tried again since Tandem or the cluster did not answer. So no address that
/// an object shows is given to another first.
///
/// A value; the caller's clock counts, as a time since any start. Every operation is O(log n) but for a few. At most one entry an object.
public struct WorkQueue<Key: Hashable & Sendable>: Sendable {
    public struct Pauses: Sendable {
        public var first: Duration
        public var longest: Duration

        public init(first: Duration = .seconds(5), longest: Duration = .seconds(300)) {
            self.first = first
            self.longest = longest
        }

        /// Twice as long after each failure in a row.
        func after(failures: Int) -> Duration {
            failures > 16 ? longest : min(longest, first * (1 << (failures - 1)))
        }
    }

    /// The outcome of an object's turn.
    public enum Outcome: Sendable, Hashable {
        case done
        /// Again after this time, without that anything failed.
        case again(after: Duration)
        /// Again after a pause that grows; where `isHolding`, nothing of a higher rank is begun before.
        case failed(isHolding: Bool)
    }

    private struct Entry {
        var rank: Int
        var isRunning = false
        /// It was put in again while it ran.
        var isDue = false
        var failures = 0
        /// Of the pause that it waits for; another one since makes an older one void.
        var pause = 0
        /// Nothing of a higher rank is begun while it is there.
        var isHolding: Bool
        var isWaiting = true
        var isFull = false
    }

    private let pauses: Pauses
    private let workers: Int
    private var entries: [Key: Entry] = [:]
    private var lines: [ArraySlice<Key>]
    /// Entries that hold up higher ranks, by rank.
    private var holding: [Int]
    private var paused = Heap<Paused>()
    private var running = 0
    private var lastPause = 0

    private struct Paused: Comparable {
        var due: Duration
        var pause: Int
        var key: Key

        static func < (left: Self, right: Self) -> Bool { (left.due, left.pause) < (right.due, right.pause) }
        static func == (left: Self, right: Self) -> Bool { left.pause == right.pause }
    }

    /// `ranks` count from 0; `workers` are objects that are looked at at a time.
    public init(ranks: Int, workers: Int, pauses: Pauses = Pauses()) {
        self.pauses = pauses
        self.workers = workers
        lines = Array(repeating: [], count: ranks)
        holding = Array(repeating: 0, count: ranks)
    }

    /// Objects that wait for their turn, and those that wait to be tried again.
    public var counts: (waiting: Int, paused: Int, running: Int) {
        let waiting = lines.reduce(0) { $0 + $1.count }
        return (waiting, entries.count - waiting - running, running)
    }

    /// Puts an object in; one that waits keeps its place, and one that runs has another turn behind it. Its wait is over.
    public mutating func add(_ key: Key, rank: Int) {
        guard var entry = entries[key] else {
            entries[key] = Entry(rank: rank, isHolding: true)
            holding[rank] += 1
            lines[rank].append(key)
            return
        }
        if entry.isRunning {
            entry.isDue = true
            entries[key] = entry
        } else if entry.isWaiting {
            guard rank < entry.rank else { return }
            drop(&entry)
            lines[entry.rank].removeAll { $0 == key }
            enter(key, &entry, rank: rank)
        } else {
            drop(&entry)
            enter(key, &entry, rank: rank)
        }
    }

    /// Whether it was put in again while it runs.
    public func isDue(_ key: Key) -> Bool { entries[key]?.isDue ?? false }

    private mutating func enter(_ key: Key, _ entry: inout Entry, rank: Int) {
        entry.rank = rank
        (entry.isWaiting, entry.isHolding, entry.isRunning) = (true, true, false)
        lastPause += 1
        entry.pause = lastPause
        holding[rank] += 1
        entries[key] = entry
        lines[rank].append(key)
    }

    private mutating func drop(_ entry: inout Entry) {
        if entry.isHolding { holding[entry.rank] -= 1 }
        entry.isHolding = false
    }

    /// The next object that has its turn, which runs until `finish`; nil where there is none now.
    public mutating func take(now: Duration) -> Key? {
        wake(now: now)
        guard running < workers else { return nil }
        for rank in lines.indices {
            if let key = lines[rank].popFirst() {
                entries[key]?.isRunning = true
                entries[key]?.isWaiting = false
                running += 1
                return key
            }
            guard holding[rank] == 0 else { return nil }
        }
        return nil
    }

    /// `rank` is that of the object's next turn, if it has one.
    public mutating func finish(_ key: Key, _ outcome: Outcome, rank: Int, now: Duration, isFull: Bool = false) {
        guard var entry = entries[key], entry.isRunning else { return }
        running -= 1
        drop(&entry)
        entry.isRunning = false
        let isDue = entry.isDue
        entry.isDue = false
        if case .failed = outcome { entry.failures += 1 } else { entry.failures = 0 }
        guard !isDue else {
            // A change meanwhile may have cured it; an object that failed several times in a row still has its pause.
            if entry.failures > 1 {
                return pause(key, &entry, pauses.after(failures: entry.failures), outcome, rank, now, isFull)
            }
            return enter(key, &entry, rank: rank)
        }
        switch outcome {
        case .done: entries[key] = nil
        case .again(let time): pause(key, &entry, time, outcome, rank, now, isFull)
        case .failed: pause(key, &entry, pauses.after(failures: entry.failures), outcome, rank, now, isFull)
        }
    }

    private mutating func pause(
        _ key: Key, _ entry: inout Entry, _ time: Duration, _ outcome: Outcome, _ rank: Int, _ now: Duration,
        _ isFull: Bool
    ) {
        lastPause += 1
        entry.pause = lastPause
        entry.rank = rank
        entry.isWaiting = false
        entry.isFull = isFull
        if outcome == .failed(isHolding: true) {
            entry.isHolding = true
            holding[rank] += 1
        }
        entries[key] = entry
        paused.insert(Paused(due: now + time, pause: lastPause, key: key))
    }

    private mutating func wake(now: Duration) {
        while let first = paused.first, first.due <= now || entries[first.key]?.pause != first.pause {
            paused.removeFirst()
            guard var entry = entries[first.key], entry.pause == first.pause else { continue }
            drop(&entry)
            enter(first.key, &entry, rank: entry.rank)
        }
    }

    /// When the next pause is over; nil where none is on.
    public var nextDue: Duration? { paused.first?.due }

    /// Those that wait for their pauses have their turn now: all whose turn failed, or those that found a range full, as something was given
    /// back. O(n)
    public mutating func hurry(onlyFull: Bool) {
        for (key, var entry) in entries
        where !entry.isRunning && !entry.isWaiting && (onlyFull ? entry.isFull : entry.failures > 0) {
            entry.isFull = false
            drop(&entry)
            enter(key, &entry, rank: entry.rank)
        }
    }

    /// An object that is no longer there: nothing is left to be done for it, unless it runs.
    public mutating func forget(_ key: Key) {
        guard var entry = entries[key], !entry.isRunning else { return }
        drop(&entry)
        if entry.isWaiting { lines[entry.rank].removeAll { $0 == key } }
        entries[key] = nil
    }
}

/// A binary heap: the least first.
struct Heap<Element: Comparable & Sendable>: Sendable {
    private var elements: [Element] = []

    var first: Element? { elements.first }

    mutating func insert(_ element: Element) {
        elements.append(element)
        var child = elements.count - 1
        while child > 0, elements[child] < elements[(child - 1) / 2] {
            elements.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func removeFirst() {
        elements.swapAt(0, elements.count - 1)
        elements.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < elements.count {
                if elements[child] < elements[least] { least = child }
            }
            guard least != parent else { return }
            elements.swapAt(parent, least)
            parent = least
        }
    }
}

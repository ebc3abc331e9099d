import Logging
import Measures

/// The events that a line of the log stands for.
struct TalliedLine: Equatable, Sendable {
    /// Events since the line before, its own included.
    var count: Int
    /// They are those that had no place of their own.
    var isOfOthers: Bool

    /// With further fields of the line; `name` is the unit of the count. One that stands for itself alone does not say so.
    func metadata(_ name: String, _ more: Logger.Metadata = [:]) -> Logger.Metadata {
        var metadata = more
        if count > 1 || isOfOthers { metadata[name] = "\(count)" }
        if isOfOthers { metadata["others"] = "true" }
        return metadata
    }
}

/// Events by key, with a line a second for each: the first at once.
///
/// It holds `maximumKeys` of them. Events while all keys have had one within the last second share one line a second, and so does
/// the rest of a key that gave its place up: no event is forgotten. O(1), but for a look at all keys at most once a second.
struct LineTally<Key: Hashable> {
    /// Between two lines of one key, in nanoseconds.
    static var interval: UInt64 { 1_000_000_000 }
    /// Lines a second at most, but for one of the others.
    static var maximumKeys: Int { 64 }

    private struct Cell {
        var next: UInt64 = 0
        var waiting = 0

        mutating func note(_ now: UInt64) -> Int? {
            waiting += 1
            guard now >= next else { return nil }
            defer { waiting = 0 }
            next = now + LineTally.interval
            return waiting
        }
    }

    private var cells: [Key: Cell] = [:]
    private var others = Cell()
    private var nextSweep: UInt64 = 0

    /// Counts one event. Returns the counts of a line that is due now; nil where none is due.
    mutating func note(_ key: Key, _ now: Moment) -> TalliedLine? {
        let now = now.nanoseconds
        if cells[key] == nil, cells.count >= Self.maximumKeys { sweep(now) }
        if cells[key] != nil || cells.count < Self.maximumKeys {
            return cells[key, default: Cell()].note(now).map { TalliedLine(count: $0, isOfOthers: false) }
        }
        return others.note(now).map { TalliedLine(count: $0, isOfOthers: true) }
    }

    /// Makes room: lets go of the keys whose next event would have a line.
    private mutating func sweep(_ now: UInt64) {
        guard now >= nextSweep else { return }
        nextSweep = now + Self.interval
        cells = cells.filter { _, cell in
            guard cell.next <= now else { return true }
            others.waiting += cell.waiting
            return false
        }
    }
}

/// Entries in the order of their keys, cut into chunks, so that a change moves a few hundred of them and not all.
///
/// Finding a place is O(log n) comparisons; to insert or to remove there moves one chunk's entries and, once in a hundred
/// changes, the list of chunks. Keys may be equal: then the caller's own order among their values decides, which is asked for
/// only where keys are equal. A value type: not thread-safe by itself.
struct SortedList<Key: Comparable & Sendable, Value: Sendable>: Sendable {
    private struct Chunk: Sendable {
        var keys: [Key]
        var values: [Value]

        mutating func insert(_ key: Key, _ value: Value, at offset: Int) {
            // An array that is full would double: half of the memory would stay free.
            let room = min(keys.count + keys.count / 8 + 4, maximumChunk)
            if keys.count == keys.capacity { keys.reserveCapacity(room) }
            if values.count == values.capacity { values.reserveCapacity(room) }
            keys.insert(key, at: offset)
            values.insert(value, at: offset)
        }
    }

    /// Never empty ones.
    private var chunks: [Chunk] = []
    /// The last key of each chunk, side by side: a search looks at these first.
    private var lasts: [Key] = []
    private(set) var count = 0

    /// Entries of one chunk.
    static var maximumChunk: Int { 256 }

    /// Where an entry is, or would be. Good until the next change.
    struct Place: Sendable {
        fileprivate var chunk: Int
        fileprivate var offset: Int
    }

    init() {}

    /// Of `count` entries that come in order; each key and each value is asked for once. O(count).
    init(count: Int, key: (Int) -> Key, value: (Int) -> Value) {
        // Some room in each: the next changes split none.
        let size = Self.maximumChunk - Self.maximumChunk / 16
        chunks.reserveCapacity(count / size + 1)
        lasts.reserveCapacity(count / size + 1)
        for start in stride(from: 0, to: count, by: size) {
            let range = start..<min(start + size, count)
            let chunk = Chunk(keys: Self.array(range, key), values: Self.array(range, value))
            lasts.append(chunk.keys[range.count - 1])
            chunks.append(chunk)
        }
        self.count = count
    }

    /// Each element goes where it stays as it is made: a million references are not counted up and down on the way.
    private static func array<Element>(_ range: Range<Int>, _ element: (Int) -> Element) -> [Element] {
        [Element](unsafeUninitializedCapacity: range.count) { buffer, count in
            for index in range { buffer.initializeElement(at: index - range.lowerBound, to: element(index)) }
            count = range.count
        }
    }

    /// For tests: how far the list has fallen apart.
    var chunkCount: Int { chunks.count }

    /// For tests: how many entries it has memory for.
    var capacity: Int { chunks.reduce(0) { $0 + $1.keys.capacity } }

    // MARK: Finding

    /// The first entry whose key is not less. One comparison for each entry that is looked at.
    func place(of key: Key) -> Place { firstPlace { found, _ in found >= key } }

    /// The first entry whose key is greater, or whose key is equal and whose value is not before the place that is looked for.
    func place(of key: Key, where isBefore: (Value) -> Bool) -> Place {
        firstPlace { found, value in found > key || found == key && !isBefore(value()) }
    }

    /// The first entry that `isThere`; all behind it are.
    @inline(__always)
    private func firstPlace(_ isThere: (Key, _ value: () -> Value) -> Bool) -> Place {
        let chunk = Self.firstIndex(in: lasts.count) { index in
            isThere(lasts[index]) { chunks[index].values[chunks[index].values.count - 1] }
        }
        guard chunk < chunks.count else { return end }
        let entries = chunks[chunk]
        let offset = Self.firstIndex(in: entries.keys.count) { index in
            isThere(entries.keys[index]) { entries.values[index] }
        }
        return Place(chunk: chunk, offset: offset)
    }

    var start: Place { Place(chunk: 0, offset: 0) }
    /// Behind all.
    var end: Place { Place(chunk: chunks.count, offset: 0) }

    /// nil at the end.
    subscript(place: Place) -> (key: Key, value: Value)? {
        guard place.chunk < chunks.count else { return nil }
        return (chunks[place.chunk].keys[place.offset], chunks[place.chunk].values[place.offset])
    }

    /// The place of the next entry; `place` is not the end. O(1).
    func place(after place: Place) -> Place {
        place.offset + 1 < chunks[place.chunk].keys.count
            ? Place(chunk: place.chunk, offset: place.offset + 1) : Place(chunk: place.chunk + 1, offset: 0)
    }

    /// The entry in front of a place; nil at the start. O(1).
    func entry(before place: Place) -> (key: Key, value: Value)? {
        if place.offset > 0 {
            return (chunks[place.chunk].keys[place.offset - 1], chunks[place.chunk].values[place.offset - 1])
        }
        guard place.chunk > 0 else { return nil }
        let chunk = chunks[place.chunk - 1]
        return (chunk.keys[chunk.keys.count - 1], chunk.values[chunk.values.count - 1])
    }

    /// Entries from a place on, without the one at `end`, which is not before it. O(chunks between).
    func count(from start: Place, to end: Place) -> Int {
        guard start.chunk < end.chunk else { return end.offset - start.offset }
        return chunks[start.chunk..<end.chunk].reduce(end.offset - start.offset) { $0 + $1.keys.count }
    }

    /// Calls `body` with the entries from a place on, in order, until it returns false.
    func visit(from place: Place, _ body: (Key, Value) -> Bool) {
        var (chunk, offset) = (place.chunk, place.offset)
        while chunk < chunks.count {
            let entries = chunks[chunk]
            while offset < entries.keys.count {
                guard body(entries.keys[offset], entries.values[offset]) else { return }
                offset += 1
            }
            (chunk, offset) = (chunk + 1, 0)
        }
    }

    /// The first index at which `isThere`, which is false and then true, or `count`. O(log count).
    @inline(__always)
    private static func firstIndex(in count: Int, _ isThere: (Int) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if isThere(middle) { high = middle } else { low = middle + 1 }
        }
        return low
    }

    // MARK: Changing

    /// At the place that `place(of:where:)` gave for the key.
    mutating func insert(_ key: Key, _ value: Value, at place: Place) {
        count += 1
        var (chunk, offset) = (place.chunk, place.offset)
        if chunk == chunks.count {
            // Behind all: entries that come in order fill chunk after chunk.
            guard let last = chunks.last, last.keys.count < Self.maximumChunk else {
                chunks.append(Chunk(keys: [key], values: [value]))
                lasts.append(key)
                return
            }
            (chunk, offset) = (chunks.count - 1, last.keys.count)
        } else if chunks[chunk].keys.count == Self.maximumChunk {
            split(chunk)
            let half = chunks[chunk].keys.count
            if offset > half { (chunk, offset) = (chunk + 1, offset - half) }
        }
        chunks[chunk].insert(key, value, at: offset)
        lasts[chunk] = chunks[chunk].keys[chunks[chunk].keys.count - 1]
    }

    private mutating func split(_ chunk: Int) {
        let half = chunks[chunk].keys.count / 2
        let upper = Chunk(keys: Array(chunks[chunk].keys[half...]), values: Array(chunks[chunk].values[half...]))
        chunks[chunk].keys.removeSubrange(half...)
        chunks[chunk].values.removeSubrange(half...)
        lasts.insert(lasts[chunk], at: chunk + 1)
        lasts[chunk] = chunks[chunk].keys[half - 1]
        chunks.insert(upper, at: chunk + 1)
    }

    /// Takes out the entry at a place that is not the end.
    mutating func remove(at place: Place) {
        let chunk = place.chunk
        count -= 1
        chunks[chunk].keys.remove(at: place.offset)
        chunks[chunk].values.remove(at: place.offset)
        let left = chunks[chunk].keys.count
        if left == 0 {
            chunks.remove(at: chunk)
            lasts.remove(at: chunk)
        } else {
            lasts[chunk] = chunks[chunk].keys[left - 1]
            if left < Self.maximumChunk / 8, !join(chunk - 1) { join(chunk) }
        }
    }

    /// A chunk and the next one become one where both are small, so that a list that has shrunk is not all chunks.
    @discardableResult
    private mutating func join(_ chunk: Int) -> Bool {
        guard chunk >= 0, chunk + 1 < chunks.count,
            chunks[chunk].keys.count + chunks[chunk + 1].keys.count <= Self.maximumChunk / 2
        else { return false }
        let next = chunks.remove(at: chunk + 1)
        chunks[chunk].keys += next.keys
        chunks[chunk].values += next.values
        lasts.remove(at: chunk)
        lasts[chunk] = chunks[chunk].keys[chunks[chunk].keys.count - 1]
        return true
    }
}

extension SortedList where Value == Void {
    /// Of keys that come in order, each once. O(count).
    init(keys: [Key]) {
        self.init(count: keys.count) {
            keys[$0]
        } value: { _ in
            ()
        }
    }

    /// Nothing is done where it is there already.
    mutating func insert(_ key: Key) {
        let place = place(of: key)
        if self[place]?.key != key { insert(key, (), at: place) }
    }

    /// False where it was not there.
    @discardableResult
    mutating func remove(_ key: Key) -> Bool {
        let place = place(of: key)
        guard self[place]?.key == key else { return false }
        remove(at: place)
        return true
    }

    /// The first key behind `key`, or the first of all.
    func next(after key: Key?) -> Place {
        guard let key else { return start }
        // Keys are there once: the place behind an equal one.
        return place(of: key) { _ in true }
    }
}

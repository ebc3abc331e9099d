import Synchronization
import TandemAPI

/// An object of the books that has a name.
protocol Named: Sendable {
    /// By which it is looked up; it never changes.
    var bookName: String { get }
}

/// Objects by their names, which are also kept in order: for look-ups, and for pages of all or of one namespace.
///
/// Thread-safe; changes come from one thread. A look-up is O(1), a change O(log n), a page O(log n + its length).
final class NamedObjects<Object: Named>: Sendable {
    private final class Shard: Sendable {
        /// By the hashes of their names: an object knows its name, so that none is kept here.
        let objects = Mutex<[UInt64: Object]>([:])
    }

    /// A power of two: enough that a handful of threads seldom meet.
    private static var shardCount: Int { 64 }
    private let shards = (0..<shardCount).map { _ in Shard() }
    /// Those whose place another name of the same hash has: of 64 bits that nobody can foretell hardly ever one.
    private let displaced = Mutex<[String: Object]>([:])
    // Released when the first one is in there, so that a reader that sees it finds that.
    private let hasDisplaced = Atomic(false)
    private let hash: @Sendable (String) -> UInt64
    private let names = Mutex(SortedList<Name, Void>())

    /// `hash` is another one in tests alone.
    init(hash: @escaping @Sendable (String) -> UInt64 = { $0.seededHash }) { self.hash = hash }

    subscript(name: String) -> Object? {
        get {
            let hash = hash(name)
            if let object = shard(of: hash).objects.withLock({ $0[hash] }), object.bookName == name { return object }
            guard hasDisplaced.load(ordering: .acquiring) else { return nil }
            return displaced.withLock { $0[name] }
        }
        set {
            // The name first in, and last out: a page passes over a name that leads to nothing.
            guard let newValue else {
                remove(name)
                return names.withLock { _ = $0.remove(Name(name)) }
            }
            names.withLock { $0.insert(Name(name)) }
            load(newValue, name)
        }
    }

    private func shard(of hash: UInt64) -> Shard { shards[Int(truncatingIfNeeded: hash) & (Self.shardCount - 1)] }

    private func remove(_ name: String) {
        if hasDisplaced.load(ordering: .relaxed) { displaced.withLock { _ = $0.removeValue(forKey: name) } }
        let hash = hash(name)
        shard(of: hash).objects.withLock { objects in
            if objects[hash]?.bookName == name { objects[hash] = nil }
        }
    }

    /// Puts an object in that is found by its name alone until `order` is called: for a start, from several threads.
    func load(_ object: Object, _ name: String) {
        let hash = hash(name)
        // One that was displaced stays so while it lives: a look-up would miss it on its way.
        if hasDisplaced.load(ordering: .relaxed), displaced.withLock({ $0.replace(name, with: object) }) { return }
        let isPlaced = shard(of: hash).objects.withLock { objects in
            guard objects[hash].map({ $0.bookName == name }) ?? true else { return false }
            objects[hash] = object
            return true
        }
        if isPlaced { return }
        displaced.withLock { $0[name] = object }
        hasDisplaced.store(true, ordering: .releasing)
    }

    /// Puts the names of everything that was loaded in order. O(n log n).
    func order() {
        var loaded: [Name] = []
        visit { loaded.append(Name($0.bookName)) }
        loaded.sort()
        let list = SortedList(keys: loaded)
        names.withLock { $0 = list }
    }

    /// Objects in the order of their names, from behind `token` on, as far as names start with `prefix`.
    func page(after token: PageToken?, limit: Int, prefix: String = "") -> Page<Object> {
        var found: [String] = []
        var hasMore = false
        names.withLock { names in
            let first = Name(prefix)
            let place = token.map { Name($0.key) }.map { $0 < first ? names.place(of: first) : names.next(after: $0) }
            names.visit(from: place ?? names.place(of: first)) { name, _ in
                guard name.text.utf8.starts(with: prefix.utf8) else { return false }
                hasMore = found.count == limit
                if !hasMore { found.append(name.text) }
                return !hasMore
            }
        }
        return Page(
            items: found.compactMap { self[$0] },
            next: hasMore ? found.last.map { PageToken(key: $0) } : nil)
    }

    /// O(1).
    var count: Int { names.withLock { $0.count } }

    /// How many names start with `prefix`, which is not empty and ends in an ASCII character. O(log n + n / 256).
    func count(prefix: String) -> Int {
        let behind = Name(end(of: prefix))
        return names.withLock { names in names.count(from: names.place(of: Name(prefix)), to: names.place(of: behind)) }
    }

    /// Names by their prefix up to `mark`, itself among it, which is an ASCII character: how many have the same, from a name on, as many of such
    /// runs as `limit`; and the name to go on from. O(runs · log n).
    func runs(
        from name: String, through mark: Character, limit: Int
    ) -> (runs: [(prefix: String, count: Int)], next: String?) {
        var runs: [(prefix: String, count: Int)] = []
        return names.withLock { names in
            var place = names.place(of: Name(name))
            while let text = names[place]?.key.text {
                guard runs.count < limit else { return (runs, text) }
                let prefix = text.firstIndex(of: mark).map { String(text[...$0]) } ?? text
                let behind = names.place(of: Name(end(of: prefix)))
                runs.append((prefix, names.count(from: place, to: behind)))
                place = behind
            }
            return (runs, nil)
        }
    }

    /// The first text behind all that start so.
    private func end(of prefix: String) -> String {
        var end = Array(prefix.utf8)
        end[end.count - 1] += 1
        return String(decoding: end, as: UTF8.self)
    }

    /// Every object, in no order; changes meanwhile may or may not be seen. O(n).
    func visit(_ body: (Object) -> Void) {
        for shard in shards {
            for object in shard.objects.withLock({ $0 }).values { body(object) }
        }
        for object in displaced.withLock({ $0 }).values { body(object) }
    }
}

extension Dictionary {
    /// False where there is none to replace.
    fileprivate mutating func replace(_ key: Key, with value: Value) -> Bool {
        guard let place = index(forKey: key) else { return false }
        values[place] = value
        return true
    }
}

extension StoredService: Named {
    var bookName: String { key }
}

extension StoredNode: Named {
    var bookName: String { name }
}

/// A name in the order of its bytes: each change compares a score of them, which `String`'s own order makes dear.
private struct Name: Comparable, Sendable {
    let text: String

    init(_ text: String) {
        var text = text
        text.makeContiguousUTF8()
        self.text = text
    }

    @inline(__always)
    private static func order(_ left: Name, _ right: Name) -> Int {
        // Unlike `withUTF8`, which may change the text and so takes a copy of it.
        let order = left.text.utf8.withContiguousStorageIfAvailable { left in
            right.text.utf8.withContiguousStorageIfAvailable { right in
                UnsafeRawBufferPointer(left).order(to: UnsafeRawBufferPointer(right))
            }
        }
        guard case .some(.some(let order)) = order else {
            preconditionFailure("a name whose bytes do not lie in one piece")
        }
        return order
    }

    static func < (left: Name, right: Name) -> Bool { order(left, right) < 0 }

    static func >= (left: Name, right: Name) -> Bool { order(left, right) >= 0 }

    static func > (left: Name, right: Name) -> Bool { order(left, right) > 0 }

    static func == (left: Name, right: Name) -> Bool { order(left, right) == 0 }
}

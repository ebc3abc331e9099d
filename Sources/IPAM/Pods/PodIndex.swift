import Glibc
import Synchronization

/// Pods in an order: a list cut into shards by the upper bits of its keys, each behind a lock of its own that is held for one
/// look or change and never across a call out.
///
/// Thread-safe. A look-up or a change is O(log n) in the pods of its shard, however many have one name or one container: those of
/// one key stand in an order among themselves.
final class PodIndex<Key: FixedWidthInteger & UnsignedInteger & Sendable>: Sendable {
    typealias List = SortedList<Key, StoredPod>

    private final class Shard: Sendable {
        let list = Mutex(List())
    }

    private let shards = (0..<podShardCount).map { _ in Shard() }

    private func shard(_ key: Key) -> Shard { shards[Self.shard(key)] }

    /// The place of a key's shard.
    static func shard(_ key: Key) -> Int { Int(key >> (Key.bitWidth - 6)) }

    /// `isBefore` tells the order of pods with this key.
    func insert(_ pod: StoredPod, _ key: Key, where isBefore: (StoredPod) -> Bool) {
        shard(key).list.withLock { list in list.insert(key, pod, at: list.place(of: key, where: isBefore)) }
    }

    /// Nothing is done where another pod, or none, stands at the place.
    func remove(_ pod: StoredPod, _ key: Key, where isBefore: (StoredPod) -> Bool) {
        shard(key).list.withLock { list in
            let place = list.place(of: key, where: isBefore)
            if let found = list[place], found.value === pod { list.remove(at: place) }
        }
    }

    /// The first pod of this key that is not before the place that is looked for.
    func first(_ key: Key, where isBefore: (StoredPod) -> Bool) -> StoredPod? {
        shard(key).list.withLock { list in
            guard let found = list[list.place(of: key, where: isBefore)], found.key == key else { return nil }
            return found.value
        }
    }

    /// The last pod of this key that is before the place that is looked for.
    func last(_ key: Key, where isBefore: (StoredPod) -> Bool) -> StoredPod? {
        shard(key).list.withLock { list in
            guard let found = list.entry(before: list.place(of: key, where: isBefore)), found.key == key else {
                return nil
            }
            return found.value
        }
    }

    /// Pods from a place on, in order, whose keys are no higher than `end`: as many as `limit`, or as one shard has. The key to go
    /// on from where that shard was not the last one.
    func pods(
        from key: Key, through end: Key, limit: Int, where isBefore: (StoredPod) -> Bool
    ) -> (pods: [StoredPod], nextShard: Key?) {
        var found: [StoredPod] = []
        shard(key).list.withLock { list in
            list.visit(from: list.place(of: key, where: isBefore)) { other, pod in
                guard other <= end else { return false }
                found.append(pod)
                return found.count < limit
            }
        }
        let next = Self.shard(key) + 1
        let isLast = found.count == limit || next > Self.shard(end)
        return (found, isLast ? nil : Key(next) << (Key.bitWidth - 6))
    }

    /// Pods whose keys are one but for their low bits: the first of each such run and how many there are, from a key on, as many runs as
    /// `limit` or as one shard has; and the key to go on from. O(runs · log n).
    func runs(from key: Key, lowBits: Int, limit: Int) -> (runs: [(first: StoredPod, count: Int)], next: Key?) {
        var runs: [(first: StoredPod, count: Int)] = []
        let next: Key? = shard(key).list.withLock { list in
            var place = list.place(of: key)
            while let first = list[place] {
                guard runs.count < limit else { return first.key }
                let (last, isLast) = (first.key | (1 << lowBits - 1)).addingReportingOverflow(1)
                let end = isLast ? list.end : list.place(of: last)
                runs.append((first.value, list.count(from: place, to: end)))
                place = end
            }
            return nil
        }
        let shard = Self.shard(key) + 1
        return (runs, next ?? (shard < podShardCount ? Key(shard) << (Key.bitWidth - 6) : nil))
    }

    /// Makes a whole shard, once, of all that will be in it.
    func fill(shard: Int, _ list: List) {
        shards[shard].list.withLock { $0 = list }
    }
}

/// A power of two. Pods of one namespace are in one shard of the order of names: changes come from one thread, the journal's, and
/// readers hold a shard for a few hundred pods at a time.
let podShardCount = 64

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

    /// Makes a whole shard, once, of all that will be in it.
    func fill(shard: Int, _ list: List) {
        shards[shard].list.withLock { $0 = list }
    }
}

/// A power of two. Pods of one namespace are in one shard of the order of names: changes come from one thread, the journal's, and
/// readers hold a shard for a few hundred pods at a time.
let podShardCount = 64

/// Pods by name: the order of the lists that clients read. It is by a hash of the namespace, then by one of the name, so that a
/// namespace's pods lie together and a place in it costs two words to look at; then by the name itself, then by version.
///
/// The hashes are the same in every run of the program: pages go on over a restart.
struct PodNameOrder {
    let key: UInt64
    /// `namespace/name`.
    let name: UnsafeRawBufferPointer
    /// Of the pods of one name: behind those of lower versions.
    let version: UInt64

    init(_ name: UnsafeRawBufferPointer, version: UInt64) {
        let slash = name.firstIndex(of: UInt8(ascii: "/")) ?? name.count
        key =
            Self.firstKey(ofNamespace: UnsafeRawBufferPointer(rebasing: name[..<slash]))
            | shardHash(of: UnsafeRawBufferPointer(rebasing: name[slash...])) & 0xFFFF_FFFF
        self.name = name
        self.version = version
    }

    /// The lowest key that a pod of the namespace can have; those of other namespaces with the same hash are among them.
    static func firstKey(ofNamespace namespace: UnsafeRawBufferPointer) -> UInt64 { shardHash(of: namespace) << 32 }

    func isBefore(_ pod: StoredPod) -> Bool {
        let order = pod.withNameKey { $0.order(to: name) }
        return order < 0 || order == 0 && pod.version < version
    }

    func isName(of pod: StoredPod) -> Bool { pod.withNameKey { $0.hasSameBytes(as: name) } }
}

/// Pods by container, or by name and uid where they have none; those of one container by their interfaces.
struct PodOriginOrder {
    /// Seeded by the process.
    let key: UInt32
    /// The identity's, as it is in the ledger.
    let identity: UnsafeRawBufferPointer

    /// `origin` is how many bytes of the identity are its origin.
    init(_ identity: UnsafeRawBufferPointer, origin: Int) {
        var hasher = Hasher()
        hasher.combine(bytes: UnsafeRawBufferPointer(rebasing: identity[..<origin]))
        key = UInt32(truncatingIfNeeded: hasher.finalize())
        self.identity = identity
    }

    func isBefore(_ pod: StoredPod) -> Bool { pod.withKey { $0.order(to: identity) } < 0 }
}

extension UnsafeRawBufferPointer {
    func hasSameBytes(as other: UnsafeRawBufferPointer) -> Bool {
        count == other.count && order(to: other) == 0
    }

    /// Byte by byte: less than 0 where this comes first, 0 where both are the same.
    func order(to other: UnsafeRawBufferPointer) -> Int {
        // Inside of both: no more bytes than the shorter one has.
        if let base = baseAddress, let otherBase = other.baseAddress {
            let order = memcmp(base, otherBase, Swift.min(count, other.count))
            if order != 0 { return Int(order) }
        }
        return count - other.count
    }
}

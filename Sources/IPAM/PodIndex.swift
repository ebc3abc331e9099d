import Glibc
import Synchronization

/// Pods found by a hash of their name or of their origin: tables cut into shards, each behind a lock of its own that is held
/// for one look-up and never across a call out.
///
/// Thread-safe. Look-ups and changes are O(1); `page` is O(pods in a shard).
final class PodIndex: Sendable {
    private final class Shard: Sendable {
        let table = Mutex(PodTable())
    }

    static let shardCount = 64
    private let shards = (0..<shardCount).map { _ in Shard() }

    private func shard(_ hash: PodHash) -> Shard { shards[hash.shard] }

    func insert(_ pod: StoredPod, _ hash: PodHash) {
        shard(hash).table.withLock { $0.insert(pod, hash.slot) }
    }

    /// Makes a whole shard, once, of all that will be in it.
    func fill(shard: Int, _ entries: consuming [PodTable.Entry]) {
        let table = PodTable(entries)
        shards[shard].table.withLock { $0 = table }
    }

    func remove(_ pod: StoredPod, _ hash: PodHash) {
        shard(hash).table.withLock { $0.remove(pod, hash.slot) }
    }

    /// Those that `isWanted` lets pass, in the order of their versions: the newest last.
    func pods(_ hash: PodHash, where isWanted: (StoredPod) -> Bool) -> [StoredPod] {
        shard(hash).table.withLock { $0.pods(hash.slot, where: isWanted) }.sorted { $0.version < $1.version }
    }

    /// Pods in an order that stays the same over restarts: by shard, then by `namespace/name`, then by version; only for an
    /// index by name. Starts behind `token`, and takes those whose name starts with `prefix` until `limit` is reached;
    /// then gives the token to go on from. Pods of one name are never parted.
    func page(after token: PageToken?, limit: Int, prefix: String) -> (pods: [StoredPod], next: PageToken?) {
        var result: [StoredPod] = []
        for index in (token?.shard ?? 0)..<shards.count {
            let start = index == token?.shard ? token?.key : nil
            var found: [(key: String, pod: StoredPod)] = []
            for pod in shards[index].table.withLock({ $0.all }) {
                let key = pod.nameKey
                if key.hasPrefix(prefix), start.map({ key > $0 }) ?? true { found.append((key, pod)) }
            }
            found.sort { ($0.key, $0.pod.version) < ($1.key, $1.pod.version) }
            for (position, entry) in found.enumerated() {
                result.append(entry.pod)
                let isLastOfName = position + 1 == found.count || found[position + 1].key != entry.key
                if result.count >= limit, isLastOfName { return (result, PageToken(shard: index, key: entry.key)) }
            }
        }
        return (result, nil)
    }
}

/// Where a pod is found in an index.
struct PodHash {
    /// Of 64.
    let shard: Int
    /// Seeded by the process, so that nobody can aim at a long way through a table.
    let slot: UInt32

    /// The shard of a name is the same in every run of the program: pages go by it.
    init(nameKey: UnsafeRawBufferPointer) {
        shard = Int(truncatingIfNeeded: shardHash(of: nameKey)) & (PodIndex.shardCount - 1)
        slot = UInt32(truncatingIfNeeded: Self.seeded(nameKey))
    }

    init(origin: UnsafeRawBufferPointer) {
        let hash = Self.seeded(origin)
        shard = hash >> 32 & (PodIndex.shardCount - 1)
        slot = UInt32(truncatingIfNeeded: hash)
    }

    private static func seeded(_ bytes: UnsafeRawBufferPointer) -> Int {
        var hasher = Hasher()
        hasher.combine(bytes: bytes)
        return hasher.finalize()
    }
}

/// A hash table of pods with open addressing: twelve bytes a slot, and no memory for a key, since the pods have it.
///
/// A pod stands at the place that its hash spells, or in one of those that follow it without a gap; several of one hash
/// stand there together. Grows by half when seven eighths are full.
struct PodTable {
    private var slots: [UInt32] = []
    private var pods: [StoredPod?] = []
    private(set) var count = 0

    /// Places keep the order of the hashes, whatever the capacity.
    private func home(_ slot: UInt32) -> Int { Int((UInt64(slot) &* UInt64(pods.count)) >> 32) }

    private func next(_ place: Int) -> Int { place + 1 == pods.count ? 0 : place + 1 }

    init() {}

    /// A table of all these, with some room.
    init(_ entries: consuming [Entry]) {
        resize(max(8, entries.count + entries.count / 4))
        count = entries.count
        for index in entries.indices { move(&entries[index].pod, entries[index].slot) }
    }

    /// A pod to be, with the hash that it is found by.
    struct Entry {
        let slot: UInt32
        /// For `PodLoad`.
        let place: Int32
        var pod: StoredPod?
    }

    mutating func insert(_ pod: StoredPod, _ slot: UInt32) {
        if count >= pods.count - pods.count / 8 { grow() }
        var pod: StoredPod? = pod
        move(&pod, slot)
        count += 1
    }

    /// Moves, and counts no references: that would touch the memory of every pod when a table grows.
    private mutating func move(_ pod: inout StoredPod?, _ slot: UInt32) {
        var place = home(slot)
        while pods[place] != nil { place = next(place) }
        swap(&pods[place], &pod)
        slots[place] = slot
    }

    private mutating func grow() {
        let oldSlots = slots
        var oldPods = pods
        resize(max(8, pods.count + pods.count / 2))
        for old in oldPods.indices where oldPods[old] != nil { move(&oldPods[old], oldSlots[old]) }
    }

    private mutating func resize(_ capacity: Int) {
        slots = Array(repeating: 0, count: capacity)
        pods = Array(repeating: nil, count: capacity)
    }

    mutating func remove(_ pod: StoredPod, _ slot: UInt32) {
        guard count > 0 else { return }
        var hole = home(slot)
        while let found = pods[hole] {
            if found === pod { break }
            hole = next(hole)
        }
        guard pods[hole] != nil else { return }
        pods[hole] = nil
        count -= 1
        // Whoever stands behind the hole and belongs before it moves into it, so that no way has a gap.
        var place = next(hole)
        while let moving = pods[place] {
            let way = distance(from: home(slots[place]), to: place)
            if way >= distance(from: hole, to: place) {
                pods[hole] = moving
                slots[hole] = slots[place]
                pods[place] = nil
                hole = place
            }
            place = next(place)
        }
    }

    private func distance(from start: Int, to end: Int) -> Int { end >= start ? end - start : end - start + pods.count }

    func pods(_ slot: UInt32, where isWanted: (StoredPod) -> Bool) -> [StoredPod] {
        guard count > 0 else { return [] }
        var found: [StoredPod] = []
        var place = home(slot)
        while let pod = pods[place] {
            if slots[place] == slot, isWanted(pod) { found.append(pod) }
            place = next(place)
        }
        return found
    }

    var all: [StoredPod] { pods.compactMap { $0 } }

    /// The most places that a look-up walks over. O(capacity).
    var longestWay: Int {
        pods.indices.map { pods[$0] == nil ? 0 : distance(from: home(slots[$0]), to: $0) + 1 }.max() ?? 0
    }
}

extension UnsafeRawBufferPointer {
    func hasSameBytes(as other: UnsafeRawBufferPointer) -> Bool {
        guard count == other.count else { return false }
        guard let base = baseAddress, let otherBase = other.baseAddress else { return true }
        return memcmp(base, otherBase, count) == 0
    }
}

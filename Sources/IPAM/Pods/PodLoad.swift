import Addressing
import Allocation
import Dispatch
import Synchronization
import TandemAPI

/// Takes in all pods of a start, before any call.
///
/// A pod's node, its pools and the two indexes lie all over memory, and to touch each of them for each pod would take longer
/// than all else. So a pod is only made and put on three lists when it comes, one of a few nodes, and one of a shard of each
/// index; in the end each list is worked off in one go.
final class PodLoad: Sendable {
    /// A pod on its way, under the key that it is put in order by.
    private struct Entry<Key: FixedWidthInteger & Sendable>: @unchecked Sendable {
        // Proof: the word is made in `add` and taken once, by the one thread that works its list off.
        let key: Key
        let pod: Unmanaged<StoredPod.Block>
    }

    private final class List<Key: FixedWidthInteger & Sendable>: Sendable {
        private let entries = Mutex<[Entry<Key>]>([])

        func add(_ key: Key, _ pod: StoredPod) {
            let entry = Entry(key: key, pod: pod.lent)
            entries.withLock { $0.append(entry) }
        }

        /// Leaves it empty, without a copy. Each pod is to be taken once.
        func takeAll() -> [Entry<Key>] {
            entries.withLock { entries in
                var taken: [Entry<Key>] = []
                swap(&taken, &entries)
                return taken
            }
        }

        /// In the order of the keys; `isBefore` decides between two of one key.
        func takeSorted(_ isBefore: (StoredPod, StoredPod) -> Bool) -> SortedList<Key, StoredPod> {
            var entries = takeAll()
            entries.sort { left, right in
                left.key < right.key
                    || left.key == right.key
                        && isBefore(StoredPod(lookingAt: left.pod), StoredPod(lookingAt: right.pod))
            }
            return SortedList(count: entries.count) {
                entries[$0].key
            } value: {
                StoredPod(taking: entries[$0].pod)
            }
        }

        deinit {
            // Where a start fails.
            for entry in takeAll() { entry.pod.release() }
        }
    }

    private let nodes: [StoredNode]
    private let places: PlacesByName
    private let byNode = (0..<podShardCount).map { _ in List<Int32>() }
    private let byName = (0..<podShardCount).map { _ in List<UInt64>() }
    private let byOrigin = (0..<podShardCount).map { _ in List<UInt32>() }

    init(_ books: Books) {
        var nodes: [StoredNode] = []
        books.nodes.visit { nodes.append($0) }
        self.nodes = nodes
        places = PlacesByName(nodes.map(\.name))
    }

    /// Where a node is found; nil where there is none of the name.
    func place(_ name: UnsafeRawBufferPointer) -> Int32? { places[name] }

    func node(at place: Int32) -> StoredNode { nodes[Int(place)] }

    /// From any thread. `identity` is the pod's.
    func add(_ pod: StoredPod, _ identity: UnsafeRawBufferPointer, at place: Int32) {
        let name = pod.withNameOrder(\.key)
        let origin = PodOriginOrder.key(
            UnsafeRawBufferPointer(rebasing: identity[..<StoredPod.originCount(identity)]))
        byName[PodIndex<UInt64>.shard(name)].add(name, pod)
        byOrigin[PodIndex<UInt32>.shard(origin)].add(origin, pod)
        byNode[Int(place) % byNode.count].add(place, pod)
    }

    /// Once, when all are there: marks their addresses as taken and shows them in the books. Throws where an address has
    /// two owners.
    func finish(_ books: Books) throws {
        let fault = Mutex<StartFault?>(nil)
        DispatchQueue.concurrentPerform(iterations: podShardCount) { shard in
            books.fillPods(
                shard,
                byName: byName[shard].takeSorted { left, right in right.withNameOrder { $0.isBefore(left) } },
                byOrigin: byOrigin[shard].takeSorted { left, right in right.withOriginOrder { $0.isBefore(left) } })
            do throws(StartFault) {
                try fillNodes(shard, books)
            } catch {
                fault.withLock { $0 = error }
            }
        }
        if let fault = fault.withLock({ $0 }) { throw fault }
    }

    private func fillNodes(_ shard: Int, _ books: Books) throws(StartFault) {
        var pods: [[StoredPod]] = Array(repeating: [], count: nodes.count / byNode.count + 1)
        for entry in byNode[shard].takeAll() {
            pods[Int(entry.key) / byNode.count].append(StoredPod(taking: entry.pod))
        }
        for row in pods.indices where !pods[row].isEmpty {
            let node = nodes[row * byNode.count + shard]
            try node.claim(pods[row])
            books.podUsage.change(node) { $0 = NodePods(pods[row]) }
            pods[row] = []
        }
    }
}

extension StoredNode {
    fileprivate func claim(_ pods: [StoredPod]) throws(StartFault) {
        let pools = record.pools
        for (index, pod) in pods.enumerated() {
            var fault: StartFault?
            pod.visitAddresses { address in
                let outcome = pools.first { $0.cidr.contains(address) }?.claim(address)
                if outcome == .claimed { return }
                let other = pods[..<index].first { $0.addresses.contains(address) }
                // One that no pool gives out, such as the gateway's, is the pod's all the same where the log says so.
                if outcome == .reserved, other == nil { return }
                fault = StartFault.twoOwners(address.description, pod.key, other?.key)
            }
            if let fault { throw fault }
        }
    }
}

/// Places by names, found by the names' bytes: no string is made for a look-up. Immutable.
private struct PlacesByName: Sendable {
    private struct Slot: Sendable {
        var hash: UInt32 = 0
        /// -1 where the slot is free.
        var place: Int32 = -1
    }

    private let names: [String]
    /// Each name in the first slot that was free from its hash on. A power of two, half of it free at least.
    private let slots: [Slot]

    /// Distinct names; the place of each is its index.
    init(_ names: [String]) {
        self.names = names
        var count = 4
        while count < names.count * 2 { count *= 2 }
        var slots = [Slot](repeating: Slot(), count: count)
        for (place, name) in names.enumerated() {
            let hash = Self.hash(name.shardHash)
            var slot = Int(hash) & (count - 1)
            while slots[slot].place >= 0 { slot = (slot + 1) & (count - 1) }
            slots[slot] = Slot(hash: hash, place: Int32(place))
        }
        self.slots = slots
    }

    /// Names that are numbered differ in few bits.
    private static func hash(_ hash: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: (hash &* 0x9e37_79b9_7f4a_7c15) >> 32)
    }

    subscript(name: UnsafeRawBufferPointer) -> Int32? {
        let hash = Self.hash(shardHash(of: name))
        var slot = Int(hash) & (slots.count - 1)
        while slots[slot].place >= 0 {
            if slots[slot].hash == hash {
                var found = names[Int(slots[slot].place)]
                if found.withUTF8({ UnsafeRawBufferPointer($0).hasSameBytes(as: name) }) { return slots[slot].place }
            }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }
}

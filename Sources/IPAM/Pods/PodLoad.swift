import Addressing
import Allocation
import Dispatch
import Synchronization

/// Takes in all pods of a start, while nobody looks yet.
///
/// A pod's node, its pools and the two indexes lie all over memory, and to touch each of them for each pod would take longer
/// than all else. So a pod is only made and put on three lists when it comes, one of a few nodes, and one of a shard of each
/// index; in the end each list is worked off in one go.
final class PodLoad: Sendable {
    /// A pod on its way, under the key that it is put in order by.
    private struct Entry<Key: FixedWidthInteger & Sendable>: Sendable {
        let key: Key
        let pod: StoredPod
    }

    private final class List<Key: FixedWidthInteger & Sendable>: Sendable {
        private let entries = Mutex<[Entry<Key>]>([])

        func add(_ key: Key, _ pod: StoredPod) { entries.withLock { $0.append(Entry(key: key, pod: pod)) } }

        /// Leaves it empty, without a copy.
        func takeAll() -> [Entry<Key>] {
            entries.withLock { entries in
                var taken: [Entry<Key>] = []
                swap(&taken, &entries)
                return taken
            }
        }

        /// In the order of the keys; `isBefore` decides between two of one key.
        func takeSorted(_ isBefore: (StoredPod, StoredPod) -> Bool) -> SortedList<Key, StoredPod> {
            let entries = takeAll()
            // Keys and places are sorted, not pods: to count references would touch every pod's memory again and again.
            var order = entries.indices.map { (key: entries[$0].key, place: UInt32($0)) }
            order.sort { left, right in
                left.key < right.key
                    || left.key == right.key && isBefore(entries[Int(left.place)].pod, entries[Int(right.place)].pod)
            }
            return SortedList(count: order.count) { (order[$0].key, entries[Int(order[$0].place)].pod) }
        }
    }

    private let nodes: [StoredNode]
    private let places: [String: Int32]
    private let byNode = (0..<podShardCount).map { _ in List<Int32>() }
    private let byName = (0..<podShardCount).map { _ in List<UInt64>() }
    private let byOrigin = (0..<podShardCount).map { _ in List<UInt32>() }

    init(_ books: Books) {
        var nodes: [StoredNode] = []
        books.nodes.visit { nodes.append($0) }
        self.nodes = nodes
        places = Dictionary(uniqueKeysWithValues: nodes.indices.map { (nodes[$0].name, Int32($0)) })
    }

    /// Where a node is found; nil where there is none of the name.
    func place(_ name: String) -> Int32? { places[name] }

    func node(at place: Int32) -> StoredNode { nodes[Int(place)] }

    /// From any thread.
    func add(_ pod: StoredPod, at place: Int32) {
        let name = pod.withNameOrder(\.key)
        let origin = pod.withOriginOrder(\.key)
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
        for entry in byNode[shard].takeAll() { pods[Int(entry.key) / byNode.count].append(entry.pod) }
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
        for (index, pod) in pods.enumerated() {
            for address in pod.addresses {
                let outcome = pool(containing: address)?.claim(address)
                if outcome == .claimed { continue }
                let other = pods[..<index].first { $0.addresses.contains(address) }
                // One that no pool gives out, such as the gateway's, is the pod's all the same where the log says so.
                if outcome == .reserved, other == nil { continue }
                throw StartFault.twoOwners(address.description, pod.key, other?.key)
            }
        }
    }
}

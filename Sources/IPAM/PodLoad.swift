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
    private final class List: Sendable {
        private let entries = Mutex<[PodTable.Entry]>([])

        func add(_ entry: PodTable.Entry) { entries.withLock { $0.append(entry) } }

        /// Leaves it empty, without a copy.
        func takeAll() -> [PodTable.Entry] {
            entries.withLock { entries in
                var taken: [PodTable.Entry] = []
                swap(&taken, &entries)
                return taken
            }
        }
    }

    private let nodes: [StoredNode]
    private let places: [String: Int32]
    private let byNode = (0..<PodIndex.shardCount).map { _ in List() }
    private let byName = (0..<PodIndex.shardCount).map { _ in List() }
    private let byOrigin = (0..<PodIndex.shardCount).map { _ in List() }

    init(_ registry: Registry) {
        var nodes: [StoredNode] = []
        registry.nodes.visit { nodes.append($1) }
        self.nodes = nodes
        places = Dictionary(uniqueKeysWithValues: nodes.indices.map { (nodes[$0].name, Int32($0)) })
    }

    /// Where a node is found; nil where there is none of the name.
    func place(_ name: String) -> Int32? { places[name] }

    func node(at place: Int32) -> StoredNode { nodes[Int(place)] }

    /// From any thread.
    func add(_ pod: StoredPod, at place: Int32) {
        let name = pod.withNameKey(PodHash.init(nameKey:))
        let origin = pod.withOrigin(PodHash.init(origin:))
        byName[name.shard].add(PodTable.Entry(slot: name.slot, place: place, pod: pod))
        let entry = PodTable.Entry(slot: origin.slot, place: place, pod: pod)
        byOrigin[origin.shard].add(entry)
        byNode[Int(place) % byNode.count].add(entry)
    }

    /// Once, when all are there: marks their addresses as taken and shows them in the registry. Throws where an address has
    /// two owners.
    func finish(_ registry: Registry) throws {
        let fault = Mutex<RecoveryFault?>(nil)
        DispatchQueue.concurrentPerform(iterations: PodIndex.shardCount) { shard in
            registry.fillPods(
                shard, byName: byName[shard].takeAll(), byOrigin: byOrigin[shard].takeAll())
            do throws(RecoveryFault) {
                try fillNodes(shard)
            } catch {
                fault.withLock { $0 = error }
            }
        }
        if let fault = fault.withLock({ $0 }) { throw fault }
    }

    private func fillNodes(_ shard: Int) throws(RecoveryFault) {
        var entries = byNode[shard].takeAll()
        var pods: [[PodTable.Entry]] = Array(repeating: [], count: nodes.count / byNode.count + 1)
        for index in entries.indices {
            var entry = PodTable.Entry(slot: entries[index].slot, place: entries[index].place, pod: nil)
            swap(&entry.pod, &entries[index].pod)
            pods[Int(entry.place) / byNode.count].append(entry)
        }
        for row in pods.indices where !pods[row].isEmpty {
            let node = nodes[row * byNode.count + shard]
            try node.claim(pods[row])
            var all: [PodTable.Entry] = []
            swap(&all, &pods[row])
            let table = PodTable(all)
            node.pods.withLock { $0 = table }
        }
    }
}

extension StoredNode {
    fileprivate func claim(_ entries: [PodTable.Entry]) throws(RecoveryFault) {
        for index in entries.indices {
            guard let pod = entries[index].pod else { continue }
            for address in pod.addresses where pool(containing: address)?.claim(address) != .claimed {
                let other = entries[..<index].first { $0.pod?.addresses.contains(address) == true }
                throw RecoveryFault.twoOwners(address.description, pod.key, other?.pod?.key)
            }
        }
    }
}

import Addressing
import Synchronization
import TandemAPI

/// Every committed object in memory, and the ways to find one. Memory holds the truth while the server runs.
///
/// Readers see committed objects only. Changes to one object are made by the call that holds its turn, after its
/// commit; so that each index needs no more than its own shard's lock.
final class Registry: Sendable {
    /// By `namespace/name`.
    let services = ShardedMap<String, StoredService>()
    /// The key of the Service that shows the address.
    let serviceAddresses = ShardedMap<IPAddress, String>()
    /// By name.
    let nodes = ShardedMap<String, StoredNode>()
    /// The name of the node that holds the pod CIDR.
    let podCIDRs = ShardedMap<CIDR, String>()
    /// By `PodIdentity.origin`: a pod for each interface.
    private let podsByOrigin = PodIndex()
    /// By `namespace/name`: a pod for each incarnation.
    private let podsByName = PodIndex()

    // MARK: Services

    func put(_ service: StoredService, addresses: [IPAddress], freed: [IPAddress]) {
        for address in freed { serviceAddresses[address] = nil }
        for address in addresses { serviceAddresses[address] = service.key }
        services[service.key] = service
    }

    func remove(_ service: StoredService, freed: [IPAddress]) {
        for address in freed { serviceAddresses[address] = nil }
        services[service.key] = nil
    }

    // MARK: Nodes

    func put(_ node: StoredNode) {
        for cidr in node.podCIDRs { podCIDRs[cidr] = node.name }
        nodes[node.name] = node
    }

    func remove(_ node: StoredNode) {
        for cidr in node.podCIDRs { podCIDRs[cidr] = nil }
        nodes[node.name] = nil
    }

    // MARK: Pods

    func pod(_ identity: PodIdentity) -> StoredPod? {
        var key = identity.key
        let count = identity.origin.utf8.count
        return key.withUTF8 { key in
            let key = UnsafeRawBufferPointer(key)
            let hash = PodHash(origin: UnsafeRawBufferPointer(rebasing: key[..<count]))
            return podsByOrigin.pods(hash) { $0.withKey { $0.hasSameBytes(as: key) } }.first
        }
    }

    func pods(origin: String) -> [StoredPod] {
        var origin = origin
        return origin.withUTF8 { origin in
            let origin = UnsafeRawBufferPointer(origin)
            return podsByOrigin.pods(PodHash(origin: origin)) { $0.withOrigin { $0.hasSameBytes(as: origin) } }
        }
    }

    /// Every incarnation, the newest last.
    func pods(named metadata: ObjectMeta) -> [StoredPod] {
        var name = "\(metadata.namespace)/\(metadata.name)"
        return name.withUTF8 { name in
            let name = UnsafeRawBufferPointer(name)
            return podsByName.pods(PodHash(nameKey: name)) { $0.withNameKey { $0.hasSameBytes(as: name) } }
        }
    }

    /// A page of all pods, or of one namespace's. O(pods in a shard).
    func pods(after token: PageToken?, limit: Int, prefix: String) -> (pods: [StoredPod], next: PageToken?) {
        podsByName.page(after: token, limit: limit, prefix: prefix)
    }

    /// A start's pods: all of one shard of each index, at once.
    func fillPods(_ shard: Int, byName: consuming [PodTable.Entry], byOrigin: consuming [PodTable.Entry]) {
        podsByName.fill(shard: shard, byName)
        podsByOrigin.fill(shard: shard, byOrigin)
    }

    func put(_ pod: StoredPod) {
        let origin = pod.withOrigin(PodHash.init(origin:))
        pod.node.pods.withLock { $0.insert(pod, origin.slot) }
        podsByName.insert(pod, pod.withNameKey(PodHash.init(nameKey:)))
        podsByOrigin.insert(pod, origin)
    }

    func remove(_ pod: StoredPod) {
        let origin = pod.withOrigin(PodHash.init(origin:))
        pod.node.pods.withLock { $0.remove(pod, origin.slot) }
        podsByName.remove(pod, pod.withNameKey(PodHash.init(nameKey:)))
        podsByOrigin.remove(pod, origin)
    }
}

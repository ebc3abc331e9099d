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
    /// By `PodIdentity.origin`: one entry per interface.
    let podsByOrigin = ShardedMap<String, [StoredPod]>()
    /// By `namespace/name`: one entry per incarnation, the newest last.
    let podsByName = ShardedMap<String, [StoredPod]>()

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
        podsByOrigin[identity.origin]?.first { $0.identity == identity }
    }

    func put(_ pod: StoredPod, name: String) {
        pod.node.pods.withLock { $0[ObjectIdentifier(pod)] = pod }
        podsByName.update(name) { $0 = ($0 ?? []) + [pod] }
        podsByOrigin.update(pod.identity.origin) { $0 = ($0 ?? []) + [pod] }
    }

    func remove(_ pod: StoredPod, name: String) {
        pod.node.pods.withLock { $0[ObjectIdentifier(pod)] = nil }
        podsByName.update(name) { Self.drop(pod, from: &$0) }
        podsByOrigin.update(pod.identity.origin) { Self.drop(pod, from: &$0) }
    }

    private static func drop(_ pod: StoredPod, from list: inout [StoredPod]?) {
        let rest = list?.filter { $0 !== pod } ?? []
        list = rest.isEmpty ? nil : rest
    }
}

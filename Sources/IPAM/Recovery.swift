import Addressing
import Allocation
import DualStack
import Ledger
import TandemAPI

/// Brings back what the ledger holds: each object into the registry, each address into its pool.
///
/// Books are kept by address. What was taken from a range that is no longer configured stays with its object, and is
/// taken again once the range comes back.
struct Recovery {
    let pools: Pools
    let registry: Registry
    /// Pods wait here until all nodes are there: the store promises no order.
    private var pods: [LedgerRecord] = []

    init(pools: Pools, registry: Registry) {
        self.pools = pools
        self.registry = registry
    }

    /// Returns the highest version ever given. O(objects); blocks while the store is read.
    mutating func run(_ store: any LedgerStore) throws -> UInt64 {
        let pools = pools
        let registry = registry
        var pods: [LedgerRecord] = []
        let version = try store.recover { record in
            switch record.kind {
            case .service: try Self.restoreService(record, pools, registry)
            case .node: try Self.restoreNode(record, pools, registry)
            case .pod: pods.append(record)
            }
        }
        for pod in pods { try restorePod(pod) }
        return version
    }

    private static func restoreService(_ record: LedgerRecord, _ pools: Pools, _ registry: Registry) throws {
        guard case .put(let document, let context, let held) = record.change else { return }
        let service = try Documents.decode(document) { reader throws(JSONError) in try Service(from: &reader) }
        for holding in held {
            guard let address = holding.address else { continue }
            let pool = pools.addressPool(
                holding.pool == .serviceIP ? .clusterIP : .loadBalancer, containing: address)
            if pool?.claim(address) == .taken { throw RecoveryFault.twoOwners(address.description, record.key) }
        }
        registry.put(
            StoredService(service, version: record.version, document: document, request: context),
            addresses: held.compactMap(\.address), freed: [])
    }

    private static func restoreNode(_ record: LedgerRecord, _ pools: Pools, _ registry: Registry) throws {
        guard case .put(let document, _, let held) = record.change else { return }
        let node = try Documents.decode(document) { reader throws(JSONError) in try Node(from: &reader) }
        for holding in held {
            guard let pool = pools.subnetPool(containing: holding.range) else { continue }
            guard holding.range.prefixLength == pool.nodePrefixLength else {
                throw RecoveryFault.maskChanged(node: record.key, holding.range, pool)
            }
            if pool.claim(holding.range) == .taken {
                throw RecoveryFault.twoOwners(holding.range.description, record.key)
            }
        }
        registry.put(StoredNode(node, podCIDRs: held.map(\.range), version: record.version, document: document))
    }

    private func restorePod(_ record: LedgerRecord) throws {
        guard case .put(let document, _, let held) = record.change else { return }
        let pod = try Documents.decode(document) { reader throws(JSONError) in try Pod(from: &reader) }
        guard let identity = PodIdentity(key: record.key), let node = registry.nodes[pod.nodeName] else {
            throw RecoveryFault.noNode(pod: record.key, node: pod.nodeName)
        }
        let addresses = held.compactMap(\.address)
        for address in addresses where node.pool(containing: address)?.claim(address) != .claimed {
            throw RecoveryFault.twoOwners(address.description, record.key)
        }
        registry.put(
            StoredPod(identity, on: node, addresses: addresses, version: record.version, document: document),
            name: StoredPod.nameKey(pod.metadata))
    }
}

/// Why a server can't start on what is stored: said in one line, with what to do.
public struct RecoveryFault: Error, Sendable, CustomStringConvertible {
    public let description: String

    static func twoOwners(_ range: String, _ key: String) -> RecoveryFault {
        RecoveryFault(
            description: "the stored object \(key) holds \(range), which is not its to hold or has another owner; "
                + "nothing was changed: restore a backup, or look into the tables addresses, services, nodes and pods")
    }

    static func noNode(pod: String, node: String) -> RecoveryFault {
        RecoveryFault(
            description: "the stored pod \(pod) lies on node \"\(node)\", which is not stored; "
                + "nothing was changed: restore a backup, or look into the tables pods and nodes")
    }

    static func maskChanged(node: String, _ cidr: CIDR, _ pool: SubnetPool) -> RecoveryFault {
        let family = cidr.network.family == .ipv4 ? "ipv4" : "ipv6"
        return RecoveryFault(
            description: "--node-cidr-mask-size-\(family): node \"\(node)\" holds \(cidr), but the mask is now "
                + "/\(pool.nodePrefixLength); set it back to \(cidr.prefixLength), or release the nodes first")
    }
}

import Addressing
import Allocation
import DualStack
import Ledger
import Synchronization
import TandemAPI

/// Brings back what the ledger holds: each object into the registry, each address into its pool. An address that was taken
/// before is the second owner's fault, and the start is refused.
///
/// Books are kept by address. What was taken from a range that is no longer configured stays with its object, and is
/// taken again once the range comes back.
final class Recovery: Sendable {
    private let pools: Pools
    let registry: Registry
    private let environment: Environment
    private let reuseDelay: Int
    /// Made when the first pod comes, since all nodes are there by then.
    private let pods = AtomicLazyReference<PodLoad>()

    init(pools: Pools, registry: Registry, environment: Environment, reuseDelay: Int) {
        self.environment = environment
        self.reuseDelay = reuseDelay
        self.pools = pools
        self.registry = registry
    }

    /// Returns the highest version ever given. O(objects); blocks while the store is read.
    func run(_ store: any LedgerStore) throws -> UInt64 {
        // The kinds come in this order, so that a pod finds its node; objects of one kind come from several threads.
        let version = try store.recover { object in
            switch object.kind {
            case .service: try self.restoreService(object)
            case .node: try self.restoreNode(object)
            case .pod: try self.restorePod(object)
            case .cooling: try self.restoreCooling(object, environment, delay: reuseDelay)
            }
        }
        registry.services.order()
        try pods.load()?.finish(registry)
        return version
    }

    private func restoreService(_ object: RecoveredObject) throws {
        let document = Array(object.document)
        let service = try Documents.decode(document) { reader throws(JSONError) in try Service(from: &reader) }
        let stored = StoredService(
            service, holding: holdings(of: service), version: object.version, document: document,
            request: StoredRequest(text: Array(object.context)))
        for holding in object.holdings {
            guard let address = holding.address else { continue }
            let pool = pools.addressPool(
                holding.pool == .serviceIP ? .clusterIP : .loadBalancer, containing: address)
            // The map knows what the pools of the ranges of today don't.
            let other = registry.serviceAddresses.update(address) { owner in
                defer { owner = stored.key }
                return owner
            }
            if other != nil || pool?.claim(address) == .taken {
                throw RecoveryFault.twoOwners(address.description, stored.key, other)
            }
        }
        registry.services.load(stored, stored.key)
    }

    private func restoreNode(_ object: RecoveredObject) throws {
        let document = Array(object.document)
        let node = try Documents.decode(document) { reader throws(JSONError) in try Node(from: &reader) }
        for holding in object.holdings {
            let other = registry.podCIDRs.update(holding.range) { owner in
                defer { owner = node.metadata.name }
                return owner
            }
            if other != nil { throw RecoveryFault.twoOwners(holding.range.description, node.metadata.name, other) }
            guard let pool = pools.subnetPool(containing: holding.range) else { continue }
            guard holding.range.prefixLength == pool.nodePrefixLength else {
                throw RecoveryFault.maskChanged(node: node.metadata.name, holding.range, pool)
            }
            if pool.claim(holding.range) == .taken {
                throw RecoveryFault.twoOwners(holding.range.description, node.metadata.name, nil)
            }
        }
        registry.put(
            StoredNode(node, podCIDRs: object.holdings.map(\.range), version: object.version, document: document))
    }

    private func restorePod(_ object: RecoveredObject) throws {
        let pods = pods.load() ?? pods.storeIfNil(PodLoad(registry))
        let read = try ReadPod(object.document)
        guard object.key.contains(UInt8(ascii: "/")), let place = pods.place(read.nodeName) else {
            throw RecoveryFault.noNode(pod: String(decoding: object.key, as: UTF8.self), node: read.nodeName)
        }
        let pod = StoredPod(
            key: object.key, on: pods.node(at: place), addresses: object.holdings.compactMap(\.address),
            version: object.version, document: object.document, read: read)
        pods.add(pod, at: place)
    }
}

/// Why a server can't start on what is stored: said in one line, with what to do.
public struct RecoveryFault: Error, Sendable, CustomStringConvertible {
    public let description: String

    static func twoOwners(_ range: String, _ key: String, _ other: String?) -> RecoveryFault {
        RecoveryFault(
            description: "the stored object \(key) holds \(range), which "
                + (other.map { "\($0) holds as well; " } ?? "is not its to hold or has another owner; ")
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

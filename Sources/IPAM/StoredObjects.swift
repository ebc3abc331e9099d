import Addressing
import Allocation
import DualStack
import Synchronization
import TandemAPI

/// A Service as it was last committed. Immutable: a change puts a new one in its place.
final class StoredService: Sendable {
    let namespace: String
    let name: String
    /// `namespace/name`, as the registry and the ledger know it.
    let key: String
    let version: UInt64
    /// The object as it is served.
    let document: [UInt8]
    /// What a retry of `AllocateServiceIPs` is known by.
    let request: StoredRequest
    let uid: String
    /// Every address that it shows.
    let holdings: [ServiceHolding]

    init(
        _ service: Service, holding holdings: [ServiceHolding], version: UInt64, document: [UInt8],
        request: StoredRequest
    ) {
        namespace = service.metadata.namespace
        name = service.metadata.name
        key = Self.key(namespace, name)
        uid = service.metadata.uid ?? ""
        self.version = version
        self.document = document
        self.request = request
        self.holdings = holdings
    }

    var addresses: [IPAddress] { holdings.map(\.address) }

    static func key(_ namespace: String, _ name: String) -> String { "\(namespace)/\(name)" }

    var owner: Owner { Owner(kind: "Service", namespace: namespace, name: name, uid: uid) }

    /// The object decoded from its text. O(length of the document).
    func decoded() throws(APIError) -> Service {
        try Documents.decode(document) { reader throws(JSONError) in try Service(from: &reader) }
    }
}

/// A Node as it was last committed, with the pools that its pods' addresses come from.
final class StoredNode: Sendable {
    let name: String
    let uid: String
    let version: UInt64
    let document: [UInt8]
    /// One per family, in the order of the cluster's.
    let podCIDRs: [CIDR]
    /// In the order of `podCIDRs`.
    let pools: [AddressPool]
    /// The pods that hold addresses of this node, committed ones only.
    let pods = Mutex(NodePods())
    let cooling = CoolingAddresses()

    init(_ node: Node, podCIDRs: [CIDR], version: UInt64, document: [UInt8]) {
        name = node.metadata.name
        uid = node.metadata.uid ?? ""
        self.version = version
        self.document = document
        self.podCIDRs = podCIDRs
        pools = podCIDRs.map { AddressPool($0, layout: .pods) }
    }

    var owner: Owner { Owner(kind: "Node", name: name, uid: uid) }

    func pool(_ family: IPFamily) -> AddressPool? {
        pools.first { $0.cidr.network.family == family }
    }

    func pool(containing address: IPAddress) -> AddressPool? {
        pools.first { $0.cidr.contains(address) }
    }

    /// The first usable address of each pod CIDR, left out of it for the node's bridge.
    var gateways: [IPAddress] { pools.compactMap(\.gateway) }

    var podCount: Int { pods.withLock { $0.count } }

    /// The committed pod that holds the address. O(log n).
    func holder(of address: IPAddress) -> StoredPod? { pods.withLock { $0.holder(of: address) } }

    /// So many pods, in the order of their first addresses, from behind a place on.
    func pods(after place: NodePods.Place?, limit: Int) -> [StoredPod] {
        var found: [StoredPod] = []
        pods.withLock { pods in
            pods.visit(after: place) { pod in
                found.append(pod)
                return found.count < limit
            }
        }
        return found
    }

    func pods(after pod: StoredPod?, limit: Int) -> [StoredPod] {
        pods(after: pod.map { NodePods.Place(behind: $0) }, limit: limit)
    }
}

/// What makes an allocation the same when it is asked for again: the attachment where given, else namespace, name, uid.
struct PodIdentity: Sendable, Hashable {
    /// The container, or the pod: what `Release` names when it names no interface.
    let origin: String
    let ifName: String

    init(origin: String, ifName: String) {
        self.origin = origin
        self.ifName = ifName
    }

    init(_ attachment: Attachment) {
        origin = Self.origin(containerID: attachment.containerID)
        ifName = attachment.ifName
    }

    /// `uid` as the request gave it; empty where it gave none.
    init(namespace: String, name: String, uid: String) {
        origin = "pod/\(namespace)/\(name)/\(uid)"
        ifName = Attachment.defaultInterface
    }

    /// From the ledger's key. An interface's name has no slash in it.
    init?(key: String) {
        guard let slash = key.lastIndex(of: "/") else { return nil }
        origin = String(key[..<slash])
        ifName = String(key[key.index(after: slash)...])
    }

    var key: String { "\(origin)/\(ifName)" }

    static func origin(containerID: String) -> String { "container/\(containerID)" }

    /// It is a container's interface's.
    var isAttached: Bool { origin.hasPrefix("container/") }

    /// The turn of all pods of one name; containers have turns of their own, by their origins.
    static func turn(of metadata: ObjectMeta) -> String { "name/\(metadata.namespace)/\(metadata.name)" }
}

/// Objects as text and back.
enum Documents {
    static func decode<Object>(
        _ document: [UInt8], _ read: (inout JSONReader) throws(JSONError) -> Object
    ) throws(APIError) -> Object {
        do throws(JSONError) {
            return try JSONReader.read(document, isLimited: false, read)
        } catch {
            throw APIError(.internal, reason: "InternalError", "a stored object can't be read: \(error)")
        }
    }

    static func encode(_ write: (inout JSONWriter) -> Void) -> [UInt8] {
        var writer = JSONWriter()
        write(&writer)
        return writer.bytes
    }
}

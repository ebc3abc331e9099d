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
    /// `spec` as `AllocateServiceIPs` was asked, in canonical form: what a retry is known by.
    let request: [UInt8]
    let uid: String

    init(_ service: Service, version: UInt64, document: [UInt8], request: [UInt8]) {
        namespace = service.metadata.namespace
        name = service.metadata.name
        key = Self.key(namespace, name)
        uid = service.metadata.uid ?? ""
        self.version = version
        self.document = document
        self.request = request
    }

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
    let pods = Mutex(PodTable())
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

    func listedPods() -> [StoredPod] { pods.withLock { $0.all } }
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

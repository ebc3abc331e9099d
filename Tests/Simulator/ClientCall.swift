import Addressing
import IPAM
import Ledger
import TandemAPI
import TestSupport

/// An object as the ledger knows it.
struct ObjectKey: Hashable, Sendable {
    var kind: ObjectKind
    var key: String
}

/// What the clients ask for: few names in a small cluster, so that calls meet, and pools run full.
///
/// A name always asks for the same policy, and a container for the same node, so that what must come out is known.
struct ClientCall: Sendable {
    enum Act: Sendable {
        case allocate, update, release, look
    }

    var call: Call
    var act: Act
    var object: ObjectKey
    /// The node of a pod.
    var node: ObjectKey?

    static let cluster = ClusterConfiguration(
        serviceRanges: [CIDR("10.96.0.0/28")!, CIDR("fd00:10:96::/124")!],
        clusterCIDRs: [CIDR("10.244.0.0/26")!, CIDR("fd00:10:244::/62")!],
        loadBalancerRanges: [CIDR("192.0.2.0/29")!, CIDR("2001:db8::/125")!],
        nodeMaskSizeIPv4: 28, nodeMaskSizeIPv6: 64)

    static let policies = ["SingleStack", "PreferDualStack", "RequireDualStack"]
    static let serviceCount = 18
    static let nodeCount = 5
    static let containerCount = 72

    /// How many cluster IPs the Service of a key holds.
    static func clusterIPs(of key: String) -> Int {
        key.utf8.last.map { (Int($0) - 97) % policies.count == 0 ? 1 : 2 } ?? 0
    }

    private static let metadata: [ObjectMeta] = (0..<serviceCount).map { index in
        ObjectMeta(namespace: "default", name: "service-\(Character(Unicode.Scalar(UInt8(97 + index))))")
    }
    /// By policy; ClusterIP, then LoadBalancer.
    private static let specs: [[ServiceSpec]] = policies.map { policy in
        ["ClusterIP", "LoadBalancer"].map { type in
            var spec = ServiceSpec()
            spec.type = type
            spec.ipFamilyPolicy = policy
            return spec
        }
    }
    private static let nodes = (0..<nodeCount).map { ObjectMeta(name: "node-\($0)") }
    private static let containers = (0..<containerCount).map { "container-\($0)" }
    private static let pods = (0..<containerCount).map { ObjectMeta(namespace: "default", name: "pod-\($0)") }
    private static let serviceKeys = metadata.map { ObjectKey(kind: .service, key: "default/\($0.name)") }
    private static let nodeKeys = nodes.map { ObjectKey(kind: .node, key: $0.name) }
    private static let podKeys = containers.map { ObjectKey(kind: .pod, key: "container/\($0)/eth0") }

    static func random(_ generator: inout SeededGenerator) -> ClientCall {
        let chance = generator.next()
        switch chance % 16 {
        case 0...7: return service(Int(chance >> 8 % UInt64(serviceCount)), chance >> 32)
        case 8...14: return pod(Int(chance >> 8 % UInt64(containerCount)), chance >> 32)
        default: return node(Int(chance >> 8 % UInt64(nodeCount)), chance >> 32)
        }
    }

    private static func service(_ index: Int, _ chance: UInt64) -> ClientCall {
        let index = index % serviceCount
        let specs = specs[index % policies.count]
        let meta = metadata[index]
        let object = serviceKeys[index]
        switch chance % 16 {
        case 0...6:
            let asked = Service(metadata: meta, spec: specs[index / policies.count % 2])
            return ClientCall(
                call: Call(.allocateServiceIPs, .allocateServiceIPs(asked)), act: .allocate, object: object)
        case 7...10:
            let asked = Service(metadata: meta, spec: specs[Int(chance >> 8 & 1)])
            return ClientCall(call: Call(.updateServiceIPs, .updateServiceIPs(asked)), act: .update, object: object)
        case 11: return ClientCall(call: Call(.getService, .getService(meta)), act: .look, object: object)
        default: return ClientCall(call: Call(.release, .release(.service(meta))), act: .release, object: object)
        }
    }

    private static func pod(_ index: Int, _ chance: UInt64) -> ClientCall {
        let index = index % containerCount
        let node = index % nodeCount
        let (object, nodeKey) = (podKeys[index], nodeKeys[node])
        switch chance % 16 {
        case 0...8:
            let request = PodRequest(
                pod: Pod(metadata: pods[index], nodeName: nodes[node].name),
                attachment: Attachment(containerID: containers[index]))
            return ClientCall(
                call: Call(.allocatePodIPs, .allocatePodIPs(request)), act: .allocate, object: object, node: nodeKey)
        default:
            // Each pod has a name of its own.
            let target: Release =
                chance >> 8 & 1 == 0
                ? .attachment(containerID: containers[index], ifName: nil) : .pod(pods[index])
            return ClientCall(
                call: Call(.release, .release(target)), act: .release, object: object, node: nodeKey)
        }
    }

    private static func node(_ index: Int, _ chance: UInt64) -> ClientCall {
        let index = index % nodeCount
        let object = nodeKeys[index]
        switch chance % 16 {
        case 0...7:
            return ClientCall(
                call: Call(.allocateNodeCIDRs, .allocateNodeCIDRs(Node(metadata: nodes[index]))), act: .allocate,
                object: object)
        default:
            let target = Release.node(nodes[index], force: chance >> 8 & 7 == 0)
            return ClientCall(call: Call(.release, .release(target)), act: .release, object: object)
        }
    }

    /// The node that a pod's key is on.
    static func node(ofPod key: String) -> ObjectKey? {
        podKeys.firstIndex { $0.key == key }.map { nodeKeys[$0 % nodeCount] }
    }
}

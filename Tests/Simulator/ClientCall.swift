import Addressing
import IPAM
import Ledger
import TandemAPI
import TestSupport

/// The calls of the clients: few names in a small cluster, so that calls meet, and pools run full.
///
/// A name always asks for the same policy, and a container for the same node, so that the expected outcome is known.
struct ClientCall: Sendable {
    enum Act: Sendable {
        case allocate, update, release, look
    }

    var call: Call
    var act: Act
    var object: ObjectKey
    /// The node of a pod.
    var node: ObjectKey?
    /// The one incarnation that a release names.
    var uid: String?
    /// A node's release that takes its pods along.
    var isForced = false

    static let policies = ["SingleStack", "PreferDualStack", "RequireDualStack"]
    static let serviceCount = 18
    static let nodeCount = 5
    static let containerCount = 72

    private static let metadata: [ObjectMeta] = (0..<serviceCount).map { index in
        ObjectMeta(namespace: "default", name: "service-\(Character(Unicode.Scalar(UInt8(97 + index))))")
    }
    /// By policy; ClusterIP, then LoadBalancer, with a node port for its port and one for its health checks where they are handed out.
    private static let specs: [[ServiceSpec]] = policies.map { policy in
        ["ClusterIP", "LoadBalancer"].map { type in
            var spec = ServiceSpec()
            spec.type = Written(type)
            spec.ipFamilyPolicy = Written(policy)
            spec.ports = ports
            spec.others["externalTrafficPolicy"] = type == "LoadBalancer" ? JSONValue.string("Local").text : nil
            return spec
        }
    }
    private static let ports = try? JSONReader.read(Array(#"[{"port":80}]"#.utf8)) { reader throws(JSONError) in
        try ServicePorts(from: &reader)
    }
    private static let nodes = (0..<nodeCount).map { ObjectMeta(name: "node-\($0)") }
    private static let containers = (0..<containerCount).map { "container-\($0)" }
    private static let pods = (0..<containerCount).map { ObjectMeta(namespace: "default", name: "pod-\($0)") }
    private static let serviceKeys = metadata.map { ObjectKey(.service, "default/\($0.name)") }
    private static let nodeKeys = nodes.map { ObjectKey(.node, $0.name) }
    private static let podKeys = (0..<containerCount).map { index in
        ObjectKey(.pod, "@\(nodes[index % nodeCount].name)/container/\(containers[index])/eth0")
    }

    /// `uid` is the one that the client saw last of an object.
    static func random(_ generator: inout SeededGenerator, uid: (ObjectKey) -> String?) -> ClientCall {
        let chance = generator.next()
        var asked: ClientCall
        switch chance % 16 {
        case 0...7: asked = service(Int(chance >> 8 % UInt64(serviceCount)), chance >> 32, uid)
        case 8...14: asked = pod(Int(chance >> 8 % UInt64(containerCount)), chance >> 32, uid)
        default: asked = node(Int(chance >> 8 % UInt64(nodeCount)), chance >> 32, uid)
        }
        if chance >> 56 < 8, asked.act != .look { asked.call.isDryRun = true }
        return asked
    }

    /// A look at one object, as clients see it.
    static func look(at key: ObjectKey) -> ClientCall? {
        switch key.kind {
        case .service:
            serviceKeys.firstIndex(of: key).map {
                ClientCall(call: Call(.getService, .getService(metadata[$0])), act: .look, object: key)
            }
        case .node:
            nodeKeys.firstIndex(of: key).map {
                ClientCall(call: Call(.getNode, .getNode(nodes[$0])), act: .look, object: key)
            }
        case .pod:
            podKeys.firstIndex(of: key).map {
                ClientCall(call: Call(.getPod, .getPod(pods[$0], nodeName: nil)), act: .look, object: key)
            }
        case .cooling: nil
        }
    }

    static let all: [ObjectKey] = serviceKeys + nodeKeys + podKeys

    private static func service(_ index: Int, _ chance: UInt64, _ uid: (ObjectKey) -> String?) -> ClientCall {
        let index = index % serviceCount
        let specs = specs[index % policies.count]
        var meta = metadata[index]
        let object = serviceKeys[index]
        switch chance % 16 {
        case 0...6:
            let asked = Service(metadata: meta, spec: specs[index / policies.count % 2])
            return ClientCall(
                call: Call(.allocateServiceIPs, .allocateServiceIPs(asked)), act: .allocate, object: object)
        case 7...9:
            let asked = Service(metadata: meta, spec: specs[Int(chance >> 8 & 1)])
            return ClientCall(call: Call(.updateServiceIPs, .updateServiceIPs(asked)), act: .update, object: object)
        case 10...11: return ClientCall(call: Call(.getService, .getService(meta)), act: .look, object: object)
        default:
            meta.uid = chance >> 8 & 1 == 0 ? uid(object).map { Written($0) } : nil
            return ClientCall(
                call: Call(.release, .release(.service(meta))), act: .release, object: object,
                uid: meta.uid?.description)
        }
    }

    private static func pod(_ index: Int, _ chance: UInt64, _ uid: (ObjectKey) -> String?) -> ClientCall {
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
        case 9:
            return ClientCall(call: Call(.getPod, .getPod(pods[index], nodeName: nil)), act: .look, object: object)
        default:
            // Each pod has a name of its own.
            var meta = pods[index]
            var target: Release
            switch chance >> 8 & 3 {
            case 0: target = .attachment(ReleasedAttachment(containerID: containers[index]))
            case 1:
                target = .attachment(
                    ReleasedAttachment(containerID: containers[index], ifName: "eth0", nodeName: nodes[node].name))
            case 2:
                meta.uid = uid(object).map { Written($0) }
                target = .pod(meta, nodeName: nil)
            default: target = .pod(meta, nodeName: nodes[node].name)
            }
            return ClientCall(
                call: Call(.release, .release(target)), act: .release, object: object, node: nodeKey,
                uid: meta.uid?.description)
        }
    }

    private static func node(_ index: Int, _ chance: UInt64, _ uid: (ObjectKey) -> String?) -> ClientCall {
        let index = index % nodeCount
        let object = nodeKeys[index]
        switch chance % 16 {
        case 0...6:
            return ClientCall(
                call: Call(.allocateNodeCIDRs, .allocateNodeCIDRs(Node(metadata: nodes[index]))), act: .allocate,
                object: object)
        case 7: return ClientCall(call: Call(.getNode, .getNode(nodes[index])), act: .look, object: object)
        default:
            let isForced = chance >> 8 & 3 == 0
            var meta = nodes[index]
            meta.uid = chance >> 16 & 3 == 0 ? uid(object).map { Written($0) } : nil
            return ClientCall(
                call: Call(.release, .release(.node(meta, force: isForced))), act: .release, object: object,
                uid: meta.uid?.description, isForced: isForced)
        }
    }

    /// The node that a pod's key is on.
    static func node(ofPod key: String) -> ObjectKey? {
        podKeys.firstIndex { $0.key == key }.map { nodeKeys[$0 % nodeCount] }
    }
}

extension ClientCall {
    /// The policy that the Service of a key asks for.
    static func policy(of key: String) -> String {
        policies[key.utf8.last.map { (Int($0) - 97) % policies.count } ?? 0]
    }

    /// Flags of servers: the first is the usual one; the others have its ranges exchanged, shrunk, moved, widened, with other masks, of
    /// one family, and cut into several. Node ports are few, and with some servers others or none.
    static let clusters: [ClusterConfiguration] = [
        cluster("10.96.0.0/28,fd00:10:96::/124", "10.244.0.0/26,fd00:10:244::/62", "192.0.2.0/29,2001:db8::/125"),
        cluster(
            "192.0.2.0/29,2001:db8::/125", "10.244.0.0/26,fd00:10:244::/62", "10.96.0.0/28,fd00:10:96::/124",
            ports: 30_004...30_015),
        cluster(
            "10.244.0.0/26,fd00:10:244::/62", "10.96.0.0/28,fd00:10:96::/124", "192.0.2.0/29,2001:db8::/125", 29, 125),
        cluster("10.96.0.0/29,fd00:10:96::/125", "10.244.0.0/27,fd00:10:244::/63", "192.0.2.0/30,2001:db8::/126"),
        cluster("10.97.0.0/28,fd00:10:97::/124", "10.245.0.0/26,fd00:10:245::/62", "192.0.2.0/29,2001:db8::/125"),
        cluster(
            "10.96.0.0/28,fd00:10:96::/124", "10.244.0.0/26,fd00:10:244::/62", "192.0.2.0/29,2001:db8::/125", 29, 66),
        cluster(
            "10.96.0.0/28,fd00:10:96::/124", "10.244.0.0/25,fd00:10:244::/60", "192.0.2.0/29,2001:db8::/125", 27, 62),
        cluster("fd00:10:96::/124", "fd00:10:244::/62", "2001:db8::/125", ports: nil),
        cluster(
            "fd00:10:96::/124,10.96.0.0/28", "fd00:10:244::/62,10.244.0.32/27,10.244.0.0/27",
            "192.0.2.0-192.0.2.4,192.0.2.5/32,192.0.2.6-192.0.2.7,2001:db8::1-2001:db8::6"),
    ]

    private static func cluster(
        _ services: String, _ nodes: String, _ loadBalancers: String, _ mask4: Int = 28, _ mask6: Int = 64,
        ports: ClosedRange<UInt16>? = 30_000...30_009
    ) -> ClusterConfiguration {
        func ranges<Range: LosslessStringConvertible>(_ text: String) -> [Range] {
            text.split(separator: ",").map { Range(String($0))! }
        }
        return ClusterConfiguration(
            serviceRanges: ranges(services), clusterCIDRs: ranges(nodes), loadBalancerRanges: ranges(loadBalancers),
            nodePortRange: ports, nodeMaskSizeIPv4: mask4, nodeMaskSizeIPv6: mask6)
    }
}

public import Addressing
public import TandemAPI

// One function for each method that gives, takes or finds addresses. All throw as `call` does: an `APIError` where the server refuses the
// call, else a `ClientError`. Each may be repeated: the second answer is the first one's, with `isReplayed`.

/// The addresses of a Service.
public struct ServiceAnswer: Sendable {
    /// As it is stored: `spec.clusterIPs` and, of a load balancer, `status.ingress` are its addresses.
    public var service: Service
    /// Addresses that an update gave back.
    public var released: [IPAddress]
    public var isReplayed: Bool
}

/// The addresses of a pod, and the facts that its node's plugin needs beside them.
public struct PodAnswer: Sendable {
    public var pod: Pod
    /// One of each family that the pod has.
    public var addresses: [IPAddress]
    public var nodeName: String
    public var podCIDRs: [CIDR]
    /// In the order of `podCIDRs`.
    public var gateways: [IPAddress]
    public var isReplayed: Bool
}

/// The pod CIDRs of a node.
public struct NodeAnswer: Sendable {
    public var node: Node
    public var podCIDRs: [CIDR]
    public var isReplayed: Bool
}

/// The object to release, with all its addresses.
public enum ReleaseTarget: Sendable {
    case service(namespace: String, name: String, uid: String? = nil)
    /// On all nodes that have such a pod, where none is named.
    case pod(namespace: String, name: String, uid: String? = nil, nodeName: String? = nil)
    /// One interface of a container, or all of them.
    case attachment(containerID: String, ifName: String? = nil, nodeName: String? = nil)
    /// Refused while pods hold addresses of it, unless it is forced.
    case node(name: String, uid: String? = nil, isForced: Bool = false)
}

extension TandemClient {
    /// Gives a Service its cluster IPs, load-balancer addresses and node ports, by the rules of kube-apiserver for a new one.
    public func allocateServiceIPs(_ service: Service, isDryRun: Bool = false) async throws -> ServiceAnswer {
        try await serviceAnswer(.allocateServiceIPs, service, isDryRun)
    }

    /// Changes a Service as an update of kube-apiserver does. With `metadata.resourceVersion` it is refused where the stored one differs.
    public func updateServiceIPs(_ service: Service, isDryRun: Bool = false) async throws -> ServiceAnswer {
        try await serviceAnswer(.updateServiceIPs, service, isDryRun)
    }

    /// Gives a node a pod CIDR of each family that the cluster has.
    public func allocateNodeCIDRs(_ node: Node, isDryRun: Bool = false) async throws -> NodeAnswer {
        let params = JSONValue(writing: node.write).params("node", isDryRun)
        let result = try await call(.allocateNodeCIDRs, params)
        let node = try result.decoded("node", Node.init)
        return NodeAnswer(
            node: node, podCIDRs: node.podCIDRs.compactMap { $0.value ?? CIDR($0.description) },
            isReplayed: result["replayed"] == true)
    }

    /// Gives a pod an address of each family, or of those that are named, from its node's pod CIDRs. The pod names its node; a node
    /// that has none gets its CIDRs with it.
    public func allocatePodIPs(
        _ pod: Pod, attachment: Attachment? = nil, families: [IPFamily] = [], isDryRun: Bool = false
    ) async throws -> PodAnswer {
        var params = JSONValue(writing: pod.write).params("pod", isDryRun)
        if let attachment {
            params["attachment"] = [
                "containerID": .string(attachment.containerID), "ifName": .string(attachment.ifName),
            ]
        }
        if !families.isEmpty { params["ipFamilies"] = .array(families.map { .string($0.description) }) }
        let result = try await call(.allocatePodIPs, params)
        let pod = try result.decoded("pod", Pod.init)
        let node = result["node"]
        return PodAnswer(
            pod: pod, addresses: pod.podIPs.compactMap { $0.value ?? IPAddress($0.description) },
            nodeName: node?["name"]?.stringValue ?? "",
            podCIDRs: (node?["podCIDRs"]).texts.compactMap { CIDR($0) },
            gateways: (node?["gateways"]).texts.compactMap { IPAddress($0) }, isReplayed: result["replayed"] == true)
    }

    /// NOT_FOUND where there is none.
    public func service(_ name: String, namespace: String = "default") async throws -> Service {
        let service = Service(metadata: ObjectMeta(namespace: namespace, name: name))
        return try await call(.getService, ["service": JSONValue(writing: service.write)])
            .decoded("service", Service.init)
    }

    /// NOT_FOUND where there is none.
    public func node(_ name: String) async throws -> Node {
        let node = Node(metadata: ObjectMeta(name: name))
        return try await call(.getNode, ["node": JSONValue(writing: node.write)]).decoded("node", Node.init)
    }

    /// The newest of the name, or the one on the node. NOT_FOUND where there is none.
    public func pod(_ name: String, namespace: String = "default", nodeName: String = "") async throws -> Pod {
        let pod = Pod(metadata: ObjectMeta(namespace: namespace, name: name), nodeName: nodeName)
        return try await call(.getPod, ["pod": JSONValue(writing: pod.write)]).decoded("pod", Pod.init)
    }

    /// All of them, or those of a namespace, page by page.
    public func services(namespace: String? = nil) async throws -> [Service] {
        try await list(.listServices, namespace: namespace).map { try $0.decoded(Service.init) }
    }

    /// All of them, page by page.
    public func nodes() async throws -> [Node] { try await list(.listNodes).map { try $0.decoded(Node.init) } }

    /// All of them, or those of a namespace or node, page by page.
    public func pods(namespace: String? = nil, nodeName: String? = nil) async throws -> [Pod] {
        try await list(.listPods, namespace: namespace, nodeName: nodeName).map { try $0.decoded(Pod.init) }
    }

    /// Gives back everything that the target holds; empty where it holds nothing, which is no error. Of a great many the answer names
    /// the first ones.
    @discardableResult
    public func release(_ target: ReleaseTarget, isDryRun: Bool = false) async throws -> [Released] {
        var params = target.params
        if isDryRun { params["dryRun"] = true }
        let result = try await call(.release, params)
        return try (result["released"]?.arrayValue ?? []).map { item in
            guard let owner = Owner(item["owner"]) else { throw ClientError.malformedAnswer("an owner is missing") }
            if let address = item["ip"]?.stringValue.flatMap({ IPAddress($0) }) {
                return Released(.address(address), owner: owner)
            }
            guard let subnet = item["cidr"]?.stringValue.flatMap({ CIDR($0) }) else {
                throw ClientError.malformedAnswer("a released entry has neither ip nor cidr")
            }
            return Released(.subnet(subnet), owner: owner)
        }
    }

    /// The owner of an address.
    public func holder(of address: IPAddress) async throws -> AddressStatus {
        let result = try await call(.lookupIP, ["ip": .string(address.description)])
        guard let state = result["state"]?.stringValue.flatMap(AddressStatus.State.init) else {
            throw ClientError.malformedAnswer("an address has no state")
        }
        return AddressStatus(
            address, pool: result["pool"]?.stringValue, state: state, owner: Owner(result["owner"]))
    }

    private func serviceAnswer(_ method: Method, _ service: Service, _ isDryRun: Bool) async throws -> ServiceAnswer {
        let result = try await call(method, JSONValue(writing: service.write).params("service", isDryRun))
        return ServiceAnswer(
            service: try result.decoded("service", Service.init),
            released: result["released"].texts.compactMap { IPAddress($0) }, isReplayed: result["replayed"] == true)
    }
}

extension ReleaseTarget {
    fileprivate var params: JSONValue {
        func metadata(_ namespace: String?, _ name: String, _ uid: String?) -> JSONValue {
            var metadata: JSONValue = ["name": .string(name)]
            if let namespace { metadata["namespace"] = .string(namespace) }
            if let uid { metadata["uid"] = .string(uid) }
            return ["metadata": metadata]
        }
        switch self {
        case .service(let namespace, let name, let uid): return ["service": metadata(namespace, name, uid)]
        case .pod(let namespace, let name, let uid, let nodeName):
            var pod = metadata(namespace, name, uid)
            if let nodeName { pod["spec"] = ["nodeName": .string(nodeName)] }
            return ["pod": pod]
        case .attachment(let containerID, let ifName, let nodeName):
            var attachment: JSONValue = ["containerID": .string(containerID)]
            if let ifName { attachment["ifName"] = .string(ifName) }
            if let nodeName { attachment["nodeName"] = .string(nodeName) }
            return ["attachment": attachment]
        case .node(let name, let uid, let isForced):
            var params: JSONValue = ["node": metadata(nil, name, uid)]
            if isForced { params["force"] = true }
            return params
        }
    }
}

extension Owner {
    fileprivate init?(_ json: JSONValue?) {
        guard let json, let kind = json["kind"]?.stringValue.flatMap(ObjectKind.init),
            let name = json["name"]?.stringValue
        else { return nil }
        self.init(
            kind, namespace: json["namespace"]?.stringValue ?? "", name: name, uid: json["uid"]?.stringValue ?? "")
    }
}

extension JSONValue? {
    fileprivate var texts: [String] { (self?.arrayValue ?? []).compactMap(\.stringValue) }
}

extension JSONValue {
    fileprivate init(writing write: (inout JSONWriter) -> Void) {
        var writer = JSONWriter()
        write(&writer)
        // The writer's output is JSON.
        self = (try? JSONValue(parsing: writer.bytes)) ?? .null
    }

    fileprivate func params(_ name: String, _ isDryRun: Bool) -> JSONValue {
        var params: JSONValue = [:]
        params[name] = self
        if isDryRun { params["dryRun"] = true }
        return params
    }

    fileprivate func decoded<Value>(
        _ name: String, _ read: (inout JSONReader) throws(JSONError) -> Value
    ) throws -> Value {
        guard let value = self[name] else { throw ClientError.malformedAnswer("\(name) is missing") }
        return try value.decoded(read)
    }

    fileprivate func decoded<Value>(_ read: (inout JSONReader) throws(JSONError) -> Value) throws -> Value {
        try text.bytes.withUnsafeBytes { bytes in
            var reader = JSONReader(bytes)
            do throws(JSONError) {
                return try read(&reader)
            } catch {
                throw ClientError.malformedAnswer("\(error.message)")
            }
        }
    }
}

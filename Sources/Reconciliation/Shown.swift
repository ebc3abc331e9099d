import Addressing
public import TandemAPI

/// A Node as the cluster shows it.
public struct ShownNode: Sendable, Hashable {
    public var name: String
    public var uid: String
    /// As they are written canonically, in order.
    public var podCIDRs: [String]
    public var isDeleting: Bool

    public init(name: String, uid: String, podCIDRs: [String] = [], isDeleting: Bool = false) {
        self.name = name
        self.uid = uid
        self.podCIDRs = podCIDRs
        self.isDeleting = isDeleting
    }

    /// nil where it has no name or no uid, as no object of a cluster lacks.
    public init?(_ object: JSONValue) {
        guard let name = object.name, let uid = object.uid else { return nil }
        self.init(name: name, uid: uid, podCIDRs: object.podCIDRs, isDeleting: object.isDeleting)
    }
}

/// A Service as the cluster shows it: the members that bear on a load balancer's addresses.
public struct ShownService: Sendable, Hashable {
    public var namespace: String
    public var name: String
    public var uid: String
    public var resourceVersion: String
    public var isDeleting: Bool
    public var finalizers: [String]
    /// The annotations that ask for addresses.
    public var annotations: [String: String]
    public var spec: JSONValue
    /// `status.loadBalancer.ingress` as it is.
    public var ingress: [JSONValue]

    public init(
        namespace: String, name: String, uid: String, resourceVersion: String = "", isDeleting: Bool = false,
        finalizers: [String] = [], annotations: [String: String] = [:], spec: JSONValue, ingress: [JSONValue] = []
    ) {
        self.namespace = namespace
        self.name = name
        self.uid = uid
        self.resourceVersion = resourceVersion
        self.isDeleting = isDeleting
        self.finalizers = finalizers
        self.annotations = annotations
        self.spec = spec
        self.ingress = ingress
    }

    public init?(_ object: JSONValue) {
        guard let name = object.name, let uid = object.uid else { return nil }
        let metadata = object["metadata"]
        var annotations: [String: String] = [:]
        for name in Self.annotationNames { annotations[name] = metadata?["annotations"]?[name]?.stringValue }
        self.init(
            namespace: object.namespace, name: name, uid: uid,
            resourceVersion: metadata?["resourceVersion"]?.stringValue ?? "", isDeleting: object.isDeleting,
            finalizers: (metadata?["finalizers"]?.arrayValue ?? []).compactMap(\.stringValue),
            annotations: annotations, spec: object["spec"] ?? [:],
            ingress: object["status"]?["loadBalancer"]?["ingress"]?.arrayValue ?? [])
    }

    private static let annotationNames = ["metallb.io/loadBalancerIPs", "lbipam.cilium.io/ips"]

    public var isLoadBalancer: Bool { spec["type"] == "LoadBalancer" }

    public var loadBalancerClass: String? { spec["loadBalancerClass"]?.stringValue }

    /// The addresses of `ingress`, canonically.
    public var addresses: [String] { ingress.compactMap { $0["ip"]?.stringValue }.map(canonicalAddress) }

    /// The addresses that it asks for, by `spec.loadBalancerIP` or an annotation, canonically.
    public var asked: [String] {
        let lists = annotations.values + [spec["loadBalancerIP"]?.stringValue ?? ""]
        return lists.flatMap { $0.split { $0 == "," || $0.isWhitespace } }.map { canonicalAddress(String($0)) }
    }

    /// One of `ingress` is no address: another program's load balancer has a name.
    public var showsHostname: Bool { ingress.contains { $0["hostname"] != nil || $0["ip"] == nil } }

    /// How many addresses are asked for, where the Service says.
    var wantedFamilies: Int { spec["ipFamilies"]?.arrayValue?.count ?? 0 }
}

/// A Pod as the cluster shows it.
public struct ShownPod: Sendable, Hashable {
    public var namespace: String
    public var name: String
    public var uid: String
    /// `kubernetes.io/config.hash`: of a static pod's mirror, the uid that its runtime is given.
    public var configHash: String?
    public var nodeName: String
    public var addresses: [String]
    public var isDeleting: Bool
    public var usesHostNetwork: Bool
    /// It succeeded or failed: its addresses are free.
    public var isOver: Bool

    public init(
        namespace: String, name: String, uid: String, configHash: String? = nil, nodeName: String = "",
        addresses: [String] = [], isDeleting: Bool = false, usesHostNetwork: Bool = false, isOver: Bool = false
    ) {
        self.namespace = namespace
        self.name = name
        self.uid = uid
        self.configHash = configHash
        self.nodeName = nodeName
        self.addresses = addresses
        self.isDeleting = isDeleting
        self.usesHostNetwork = usesHostNetwork
        self.isOver = isOver
    }

    public init?(_ object: JSONValue) {
        guard let name = object.name, let uid = object.uid else { return nil }
        self.init(
            namespace: object.namespace, name: name, uid: uid,
            configHash: object["metadata"]?["annotations"]?["kubernetes.io/config.hash"]?.stringValue,
            nodeName: object["spec"]?["nodeName"]?.stringValue ?? "", addresses: object.podIPs,
            isDeleting: object.isDeleting, usesHostNetwork: object["spec"]?["hostNetwork"] == true,
            isOver: ["Succeeded", "Failed"].contains(object["status"]?["phase"]?.stringValue))
    }

    /// Whether Tandem's record of that uid is of this pod.
    public func isKnown(as uid: String) -> Bool { uid == self.uid || uid == configHash }
}

func canonicalAddress(_ text: String) -> String { IPAddress(zeroPadded: text)?.description ?? text }

func canonicalCIDR(_ text: String) -> String { CIDR(text)?.description ?? text }

extension JSONValue {
    var name: String? { self["metadata"]?["name"]?.nonEmptyString }
    var uid: String? { self["metadata"]?["uid"]?.nonEmptyString }
    var namespace: String { self["metadata"]?["namespace"]?.nonEmptyString ?? "default" }
    fileprivate var isDeleting: Bool { self["metadata"]?["deletionTimestamp"]?.nonEmptyString != nil }

    var podCIDRs: [String] {
        let list = (self["spec"]?["podCIDRs"]?.arrayValue ?? []).compactMap(\.stringValue)
        return (list.isEmpty ? [self["spec"]?["podCIDR"]?.nonEmptyString].compactMap { $0 } : list).map(canonicalCIDR)
    }

    var podIPs: [String] {
        let list = (self["status"]?["podIPs"]?.arrayValue ?? []).compactMap { $0["ip"]?.stringValue }
        return (list.isEmpty ? [self["status"]?["podIP"]?.nonEmptyString].compactMap { $0 } : list)
            .map(canonicalAddress)
    }

    private var nonEmptyString: String? { stringValue.flatMap { $0.isEmpty ? nil : $0 } }
}

public import TandemAPI

/// A Node as Tandem has it.
public struct HeldNode: Sendable, Hashable {
    public var uid: String
    /// Tandem made the uid: no cluster has named it yet.
    public var isUIDMade: Bool
    public var podCIDRs: [String]

    public init(uid: String, isUIDMade: Bool = false, podCIDRs: [String]) {
        self.uid = uid
        self.isUIDMade = isUIDMade
        self.podCIDRs = podCIDRs
    }

    public init?(_ object: JSONValue, isUIDMade: Bool = false) {
        guard let uid = object.uid else { return nil }
        self.init(uid: uid, isUIDMade: isUIDMade, podCIDRs: object.podCIDRs)
    }

    /// The addresses that a cluster can show: the first of each family.
    var shownCIDRs: [String] {
        var seen: Set<Bool> = []
        return podCIDRs.filter { seen.insert($0.contains(":")).inserted }
    }

    /// Of families of which the cluster shows none, though it shows the node's CIDRs: it lets them not grow.
    public func cidrs(beyond shown: ShownNode) -> [String] {
        guard !shown.podCIDRs.isEmpty else { return [] }
        return shownCIDRs.filter { cidr in !shown.podCIDRs.contains { $0.contains(":") == cidr.contains(":") } }
    }
}

/// A Service as Tandem has it.
public struct HeldService: Sendable, Hashable {
    public var uid: String
    /// The load balancer's addresses, in order.
    public var addresses: [String]
    /// This controller put it there: it is this controller's to take away.
    public var isManaged: Bool

    public init(uid: String, addresses: [String], isManaged: Bool = true) {
        self.uid = uid
        self.addresses = addresses
        self.isManaged = isManaged
    }

    public init?(_ object: JSONValue) {
        guard let uid = object.uid else { return nil }
        let ingress = object["status"]?["loadBalancer"]?["ingress"]?.arrayValue ?? []
        self.init(
            uid: uid, addresses: ingress.compactMap { $0["ip"]?.stringValue }.map(canonicalAddress),
            isManaged: object["metadata"]?["labels"]?[Self.managerLabel]?.stringValue == Self.manager)
    }

    static let managerLabel = "app.kubernetes.io/managed-by"
    static let manager = "tandem-controller"
}

/// One record of a Pod in Tandem: a pod with several interfaces has several.
public struct HeldPod: Sendable, Hashable {
    public var namespace: String
    public var name: String
    public var uid: String
    /// Tandem made the uid, as the pod's runtime gave none: it does not tell whether the pod lives.
    public var isUIDMade: Bool
    /// Its runtime asked for the addresses, by container and interface.
    public var isAttached: Bool
    public var nodeName: String
    public var addresses: [String]

    public init(
        namespace: String, name: String, uid: String, isUIDMade: Bool = false, isAttached: Bool = false,
        nodeName: String, addresses: [String]
    ) {
        self.isAttached = isAttached
        self.namespace = namespace
        self.name = name
        self.uid = uid
        self.isUIDMade = isUIDMade
        self.nodeName = nodeName
        self.addresses = addresses
    }

    public init?(_ object: JSONValue, isUIDMade: Bool = false) {
        guard let name = object.name, let uid = object.uid else { return nil }
        self.init(
            namespace: object.namespace, name: name, uid: uid, isUIDMade: isUIDMade,
            isAttached: object["attachment"] != nil, nodeName: object["spec"]?["nodeName"]?.stringValue ?? "",
            addresses: object.podIPs)
    }
}

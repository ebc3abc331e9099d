public import Addressing

/// One call, decoded and of the right shape; whether its contents are right is for the rules to judge.
public struct Call: Sendable {
    /// Boxed: a call is handed on a dozen times, and an object is a score of references.
    public indirect enum Body: Sendable {
        case allocateServiceIPs(Service)
        case updateServiceIPs(Service)
        case getService(ObjectMeta)
        case listServices(ListQuery)
        case allocateNodeCIDRs(Node)
        case getNode(ObjectMeta)
        case listNodes(ListQuery)
        case allocatePodIPs(PodRequest)
        /// With a node, of that alone.
        case getPod(ObjectMeta, nodeName: String?)
        case listPods(ListQuery)
        case release(Release)
        case checkNode(ObjectMeta)
        case lookupIP(IPAddress)
        case listHolders(HolderQuery)
        case getPools(ListQuery)
        case getPoolMap(PoolMapQuery)
        case watch(WatchQuery)
        case unwatch(String)
        case discover
    }

    public var method: Method
    public var body: Body
    /// Of an Allocate… call: the object is taken in as it stands in a cluster.
    public var adoption: Adoption?
    /// Everything is decided and checked, nothing is kept.
    public var isDryRun = false
    /// How long the caller waits, in milliseconds, 1…600,000; nil for as long as it takes.
    public var timeoutMilliseconds: Int?

    public init(_ method: Method, _ body: Body) {
        self.method = method
        self.body = body
    }

    /// It would change the store.
    public var isChange: Bool { method.isChange && !isDryRun }
}

/// How an object is taken in that stands in a cluster already: all that it shows is claimed exactly, or the call refused.
public struct Adoption: Sendable, Hashable {
    /// Of a Node: its pod CIDRs may lie outside of the cluster's.
    public var allowsOutOfRange: Bool

    public init(allowsOutOfRange: Bool = false) { self.allowsOutOfRange = allowsOutOfRange }
}

/// The parameters of `AllocatePodIPs`.
public struct PodRequest: Sendable {
    public var pod: Pod
    public var attachment: Attachment?
    /// As they were written; nil for the families of the cluster.
    public var ipFamilies: WrittenList<IPFamily>?

    public init(pod: Pod, attachment: Attachment? = nil, ipFamilies: WrittenList<IPFamily>? = nil) {
        self.pod = pod
        self.attachment = attachment
        self.ipFamilies = ipFamilies
    }
}

/// The parameters of a `List…` call or `GetPools`.
public struct ListQuery: Sendable {
    /// Objects a page, 1…5000.
    public var limit = 500
    public var namespace: String?
    public var nodeName: String?
    /// Of `GetPools`.
    public var poolKind: PoolKind?
    /// Where the page before ended, as that page's answer gave it.
    public var continueToken: String?

    public init() {}

    public static let limits = 1...5000
}

/// The parameters of `LookupIP` by CIDR.
public struct HolderQuery: Sendable {
    public var cidr: CIDR
    /// Kinds of holders that the caller may see, Services and Pods among them.
    public var kinds = KindSet([.service, .pod])
    /// Addresses a page, 1…5000.
    public var limit = 500
    public var continueToken: String?

    public init(_ cidr: CIDR) { self.cidr = cidr }
}

/// The parameters of `GetPoolMap`.
public struct PoolMapQuery: Sendable {
    /// As `GetPools` names it.
    public var pool: String
    /// How many blocks the pool is cut into at most, 1…4096: as many as the next power of two of addresses a block makes of it.
    public var blocks = 256

    public init(_ pool: String) { self.pool = pool }

    public static let blockCounts = 1...4096
}

/// The object of `Release`.
public enum Release: Sendable {
    case service(ObjectMeta)
    /// Without a node: on all that have pods of the name.
    case pod(ObjectMeta, nodeName: String?)
    case attachment(ReleasedAttachment)
    /// With `force`, its pods as well.
    case node(ObjectMeta, force: Bool)
}

/// The attachments that `Release` gives back.
public struct ReleasedAttachment: Sendable, Hashable {
    public var containerID: String
    /// nil for all of the container's interfaces.
    public var ifName: String?
    /// nil for all nodes that have such a container.
    public var nodeName: String?
    /// Where the node holds nothing of the attachment: the pod whose allocation for the interface goes if it has no attachment.
    /// Needs both `ifName` and `nodeName`.
    public var podUID: String?

    public init(containerID: String, ifName: String? = nil, nodeName: String? = nil, podUID: String? = nil) {
        self.containerID = containerID
        self.ifName = ifName
        self.nodeName = nodeName
        self.podUID = podUID
    }
}

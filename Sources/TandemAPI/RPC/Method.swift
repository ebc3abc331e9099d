/// The methods of the contract. Decoding, authorisation and the OpenRPC document all go by this one list.
public enum Method: String, Sendable, CaseIterable {
    case allocateServiceIPs = "AllocateServiceIPs"
    case updateServiceIPs = "UpdateServiceIPs"
    case getService = "GetService"
    case listServices = "ListServices"
    case allocateNodeCIDRs = "AllocateNodeCIDRs"
    case getNode = "GetNode"
    case listNodes = "ListNodes"
    case allocatePodIPs = "AllocatePodIPs"
    case getPod = "GetPod"
    case listPods = "ListPods"
    case release = "Release"
    case checkNode = "CheckNode"
    case lookupIP = "LookupIP"
    case getPools = "GetPools"
    case getPoolMap = "GetPoolMap"
    case watch = "Watch"
    case unwatch = "Unwatch"
    case discover = "rpc.discover"
}

/// A member of `params`.
public enum Parameter: String, Sendable, CaseIterable {
    case service, node, pod, attachment, ipFamilies
    case namespace, nodeName, limit, kind
    case continueToken = "continue"
    case force, ip, cidr
    case pool, blocks
    case kinds, resourceVersion, subscription
    case adopt, outOfRange
    case dryRun, timeoutMs
}

extension Method {
    /// One sentence for the OpenRPC document.
    public var summary: String {
        switch self {
        case .allocateServiceIPs: "Gives a Service its cluster IPs and load-balancer addresses."
        case .updateServiceIPs: "Replaces a Service and gives or takes addresses as its families change."
        case .getService: "Returns one Service."
        case .listServices: "Returns Services, by namespace or all, page by page."
        case .allocateNodeCIDRs: "Gives a Node one pod CIDR per family of the cluster."
        case .getNode: "Returns one Node."
        case .listNodes: "Returns Nodes, page by page."
        case .allocatePodIPs: "Gives a Pod one address per family from its Node's pod CIDRs."
        case .getPod: "Returns one Pod."
        case .listPods: "Returns Pods, by namespace, by node or all, page by page."
        case .release: "Releases the addresses of one Service, Pod, attachment or Node."
        case .checkNode: "Says whether a Pod of the Node would get its addresses now, and how many are left."
        case .lookupIP:
            "Says which range an address lies in, its state and its owner; or which addresses of a CIDR are held, page by page."
        case .getPools: "Returns the ranges and how much of each is in use, by kind, by node or all, page by page."
        case .getPoolMap: "Counts allocated, cooling, reserved and free addresses in each of a pool's equal blocks."
        case .watch:
            "Reports each change of Services, Nodes and Pods, by notifications, from a version on or from the present objects."
        case .unwatch: "Ends one Watch."
        case .discover: "Returns this service's OpenRPC document."
        }
    }

    /// The members that `params` must have.
    public var required: [Parameter] {
        switch self {
        case .allocateServiceIPs, .updateServiceIPs, .getService: [.service]
        case .allocateNodeCIDRs, .getNode, .checkNode: [.node]
        case .allocatePodIPs, .getPod: [.pod]
        case .getPoolMap: [.pool]
        case .listServices, .listNodes, .listPods, .release, .lookupIP, .getPools, .watch, .discover: []
        case .unwatch: [.subscription]
        }
    }

    /// The members that `params` may have beside the required ones. `timeoutMs` goes with every call.
    public var optional: [Parameter] {
        switch self {
        case .allocateServiceIPs: [.adopt, .dryRun, .timeoutMs]
        case .updateServiceIPs: [.dryRun, .timeoutMs]
        case .allocateNodeCIDRs: [.adopt, .outOfRange, .dryRun, .timeoutMs]
        case .allocatePodIPs: [.attachment, .ipFamilies, .adopt, .dryRun, .timeoutMs]
        case .listServices: [.namespace, .limit, .continueToken, .timeoutMs]
        case .listNodes: [.limit, .continueToken, .timeoutMs]
        case .listPods: [.namespace, .nodeName, .limit, .continueToken, .timeoutMs]
        case .release: [.service, .pod, .attachment, .node, .force, .dryRun, .timeoutMs]
        case .getPools: [.kind, .nodeName, .limit, .continueToken, .timeoutMs]
        case .lookupIP: [.ip, .cidr, .limit, .continueToken, .timeoutMs]
        case .getPoolMap: [.blocks, .timeoutMs]
        case .watch: [.kinds, .namespace, .nodeName, .resourceVersion, .limit, .timeoutMs]
        case .getService, .getNode, .getPod, .checkNode, .unwatch, .discover: [.timeoutMs]
        }
    }

    /// A call of it changes the store, unless it is a dry run.
    public var isChange: Bool {
        switch self {
        case .allocateServiceIPs, .updateServiceIPs, .allocateNodeCIDRs, .allocatePodIPs, .release: true
        case .getService, .listServices, .getNode, .listNodes, .getPod, .listPods, .checkNode, .lookupIP, .getPools,
            .getPoolMap, .watch, .unwatch, .discover:
            false
        }
    }

    func takes(_ parameter: Parameter) -> Bool {
        required.contains(parameter) || optional.contains(parameter)
    }
}

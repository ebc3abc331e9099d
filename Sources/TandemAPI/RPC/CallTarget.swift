/// The object of a call, as far as rights depend on it.
public struct CallTarget: Sendable, Equatable {
    /// The kind of object that `Release` is to give back: several kinds where the request is wrong. Empty for all other methods.
    public var released: KindSet
    /// The node that is named, where the method is one that names it: by `node.metadata.name`, `pod.spec.nodeName`,
    /// `attachment.nodeName`, or `nodeName`.
    public var nodeName: String?
    /// A node or a pod is to be taken in as it stands in a cluster.
    public var isAdoption: Bool

    /// Of `Watch`: the objects that it may see.
    public var watched: KindSet
    /// Of `GetPoolMap`: the pool's name.
    public var pool: String?

    public init(
        released: KindSet = [], watched: KindSet = [], nodeName: String? = nil, isAdoption: Bool = false,
        pool: String? = nil
    ) {
        self.pool = pool
        self.released = released
        self.watched = watched
        self.nodeName = nodeName
        self.isAdoption = isAdoption
    }
}

extension Call {
    public var target: CallTarget {
        var target = bodyTarget
        target.isAdoption = adoption != nil && method != .allocateServiceIPs
        return target
    }

    private var bodyTarget: CallTarget {
        switch body {
        case .allocateNodeCIDRs(let node): CallTarget(nodeName: node.metadata.name)
        case .getNode(let metadata), .checkNode(let metadata): CallTarget(nodeName: metadata.name)
        case .allocatePodIPs(let request): CallTarget(nodeName: request.pod.nodeName)
        case .getPod(_, let node): CallTarget(nodeName: node)
        case .listPods(let query): CallTarget(nodeName: query.nodeName)
        case .release(.service): CallTarget(released: .service)
        case .release(.pod(_, let node)): CallTarget(released: .pod, nodeName: node)
        case .release(.attachment(let attachment)): CallTarget(released: .attachment, nodeName: attachment.nodeName)
        case .release(.node): CallTarget(released: .node)
        case .watch(let query): CallTarget(watched: query.kinds, nodeName: query.nodeName)
        case .getPoolMap(let query): CallTarget(pool: query.pool)
        case .allocateServiceIPs, .updateServiceIPs, .getService, .listServices, .listNodes, .lookupIP, .listHolders,
            .getPools, .unwatch, .discover:
            CallTarget()
        }
    }
}

extension CallTarget {
    /// Looks for it in `params`, where the reader stands: one member is read, all others are passed over, but for `adopt`. A part that is not
    /// found, since it is not there, or is no string, or the text is not JSON, is left empty. O(length).
    init(scanning params: JSONReader, of method: Method) {
        self.init()
        var reader = params
        switch method {
        case .allocateNodeCIDRs, .getNode, .checkNode: try? scan(["node", "metadata", "name"], &reader)
        case .allocatePodIPs, .getPod: try? scan(["pod", "spec", "nodeName"], &reader)
        case .listPods: try? scan(["nodeName"], &reader)
        case .release: try? scanKinds(&reader)
        case .watch: try? scanWatched(&reader)
        case .getPoolMap: try? scanPool(&reader)
        case .allocateServiceIPs, .updateServiceIPs, .getService, .listServices, .listNodes, .lookupIP,
            .getPools, .unwatch, .discover:
            break
        }
    }

    /// Of members that come twice the later one counts, as in decoding; null is none.
    private mutating func scan(
        _ path: ArraySlice<StaticString>, _ reader: inout JSONReader, isOutermost: Bool = true
    ) throws(JSONError) {
        guard let name = path.first else {
            if try reader.skipNull() { return }
            nodeName = nil
            nodeName = try reader.readString()
            return
        }
        guard try reader.peek() == .object else { return try reader.skipValue() }
        try reader.beginObject()
        var count = 0
        while let key = try reader.nextKey(&count) {
            if name ~= key {
                try scan(path.dropFirst(), &reader, isOutermost: false)
            } else if isOutermost, case "adopt" = key, try reader.peek() == .bool {
                isAdoption = try reader.readBool()
            } else {
                try reader.skipValue()
            }
        }
    }

    /// Without valid `kinds`, all of them.
    private mutating func scanWatched(_ reader: inout JSONReader) throws(JSONError) {
        watched = WatchQuery.allKinds
        try reader.beginObject()
        var count = 0
        while let key = try reader.nextKey(&count) {
            if try reader.skipNull() { continue }
            switch key {
            case "kinds": watched = try WatchQuery.readKinds(&reader)
            case "nodeName":
                nodeName = nil
                nodeName = try reader.readString()
            default: try reader.skipValue()
            }
        }
    }

    private mutating func scanPool(_ reader: inout JSONReader) throws(JSONError) {
        try reader.beginObject()
        var count = 0
        while let key = try reader.nextKey(&count) {
            guard "pool" ~= key, try !reader.skipNull() else {
                try reader.skipValue()
                continue
            }
            pool = nil
            pool = try reader.readString()
        }
    }

    private mutating func scanKinds(_ reader: inout JSONReader) throws(JSONError) {
        try reader.beginObject()
        var count = 0
        while let key = try reader.nextKey(&count) {
            let kind: KindSet =
                switch key {
                case "service": .service
                case "pod": .pod
                case "attachment": .attachment
                case "node": .node
                default: []
                }
            if try reader.skipNull() { continue }
            released.formUnion(kind)
            switch kind {
            case .pod: try scan(["spec", "nodeName"], &reader, isOutermost: false)
            case .attachment: try scan(["nodeName"], &reader, isOutermost: false)
            default: try reader.skipValue()
            }
        }
    }
}

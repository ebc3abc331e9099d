import Addressing

extension Call {
    /// Decodes `params`; `text` is one valid JSON object, or nil where the request has none.
    ///
    /// Throws JSON-RPC's -32602 with the path of the member that is wrong, unknown or missing.
    static func decode(_ method: Method, _ text: UnsafeRawBufferPointer?) throws(APIError) -> Call {
        var members = CallMembers()
        if let text {
            var reader = JSONReader(text)
            do throws(JSONError) {
                try members.read(&reader, for: method)
                try reader.checkMembers()
            } catch {
                // Names in it are the client's: the message is to be there whole behind them.
                let path = error.path(in: text).cut(toBytes: APIError.Cause.maximumTextBytes)
                throw .invalidParams((path.isEmpty ? "params" : "params.\(path)") + ": \(error.message)")
            }
        }
        return try members.call(of: method)
    }

    /// Decodes `params` where the reader stands; nil where anything is wrong, in form or meaning. The reader then stands
    /// somewhere after: to report the fault, the text is decoded again by itself.
    static func decode(_ method: Method, _ reader: inout JSONReader) -> Call? {
        var members = CallMembers()
        do {
            try members.read(&reader, for: method)
            try reader.checkMembers()
            return try members.call(of: method)
        } catch {
            return nil
        }
    }
}

extension APIError {
    static func invalidParams(_ message: String) -> APIError {
        APIError(.invalidArgument, reason: "InvalidParams", message, code: -32602)
    }
}

/// The members of `params` of all methods, as far as this call gives them.
private struct CallMembers {
    var service: Service?
    var node: Node?
    var pod: Pod?
    /// Of the attachment; not empty where one is given.
    var containerID = ""
    var ifName: String?
    var attachmentNode: String?
    var podUID: String?
    var ipFamilies: WrittenList<IPFamily>?
    var query = ListQuery()
    /// `limit` or `continue` is given.
    var isPaged = false
    var watch = WatchQuery()
    var subscription: String?
    var isForced = false
    var isAdoption = false
    var isOutOfRange = false
    var ip: IPAddress?
    var cidr: CIDR?
    var pool: String?
    var blocks: Int?
    var isDryRun = false
    var timeoutMilliseconds: Int?

    mutating func read(_ reader: inout JSONReader, for method: Method) throws(JSONError) {
        try reader.beginObject()
        var count = 0
        while let key = try reader.nextKey(&count) {
            guard let parameter = Parameter(key), method.takes(parameter) else {
                let known = (method.required + method.optional).map(\.rawValue).joined(separator: ", ")
                throw JSONError(
                    .type, at: key.offset,
                    "unknown member \"\(key.string.cut(toBytes: 100))\"; \(method.rawValue) takes \(known)")
            }
            if try reader.skipNull() { continue }
            try read(parameter, &reader)
        }
    }

    private mutating func read(_ parameter: Parameter, _ reader: inout JSONReader) throws(JSONError) {
        switch parameter {
        case .service: service = try Service(from: &reader)
        case .node: node = try Node(from: &reader)
        case .pod: pod = try Pod(from: &reader)
        case .attachment: try readAttachment(&reader)
        case .ipFamilies: ipFamilies = try reader.skipNull() ? nil : try reader.readWrittenList()
        case .namespace: query.namespace = try reader.readNonEmptyString()
        case .nodeName: query.nodeName = try reader.readNonEmptyString()
        case .continueToken:
            query.continueToken = try reader.readNonEmptyString()
            isPaged = true
        case .kind: query.poolKind = try reader.readPoolKind()
        case .limit:
            query.limit = try reader.readInt(in: ListQuery.limits)
            isPaged = true
        case .force: isForced = try reader.readBool()
        case .adopt: isAdoption = try reader.readBool()
        case .outOfRange: isOutOfRange = try reader.readBool()
        case .kinds: watch.kinds = try WatchQuery.readKinds(&reader)
        case .resourceVersion: watch.version = try reader.readVersion()
        case .subscription: subscription = try reader.readNonEmptyString()
        case .dryRun: isDryRun = try reader.readBool()
        case .timeoutMs: timeoutMilliseconds = try reader.readInt(in: 1...600_000)
        case .cidr:
            _ = try reader.peek()
            let start = reader.position
            guard let range = CIDR(try reader.readString()) else {
                throw JSONError(.type, at: start, "expected a CIDR such as 10.9.8.0/24 or 2001:db8::/64")
            }
            cidr = range
        case .pool: pool = try reader.readNonEmptyString()
        case .blocks: blocks = try reader.readInt(in: PoolMapQuery.blockCounts)
        case .ip:
            _ = try reader.peek()
            let start = reader.position
            let text = try reader.readString()
            guard let address = IPAddress(text) else {
                throw JSONError(.type, at: start, "expected an IP address such as 10.9.8.7 or 2001:db8::1")
            }
            ip = address
        }
    }

    private mutating func readAttachment(_ reader: inout JSONReader) throws(JSONError) {
        let start = reader.position
        try reader.beginObject()
        var count = 0
        while let key = try reader.nextKey(&count) {
            switch key {
            case "containerID": containerID = try reader.readStringOrNull() ?? ""
            case "ifName": ifName = try reader.readNonEmptyString()
            case "nodeName": attachmentNode = try reader.readNonEmptyString()
            case "podUID": podUID = try reader.readNonEmptyString()
            default:
                throw JSONError(
                    .type, at: key.offset,
                    "unknown member \"\(key.string.cut(toBytes: 100))\"; an attachment has containerID, ifName, nodeName and podUID"
                )
            }
        }
        guard !containerID.isEmpty else { throw JSONError(.type, at: start, "an attachment needs a containerID") }
    }

    func call(of method: Method) throws(APIError) -> Call {
        var call = Call(method, try body(of: method))
        guard isAdoption || !isOutOfRange else {
            throw .invalidParams("params.outOfRange: only an adoption (\"adopt\": true) may be out of range")
        }
        guard !isAdoption || containerID.isEmpty && ipFamilies == nil else {
            throw .invalidParams(
                "params.adopt: an adopted Pod is taken in as it stands; it has neither attachment nor ipFamilies here")
        }
        if isAdoption { call.adoption = Adoption(allowsOutOfRange: isOutOfRange) }
        call.isDryRun = isDryRun
        call.timeoutMilliseconds = timeoutMilliseconds
        return call
    }

    private func body(of method: Method) throws(APIError) -> Call.Body {
        switch method {
        case .allocateServiceIPs: .allocateServiceIPs(try needed(service, .service, method).inNamespace)
        case .updateServiceIPs: .updateServiceIPs(try needed(service, .service, method).inNamespace)
        case .getService: .getService(try needed(service, .service, method).inNamespace.metadata)
        case .listServices: .listServices(query)
        case .allocateNodeCIDRs: .allocateNodeCIDRs(try needed(node, .node, method))
        case .getNode: .getNode(try needed(node, .node, method).metadata)
        case .listNodes: .listNodes(query)
        case .allocatePodIPs: .allocatePodIPs(try podRequest())
        case .getPod: try podToGet()
        case .listPods: .listPods(query)
        case .release: .release(try releaseTarget())
        case .checkNode: .checkNode(try needed(node, .node, method).metadata)
        case .lookupIP: try lookup()
        case .getPools: .getPools(query)
        case .getPoolMap: .getPoolMap(try poolMapQuery())
        case .watch: .watch(watchQuery)
        case .unwatch: .unwatch(try needed(subscription, .subscription, method))
        case .discover: .discover
        }
    }

    private func lookup() throws(APIError) -> Call.Body {
        switch (ip, cidr) {
        case (let ip?, nil):
            guard !isPaged else { throw .invalidParams("params.limit: only a look-up by cidr comes page by page") }
            return .lookupIP(ip)
        case (nil, let cidr?):
            var holders = HolderQuery(cidr)
            (holders.limit, holders.continueToken) = (query.limit, query.continueToken)
            return .listHolders(holders)
        default: throw .invalidParams("params: LookupIP takes exactly one of ip and cidr")
        }
    }

    private func poolMapQuery() throws(APIError) -> PoolMapQuery {
        var map = PoolMapQuery(try needed(pool, .pool, .getPoolMap))
        if let blocks { map.blocks = blocks }
        return map
    }

    private var watchQuery: WatchQuery {
        var watch = watch
        (watch.namespace, watch.nodeName, watch.limit) = (query.namespace, query.nodeName, query.limit)
        return watch
    }

    private func podToGet() throws(APIError) -> Call.Body {
        let pod = try needed(pod, .pod, .getPod).inNamespace
        return .getPod(pod.metadata, nodeName: pod.nodeName.isEmpty ? nil : pod.nodeName)
    }

    private func podRequest() throws(APIError) -> PodRequest {
        let pod = try needed(pod, .pod, .allocatePodIPs).inNamespace
        guard attachmentNode == nil || attachmentNode == pod.nodeName else {
            throw .invalidParams("params.attachment.nodeName: it must be the pod's spec.nodeName where it is given")
        }
        guard podUID == nil else { throw .invalidParams("params.attachment.podUID: only Release takes it") }
        return PodRequest(pod: pod, attachment: attachment, ipFamilies: ipFamilies)
    }

    private func needed<Value>(
        _ value: Value?, _ parameter: Parameter, _ method: Method
    ) throws(APIError) -> Value {
        guard let value else { throw .invalidParams("params.\(parameter.rawValue): \(method.rawValue) needs it") }
        return value
    }

    private var attachment: Attachment? {
        containerID.isEmpty
            ? nil : Attachment(containerID: containerID, ifName: ifName ?? Attachment.defaultInterface)
    }

    private func releaseTarget() throws(APIError) -> Release {
        let target: Release
        switch (service, pod, containerID.isEmpty, node) {
        case (let service?, nil, true, nil): target = .service(service.inNamespace.metadata)
        case (nil, let pod?, true, nil):
            target = .pod(pod.inNamespace.metadata, nodeName: pod.nodeName.isEmpty ? nil : pod.nodeName)
        case (nil, nil, false, nil):
            guard podUID == nil || ifName != nil && attachmentNode != nil else {
                throw .invalidParams("params.attachment.podUID: it goes with ifName and nodeName")
            }
            target = .attachment(
                ReleasedAttachment(
                    containerID: containerID, ifName: ifName, nodeName: attachmentNode, podUID: podUID))
        case (nil, nil, true, let node?): target = .node(node.metadata, force: isForced)
        default: throw .invalidParams("params: Release takes exactly one of service, pod, attachment and node")
        }
        guard !isForced || node != nil else {
            throw .invalidParams("params.force: only the release of a node can be forced")
        }
        return target
    }
}

extension Service {
    /// With the namespace that stands for none.
    fileprivate var inNamespace: Service {
        guard metadata.namespace.isEmpty else { return self }
        var service = self
        service.metadata.namespace = "default"
        return service
    }
}

extension Pod {
    fileprivate var inNamespace: Pod {
        guard metadata.namespace.isEmpty else { return self }
        var pod = self
        pod.metadata.namespace = "default"
        return pod
    }
}

extension Parameter {
    private static let all = Array(allCases)

    fileprivate init?(_ key: JSONKey) {
        for parameter in Self.all where key.equals(parameter.rawValue) {
            self = parameter
            return
        }
        return nil
    }
}

extension JSONReader {
    mutating func readInt(in range: ClosedRange<Int>) throws(JSONError) -> Int {
        _ = try peek()
        let start = position
        let value = try readInt()
        guard range.contains(value) else {
            throw JSONError(
                .type, at: start, "expected a number from \(range.lowerBound) to \(range.upperBound), found \(value)")
        }
        return value
    }
}

extension WatchQuery {
    /// `["Service", "Node", "Pod"]`, or some of them.
    static func readKinds(_ reader: inout JSONReader) throws(JSONError) -> KindSet {
        _ = try reader.peek()
        let start = reader.position
        var kinds: KindSet = []
        for word in try reader.readStrings() ?? [] {
            guard let kind = ObjectKind(rawValue: word) else {
                throw JSONError(.type, at: start, "expected kinds of objects: Service, Node, Pod")
            }
            kinds.insert(KindSet(kind))
        }
        guard !kinds.isEmpty else { throw JSONError(.type, at: start, "expected a kind of objects at least") }
        return kinds
    }
}

extension JSONReader {
    /// A decimal number as text; "" and "0" are none.
    fileprivate mutating func readVersion() throws(JSONError) -> UInt64? {
        _ = try peek()
        let start = position
        let text = try readString()
        if text.isEmpty { return nil }
        guard let version = UInt64(text), text.utf8.allSatisfy({ $0 >= 0x30 && $0 < 0x3A }), version < .max else {
            throw JSONError(.type, at: start, "expected a resourceVersion that a list or a watch gave, as text")
        }
        return version == 0 ? nil : version
    }

    fileprivate mutating func readPoolKind() throws(JSONError) -> PoolKind {
        _ = try peek()
        let start = position
        guard let kind = PoolKind(rawValue: try readString()) else {
            let known = PoolKind.allCases.map(\.rawValue).joined(separator: ", ")
            throw JSONError(.type, at: start, "expected a kind of pool: \(known)")
        }
        return kind
    }
}

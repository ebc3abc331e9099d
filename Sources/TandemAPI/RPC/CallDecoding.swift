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
            } catch {
                let path = error.path(in: text)
                throw .invalidParams((path.isEmpty ? "params" : "params.\(path)") + ": \(error.message)")
            }
        }
        for parameter in method.required where !members.given.contains(parameter) {
            throw .invalidParams("params.\(parameter.rawValue): \(method.rawValue) needs it")
        }
        var call = Call(method, try members.body(of: method))
        call.isDryRun = members.isDryRun
        call.timeoutMilliseconds = members.timeoutMilliseconds
        return call
    }
}

extension APIError {
    static func invalidParams(_ message: String) -> APIError {
        APIError(.invalidArgument, reason: "InvalidParams", message, code: -32602)
    }
}

/// The members of `params` of all methods, as far as this call gives them.
private struct CallMembers {
    var given: Set<Parameter> = []
    var service: Service?
    var node: Node?
    var pod: Pod?
    var containerID = ""
    var ifName: String?
    var ipFamilies: [String]?
    var query = ListQuery()
    var isForced = false
    var ip: IPAddress?
    var isDryRun = false
    var timeoutMilliseconds: Int?

    mutating func read(_ reader: inout JSONReader, for method: Method) throws(JSONError) {
        try reader.beginObject()
        var isFirst = true
        while let key = try reader.nextKey(&isFirst) {
            guard let parameter = Parameter(key), method.takes(parameter) else {
                let known = (method.required + method.optional).map(\.rawValue).joined(separator: ", ")
                throw JSONError(
                    .type, at: key.offset, "unknown member \"\(key.string)\"; \(method.rawValue) takes \(known)")
            }
            if try reader.skipNull() { continue }
            given.insert(parameter)
            try read(parameter, &reader)
        }
    }

    private mutating func read(_ parameter: Parameter, _ reader: inout JSONReader) throws(JSONError) {
        switch parameter {
        case .service: service = try Service(from: &reader)
        case .node: node = try Node(from: &reader)
        case .pod: pod = try Pod(from: &reader)
        case .attachment: try readAttachment(&reader)
        case .ipFamilies: ipFamilies = try reader.readStrings()
        case .namespace: query.namespace = try reader.readNonEmptyString()
        case .nodeName: query.nodeName = try reader.readNonEmptyString()
        case .continueToken: query.continueToken = try reader.readNonEmptyString()
        case .limit: query.limit = try reader.readInt(in: ListQuery.limits)
        case .force: isForced = try reader.readBool()
        case .dryRun: isDryRun = try reader.readBool()
        case .timeoutMs: timeoutMilliseconds = try reader.readInt(in: 1...600_000)
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
        var isFirst = true
        while let key = try reader.nextKey(&isFirst) {
            switch key {
            case "containerID": containerID = try reader.readStringOrNull() ?? ""
            case "ifName": ifName = try reader.readNonEmptyString()
            default:
                throw JSONError(
                    .type, at: key.offset, "unknown member \"\(key.string)\"; an attachment has containerID and ifName")
            }
        }
        guard !containerID.isEmpty else { throw JSONError(.type, at: start, "an attachment needs a containerID") }
    }

    func body(of method: Method) throws(APIError) -> Call.Body {
        switch method {
        case .allocateServiceIPs: .allocateServiceIPs(inNamespace(service))
        case .updateServiceIPs: .updateServiceIPs(inNamespace(service))
        case .getService: .getService(inNamespace(service).metadata)
        case .listServices: .listServices(query)
        case .allocateNodeCIDRs: .allocateNodeCIDRs(node ?? Node())
        case .getNode: .getNode(node?.metadata ?? ObjectMeta())
        case .listNodes: .listNodes(query)
        case .allocatePodIPs:
            .allocatePodIPs(PodRequest(pod: inNamespace(pod), attachment: attachment, ipFamilies: ipFamilies))
        case .getPod: .getPod(inNamespace(pod).metadata)
        case .listPods: .listPods(query)
        case .release: .release(try releaseTarget())
        case .lookupIP: ip.map { .lookupIP($0) } ?? .getPools  // `ip` is required, and was checked
        case .getPools: .getPools
        case .discover: .discover
        }
    }

    private var attachment: Attachment? {
        guard given.contains(.attachment) else { return nil }
        return Attachment(containerID: containerID, ifName: ifName ?? Attachment.defaultInterface)
    }

    private func releaseTarget() throws(APIError) -> Release {
        let targets = given.intersection([.service, .pod, .attachment, .node])
        guard targets.count == 1 else {
            throw .invalidParams("params: Release takes exactly one of service, pod, attachment and node")
        }
        guard !isForced || given.contains(.node) else {
            throw .invalidParams("params.force: only the release of a node can be forced")
        }
        if given.contains(.service) { return .service(inNamespace(service).metadata) }
        if given.contains(.pod) { return .pod(inNamespace(pod).metadata) }
        if given.contains(.attachment) { return .attachment(containerID: containerID, ifName: ifName) }
        return .node(node?.metadata ?? ObjectMeta(), force: isForced)
    }

    private func inNamespace(_ service: Service?) -> Service {
        var service = service ?? Service()
        if service.metadata.namespace.isEmpty { service.metadata.namespace = "default" }
        return service
    }

    private func inNamespace(_ pod: Pod?) -> Pod {
        var pod = pod ?? Pod()
        if pod.metadata.namespace.isEmpty { pod.metadata.namespace = "default" }
        return pod
    }
}

extension Parameter {
    fileprivate init?(_ key: JSONKey) {
        for parameter in Parameter.allCases where key.equals(parameter.rawValue) {
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

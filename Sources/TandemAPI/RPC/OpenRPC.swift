/// The OpenRPC document of this service, made from the list of methods that also decodes the calls.
public enum OpenRPC {
    /// This release's version, as `rpc.discover`, `--version` and the metrics show it.
    public static let version = "0.1.0"

    public static let document: JSONValue = [
        "openrpc": "1.3.2",
        "info": [
            "title": "Tandem",
            "description": "Dual-stack IP address management: Services, node CIDRs and pods.",
            "version": .string(version),
            "license": ["name": "Apache-2.0"],
        ],
        "servers": [
            [
                "name": "This machine", "url": "https://127.0.0.1:8443/rpc",
                "summary": "HTTP; lines over TLS by the ALPN name jsonrpc.",
            ]
        ],
        "methods": .array(Method.allCases.map(\.openRPC)),
        "components": ["schemas": schemas],
    ]

    static func reference(_ name: String) -> JSONValue { ["$ref": .string("#/components/schemas/\(name)")] }
    static let strings: JSONValue = ["type": "array", "items": ["type": "string"]]
    fileprivate static let decimal = reference("Count")
}

extension Method {
    fileprivate var openRPC: JSONValue {
        [
            "name": .string(rawValue),
            "summary": .string(summary),
            "paramStructure": "by-name",
            "params": .array(
                required.map { $0.openRPC(isRequired: true) } + optional.map { $0.openRPC(isRequired: false) }),
            "result": ["name": "result", "schema": resultSchema],
            "errors": .array(
                APIError.Status.allCases.map {
                    [
                        "code": .number(String($0.code)), "message": .string($0.name),
                        "data": OpenRPC.reference("ErrorData"),
                    ]
                }),
            "examples": [example],
        ]
    }

    private var resultSchema: JSONValue {
        func result(_ properties: JSONValue) -> JSONValue { ["type": "object", "properties": properties] }
        func page(_ kind: String, madeUIDs: Bool = true) -> JSONValue {
            var members: JSONValue = [
                "items": ["type": "array", "items": OpenRPC.reference(kind)], "continue": ["type": "string"],
                "resourceVersion": OpenRPC.decimal,
            ]
            if madeUIDs { members["madeUIDs"] = OpenRPC.strings }
            return result(members)
        }
        let replayed: JSONValue = ["type": "boolean"]
        switch self {
        case .allocateServiceIPs:
            return result([
                "service": OpenRPC.reference("Service"), "kept": OpenRPC.strings, "replayed": replayed,
            ])
        case .updateServiceIPs:
            return result([
                "service": OpenRPC.reference("Service"), "released": OpenRPC.strings, "replayed": replayed,
            ])
        case .getService: return result(["service": OpenRPC.reference("Service")])
        case .allocateNodeCIDRs:
            return result([
                "node": OpenRPC.reference("Node"), "kept": OpenRPC.strings, "held": ["type": "boolean"],
                "replayed": replayed,
            ])
        case .getNode: return result(["node": OpenRPC.reference("Node"), "uidMade": ["type": "boolean"]])
        case .allocatePodIPs:
            return result([
                "pod": OpenRPC.reference("Pod"), "node": OpenRPC.reference("NodeAddressing"), "kept": OpenRPC.strings,
                "held": ["type": "boolean"], "replayed": replayed,
            ])
        case .getPod: return result(["pod": OpenRPC.reference("Pod"), "others": OpenRPC.strings])
        case .listServices: return page("Service", madeUIDs: false)
        case .listNodes: return page("Node")
        case .listPods: return page("Pod")
        case .release:
            return result([
                "released": ["type": "array", "items": OpenRPC.reference("Released")],
                "more": ["type": "integer", "minimum": 1],
            ])
        case .checkNode:
            let family: JSONValue = [
                "type": "object", "required": ["family", "available"],
                "properties": ["family": OpenRPC.reference("Family"), "available": OpenRPC.decimal],
            ]
            return result([
                "ready": ["type": "boolean"], "families": ["type": "array", "items": family],
                "reason": ["type": "string"],
            ])
        case .lookupIP:
            // Of one address; of a CIDR `items`, and `continue`.
            var members: JSONValue = [
                "ip": ["type": "string"], "pool": ["type": "string"],
                "state": ["enum": .array(AddressStatus.State.allCases.map { .string($0.rawValue) })],
                "owner": OpenRPC.reference("Owner"),
            ]
            members["items"] = ["type": "array", "items": result(members)]
            members["continue"] = ["type": "string"]
            return result(members)
        case .getPools:
            return result([
                "pools": ["type": "array", "items": OpenRPC.reference("Pool")], "continue": ["type": "string"],
            ])
        case .getPoolMap:
            return result([
                "name": ["type": "string"], "kind": ["type": "string"], "family": OpenRPC.reference("Family"),
                "cidr": ["type": "string"], "ports": ["type": "string"], "nodeMaskSize": ["type": "integer"],
                "blockSize": OpenRPC.decimal, "blocks": ["type": "array", "items": OpenRPC.reference("PoolBlock")],
            ])
        case .watch: return result(["subscription": ["type": "string"], "resourceVersion": OpenRPC.decimal])
        case .unwatch: return result([:])
        case .discover: return ["type": "object"]
        }
    }
}

extension Parameter {
    fileprivate func openRPC(isRequired: Bool) -> JSONValue {
        ["name": .string(rawValue), "required": .bool(isRequired), "schema": schema]
    }

    private var schema: JSONValue {
        switch self {
        case .service: OpenRPC.reference("Service")
        case .node: OpenRPC.reference("Node")
        case .pod: OpenRPC.reference("Pod")
        case .attachment: OpenRPC.reference("Attachment")
        case .ipFamilies: ["type": "array", "items": OpenRPC.reference("Family")]
        case .namespace, .nodeName, .continueToken, .ip: ["type": "string"]
        case .subscription: ["type": "string"]
        case .resourceVersion: OpenRPC.decimal
        case .kinds: ["type": "array", "items": ["enum": ["Service", "Node", "Pod"]]]
        case .cidr, .pool: ["type": "string"]
        case .blocks: ["type": "integer", "minimum": 1, "maximum": 4096, "default": 256]
        case .kind: ["enum": .array(PoolKind.allCases.map { .string($0.rawValue) })]
        case .limit: ["type": "integer", "minimum": 1, "maximum": 5000, "default": 500]
        case .force, .adopt, .outOfRange, .dryRun: ["type": "boolean", "default": false]
        case .timeoutMs: ["type": "integer", "minimum": 1, "maximum": 600_000]
        }
    }
}

extension CallResult {
    /// The OpenRPC document, written once: any client may ask for it.
    public static let openRPC = CallResult(OpenRPC.document)
}

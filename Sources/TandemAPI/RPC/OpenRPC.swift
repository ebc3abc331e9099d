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
        "methods": .array(Method.allCases.map(\.openRPC)),
        "components": ["schemas": schemas],
    ]

    private static let schemas: JSONValue = [
        "ObjectMeta": [
            "type": "object",
            "properties": [
                "namespace": ["type": "string"], "name": ["type": "string"], "uid": ["type": "string"],
                "resourceVersion": ["type": "string", "pattern": "^[0-9]+$"],
                "creationTimestamp": ["type": "string", "format": "date-time"],
            ],
        ],
        "Service": object("Service", "A Kubernetes v1 Service."),
        "Node": object("Node", "A Kubernetes v1 Node."),
        "Pod": object("Pod", "A Kubernetes v1 Pod."),
        "Attachment": [
            "type": "object",
            "required": ["containerID"],
            "properties": [
                "containerID": ["type": "string"], "ifName": ["type": "string", "default": "eth0"],
                "nodeName": ["type": "string"], "podUID": ["type": "string"],
            ],
            "additionalProperties": false,
        ],
        "Owner": [
            "type": "object",
            "required": ["kind", "name", "uid"],
            "properties": [
                "kind": ["enum": ["Service", "Pod", "Node"]], "namespace": ["type": "string"],
                "name": ["type": "string"], "uid": ["type": "string"],
            ],
        ],
        "Released": [
            "type": "object",
            "required": ["owner"],
            "properties": ["ip": ["type": "string"], "cidr": ["type": "string"], "owner": reference("Owner")],
        ],
        "NodeAddressing": [
            "type": "object",
            "properties": [
                "name": ["type": "string"], "podCIDRs": strings, "gateways": strings,
            ],
        ],
        "PoolBlock": [
            "type": "object", "required": ["first", "allocated", "coolingDown", "reserved", "free"],
            "properties": [
                "first": ["type": "string"], "allocated": decimal, "coolingDown": decimal, "reserved": decimal,
                "free": decimal,
            ],
        ],
        "Pool": [
            "type": "object",
            "required": ["name", "capacity", "allocated", "available"],
            "properties": [
                "name": ["type": "string"],
                "kind": ["enum": ["Service", "LoadBalancer", "NodeCIDR", "Pod", "NodePort"]],
                "family": ["enum": ["IPv4", "IPv6"]], "cidr": ["type": "string"], "ports": ["type": "string"],
                "capacity": decimal, "allocated": decimal, "available": decimal, "coolingDown": decimal,
                "percent": ["type": "number", "minimum": 0, "maximum": 100], "nodeMaskSize": ["type": "integer"],
            ],
        ],
    ]

    private static func object(_ kind: String, _ description: String) -> JSONValue {
        [
            "type": "object",
            "description": .string(description),
            "properties": [
                "apiVersion": ["const": "v1"], "kind": ["const": .string(kind)], "metadata": reference("ObjectMeta"),
                "spec": ["type": "object"], "status": ["type": "object"],
            ],
            "required": ["metadata"],
        ]
    }

    static func reference(_ name: String) -> JSONValue { ["$ref": .string("#/components/schemas/\(name)")] }
    static let strings: JSONValue = ["type": "array", "items": ["type": "string"]]
    fileprivate static let decimal: JSONValue = ["type": "string", "pattern": "^[0-9]+$"]
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
                    ["code": .number(String($0.code)), "message": .string($0.name)]
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
                "properties": ["family": ["enum": ["IPv4", "IPv6"]], "available": OpenRPC.decimal],
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
                "name": ["type": "string"], "kind": ["type": "string"], "family": ["enum": ["IPv4", "IPv6"]],
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
        case .ipFamilies: ["type": "array", "items": ["enum": ["IPv4", "IPv6"]]]
        case .namespace, .nodeName, .continueToken, .ip: ["type": "string"]
        case .subscription: ["type": "string"]
        case .resourceVersion: OpenRPC.decimal
        case .kinds: ["type": "array", "items": ["enum": ["Service", "Node", "Pod"]]]
        case .cidr, .pool: ["type": "string"]
        case .blocks: ["type": "integer", "minimum": 1, "maximum": 4096, "default": 256]
        case .kind: ["enum": .array(PoolStatus.Kind.allCases.map { .string($0.rawValue) })]
        case .limit: ["type": "integer", "minimum": 1, "maximum": 5000, "default": 500]
        case .force, .adopt, .outOfRange, .dryRun: ["type": "boolean", "default": false]
        case .timeoutMs: ["type": "integer", "minimum": 1, "maximum": 600_000]
        }
    }
}

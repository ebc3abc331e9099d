import TandemAPI
import TandemClient

/// One change for the page: its object, and the addresses of that.
enum Change {
    /// nil where it is no change of an object. Changes up to version `old` are older than the page.
    static func line(_ change: WatchedChange, old: UInt64) -> JSONValue? {
        switch change {
        case .added(let object): line("added", object, old)
        case .modified(let object): line("changed", object, old)
        case .deleted(let object): line("deleted", object, old)
        case .bookmark, .restarted: nil
        }
    }

    private static func line(_ type: JSONValue, _ object: JSONValue, _ old: UInt64) -> JSONValue {
        let metadata = object["metadata"]
        var line: JSONValue = ["type": type]
        line["kind"] = object["kind"]
        line["namespace"] = metadata?["namespace"]
        line["name"] = metadata?["name"]
        line["version"] = metadata?["resourceVersion"]
        line["node"] = object["spec"]?["nodeName"]
        if let version = metadata?["resourceVersion"]?.stringValue.flatMap({ UInt64($0) }), version <= old {
            line["isOld"] = true
        }
        line["addresses"] = .array(addresses(of: object))
        return line
    }

    private static func addresses(of object: JSONValue) -> [JSONValue] {
        let (spec, status) = (object["spec"], object["status"])
        switch object["kind"]?.stringValue {
        case "Service":
            let ingress = status?["loadBalancer"]?["ingress"]?.arrayValue ?? []
            return (spec?["clusterIPs"]?.arrayValue ?? []) + ingress.compactMap { $0["ip"] }
        case "Node": return spec?["podCIDRs"]?.arrayValue ?? []
        default: return (status?["podIPs"]?.arrayValue ?? []).compactMap { $0["ip"] }
        }
    }
}

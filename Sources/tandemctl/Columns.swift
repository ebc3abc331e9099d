import Foundation
import TandemAPI

/// A column of a table: its title, and its value for an object.
struct Column: Sendable {
    var title: String
    var text: @Sendable (JSONValue) -> String
}

/// The columns that `kubectl get` has, and the second address of each family beside the first.
enum Columns {
    static func of(_ kind: Kind, isWide: Bool, withNamespace: Bool) -> [Column] {
        let namespace = Column(title: "NAMESPACE") { $0["metadata"]?["namespace"].text ?? "" }
        let columns =
            switch kind {
            case .object(.service): services + (isWide ? wideServices : [age])
            case .object(.node): nodes
            case .object(.pod): pods + (isWide ? widePods : [age])
            case .pool: pools
            case .server: servers + (isWide ? wideServers : [])
            }
        return withNamespace ? [namespace] + columns : columns
    }

    static let labels = Column(title: "LABELS") { $0["metadata"]?["labels"].pairs ?? "<none>" }

    private static let name = Column(title: "NAME") { $0["metadata"]?["name"].text ?? "" }

    private static let age = Column(title: "AGE") { age($0["metadata"]?["creationTimestamp"]) }

    private static let services = [
        name,
        Column(title: "TYPE") { $0["spec"]?["type"].text ?? "" },
        Column(title: "CLUSTER-IP") { $0["spec"]?["clusterIPs"].joined ?? "" },
        Column(title: "EXTERNAL-IP") { service in
            if service["spec"]?["type"] == "ExternalName" { return service["spec"]?["externalName"].text ?? "" }
            let ingress = service["status"]?["loadBalancer"]?["ingress"]?.arrayValue ?? []
            if !ingress.isEmpty { return ingress.compactMap { $0["ip"]?.stringValue }.joined(separator: ",") }
            return service["spec"]?["type"] == "LoadBalancer" ? "<pending>" : "<none>"
        },
        Column(title: "PORT(S)") { service in
            let ports = (service["spec"]?["ports"]?.arrayValue ?? []).map { port in
                let node = port["nodePort"]?.intValue.map { ":\($0)" } ?? ""
                return "\(port["port"]?.intValue ?? 0)\(node)/\(port["protocol"]?.stringValue ?? "TCP")"
            }
            return ports.isEmpty ? "<none>" : ports.joined(separator: ",")
        },
    ]

    private static let wideServices = [
        Column(title: "IP-FAMILIES") { $0["spec"]?["ipFamilies"].joined ?? "" },
        Column(title: "IP-FAMILY-POLICY") { $0["spec"]?["ipFamilyPolicy"].text ?? "<none>" },
        age,
        Column(title: "SELECTOR") { $0["spec"]?["selector"].pairs ?? "<none>" },
    ]

    private static let nodes = [name, Column(title: "POD-CIDRS") { $0["spec"]?["podCIDRs"].joined ?? "" }, age]

    private static let pods = [
        name,
        Column(title: "IP") { pod in
            let ips = (pod["status"]?["podIPs"]?.arrayValue ?? []).compactMap { $0["ip"]?.stringValue }
            return ips.isEmpty ? "<none>" : ips.joined(separator: ",")
        },
        Column(title: "NODE") { $0["spec"]?["nodeName"].text ?? "<none>" },
    ]

    private static let widePods = [age, Column(title: "UID") { $0["metadata"]?["uid"].text ?? "" }]

    private static let pools = [
        Column(title: "NAME") { $0["name"].text ?? "" },
        Column(title: "FAMILY") { $0["family"].text ?? "" },
        Column(title: "CIDR") { $0["cidr"].text ?? $0["ports"].text ?? "" },
        Column(title: "CAPACITY") { $0["capacity"].text ?? "" },
        Column(title: "ALLOCATED") { $0["allocated"].text ?? "" },
        Column(title: "AVAILABLE") { $0["available"].text ?? "" },
    ]

    private static let servers = [
        Column(title: "NAME") { $0["name"].text ?? "" },
        Column(title: "ADDRESS") { $0["address"].text ?? "" },
        Column(title: "READY") { $0["ready"] == true ? "true" : "false" },
        Column(title: "VERSION") { $0["program"].text ?? "" },
        Column(title: "REVISION") { $0["revision"]?.intValue.map { "\($0)" } ?? "<none>" },
        Column(title: "AGE") { age($0["since"]) },
    ]

    private static let wideServers = [Column(title: "STARTED") { $0["since"].text ?? "" }]

    private static func age(_ created: JSONValue?) -> String {
        (try? Date(created.text ?? "", strategy: .iso8601)).map { age(since: $0) } ?? "<unknown>"
    }

    /// `45s`, `12m`, `5h`, `3d`: the largest unit, of which there are at least two, as kubectl does roughly.
    private static func age(since date: Date) -> String {
        let seconds = max(0, Int(Date().timeIntervalSince(date)))
        switch seconds {
        case ..<120: return "\(seconds)s"
        case ..<7_200: return "\(seconds / 60)m"
        case ..<172_800: return "\(seconds / 3_600)h"
        default: return "\(seconds / 86_400)d"
        }
    }
}

extension Optional where Wrapped == JSONValue {
    fileprivate var text: String? { self?.stringValue }

    fileprivate var joined: String {
        let texts = (self?.arrayValue ?? []).compactMap(\.stringValue)
        return texts.isEmpty ? "<none>" : texts.joined(separator: ",")
    }

    /// `a=1,b=2`, in alphabetical order.
    fileprivate var pairs: String? {
        let pairs = (self?.objectValue?.members ?? []).map { "\($0.name)=\($0.value.stringValue ?? "")" }.sorted()
        return pairs.isEmpty ? nil : pairs.joined(separator: ",")
    }
}

import Addressing
public import TandemAPI

/// Compares a server's objects with a cluster's, as `kubectl get services,nodes,pods -A -o json` shows them.
///
/// O(objects of both). A value; not to be shared while it is filled.
public struct ClusterComparison: Sendable {
    /// One sentence for each difference, in the order of the cluster's objects; further objects of the server come last.
    public private(set) var differences: [String] = []
    /// Objects of the cluster that were looked at.
    public private(set) var objects = 0

    private struct Held {
        var uid: String
        var ranges: Set<String>
        var nodeName: String?
    }

    private var services: [String: Held] = [:]
    private var nodes: [String: Held] = [:]
    /// By uid; and those of one name, since a runtime may have given none.
    private var pods: [String: Held] = [:]
    private var podNames: [String: [String]] = [:]
    private var loadBalancerRanges: [AddressRange] = []

    /// Reads all that the server holds.
    public static func run(_ client: TandemClient, with cluster: [JSONValue]) async throws -> ClusterComparison {
        var comparison = ClusterComparison()
        for service in try await client.list(.listServices) { comparison.hold(service: service) }
        for node in try await client.list(.listNodes) { comparison.hold(node: node) }
        for pod in try await client.list(.listPods) { comparison.hold(pod: pod) }
        comparison.loadBalancerRanges = try await client.pools(.loadBalancer).compactMap {
            $0["cidr"]?.stringValue.flatMap { AddressRange($0) }
        }
        comparison.compare(cluster)
        return comparison
    }

    private mutating func hold(service: JSONValue) {
        let ips =
            Self.clusterIPs(service) + Self.ingress(service)
            + Self.strings(service["kept"]).filter { IPAddress($0) != nil }
        services[Self.name(service)] = Held(uid: Self.uid(service), ranges: Set(ips.map(Self.canonical)))
    }

    private mutating func hold(node: JSONValue) {
        nodes[Self.name(node)] = Held(uid: Self.uid(node), ranges: Set(Self.podCIDRs(node)))
    }

    private mutating func hold(pod: JSONValue) {
        let uid = Self.uid(pod)
        let name = Self.name(pod)
        pods[uid, default: Held(uid: name, ranges: [], nodeName: Self.nodeName(pod))].ranges
            .formUnion(Self.podIPs(pod).map(Self.canonical))
        if podNames[name]?.last != uid { podNames[name, default: []].append(uid) }
    }

    // MARK: The cluster's objects

    private mutating func compare(_ cluster: [JSONValue]) {
        var (seenServices, seenNodes, seenPods) = (Set<String>(), Set<String>(), Set<String>())
        var kinds: Set<String> = []
        for object in cluster {
            let kind = object["kind"]?.stringValue ?? ""
            let name = Self.name(object)
            kinds.insert(kind)
            objects += 1
            switch kind {
            case "Service":
                seenServices.insert(name)
                compare(service: object, name)
            case "Node":
                seenNodes.insert(name)
                compare(kind, name, object, Self.podCIDRs(object), nodes[name])
            case "Pod": seenPods.formUnion(compare(pod: object, name))
            default: objects -= 1
            }
        }
        if kinds.contains("Service") { tellRest(of: "Service", services, seenServices) }
        if kinds.contains("Node") { tellRest(of: "Node", nodes, seenNodes) }
        guard kinds.contains("Pod") else { return }
        for (uid, held) in pods.sorted(by: { ($0.value.uid, $0.key) < ($1.value.uid, $1.key) })
        where !seenPods.contains(uid) {
            let ranges = held.ranges.sorted().joined(separator: ", ")
            differences.append(
                "Pod \(held.uid), uid \(uid), of Node \(held.nodeName ?? "") holds \(ranges) and is not in the cluster")
        }
    }

    private mutating func compare(service: JSONValue, _ name: String) {
        // A load balancer's address that lies in none of the server's ranges is another provider's.
        let ingress = Self.ingress(service).filter { text in
            IPAddress(zeroPadded: text).map { ip in loadBalancerRanges.contains { $0.contains(ip) } } ?? false
        }
        compare("Service", name, service, Self.clusterIPs(service) + ingress, services[name])
    }

    private mutating func compare(
        _ kind: String, _ name: String, _ object: JSONValue, _ shown: [String], _ held: Held?
    ) {
        guard let held else {
            if !shown.isEmpty {
                differences.append("\(kind) \(name) shows \(shown.joined(separator: ", ")) and is not known here")
            }
            return
        }
        let uid = Self.uid(object)
        if !uid.isEmpty, uid != held.uid {
            differences.append("\(kind) \(name) has uid \(uid) in the cluster and \(held.uid) here")
        }
        for text in shown where !held.ranges.contains(Self.canonical(text)) {
            differences.append("\(kind) \(name) shows \(text), which it does not hold here")
        }
        for text in held.ranges.subtracting(shown.map(Self.canonical)).sorted() {
            differences.append("\(kind) \(name) holds \(text) here, which it does not show")
        }
    }

    /// The uids of the stored object.
    private mutating func compare(pod: JSONValue, _ name: String) -> [String] {
        let uid = Self.uid(pod)
        let phase = pod["status"]?["phase"]?.stringValue ?? ""
        let holdsNone = pod["spec"]?["hostNetwork"] == true || ["Succeeded", "Failed"].contains(phase)
        let shown = holdsNone ? [] : Self.podIPs(pod)
        // A static pod's runtime is given another uid than its mirror in the cluster has.
        let hash = pod["metadata"]?["annotations"]?["kubernetes.io/config.hash"]?.stringValue
        var known = [uid, hash].compactMap { $0 }.filter { pods[$0] != nil }
        if known.isEmpty {
            // A pod whose runtime gave no uid is identified by its name and an address.
            known = (podNames[name] ?? []).filter {
                pods[$0]?.ranges.isDisjoint(with: shown.map(Self.canonical)) == false
            }
        }
        guard let held = known.first.flatMap({ pods[$0] }) else {
            if !shown.isEmpty {
                differences.append(
                    "Pod \(name), uid \(uid), shows \(shown.joined(separator: ", ")) and is not known here")
            }
            return known
        }
        for text in shown where !held.ranges.contains(Self.canonical(text)) {
            differences.append("Pod \(name), uid \(uid), shows \(text), which it does not hold here")
        }
        if holdsNone {
            let why = phase.isEmpty || phase == "Running" ? "is of the host's network" : "is over (\(phase))"
            differences.append(
                "Pod \(name), uid \(uid), \(why), and holds \(held.ranges.sorted().joined(separator: ", ")) here")
        }
        if let node = held.nodeName, node != Self.nodeName(pod) {
            differences.append(
                "Pod \(name), uid \(uid), is on Node \(Self.nodeName(pod)) in the cluster and on \(node) here")
        }
        return known
    }

    private mutating func tellRest(of kind: String, _ held: [String: Held], _ seen: Set<String>) {
        for (name, object) in held.sorted(by: { $0.key < $1.key }) where !seen.contains(name) && !object.ranges.isEmpty
        {
            let ranges = object.ranges.sorted().joined(separator: ", ")
            differences.append("\(kind) \(name) holds \(ranges) and is not in the cluster")
        }
    }

    // MARK: Members

    private static func name(_ object: JSONValue) -> String {
        let metadata = object["metadata"]
        let name = metadata?["name"]?.stringValue ?? ""
        guard object["kind"] != "Node" else { return name }
        return "\(metadata?["namespace"]?.stringValue ?? "default")/\(name)"
    }

    private static func uid(_ object: JSONValue) -> String { object["metadata"]?["uid"]?.stringValue ?? "" }

    private static func nodeName(_ pod: JSONValue) -> String { pod["spec"]?["nodeName"]?.stringValue ?? "" }

    private static func clusterIPs(_ service: JSONValue) -> [String] {
        let list = strings(service["spec"]?["clusterIPs"])
        let ips = list.isEmpty ? [service["spec"]?["clusterIP"]?.stringValue ?? ""] : list
        return ips.filter { !$0.isEmpty && $0 != "None" }
    }

    private static func ingress(_ service: JSONValue) -> [String] {
        (service["status"]?["loadBalancer"]?["ingress"]?.arrayValue ?? []).compactMap { $0["ip"]?.stringValue }
    }

    private static func podCIDRs(_ node: JSONValue) -> [String] {
        let list = strings(node["spec"]?["podCIDRs"])
        return list.isEmpty ? [node["spec"]?["podCIDR"]?.stringValue].compactMap { $0 } : list
    }

    private static func podIPs(_ pod: JSONValue) -> [String] {
        let list = (pod["status"]?["podIPs"]?.arrayValue ?? []).compactMap { $0["ip"]?.stringValue }
        return list.isEmpty ? [pod["status"]?["podIP"]?.stringValue].compactMap { $0 }.filter { !$0.isEmpty } : list
    }

    private static func canonical(_ text: String) -> String {
        IPAddress(zeroPadded: text)?.description ?? CIDR(text)?.description ?? text
    }

    private static func strings(_ value: JSONValue?) -> [String] { (value?.arrayValue ?? []).compactMap(\.stringValue) }
}

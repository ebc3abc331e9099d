import Addressing
import TandemAPI

/// Compares a server's answers about its objects, its pools and single addresses with one another.
public struct ConsistencyCheck: Sendable {
    public private(set) var faults: [String] = []
    public private(set) var addresses = 0

    private var owners: [IPAddress: String] = [:]
    /// The server has no service range: cluster IPs are the cluster's, and two Services may show one for a while.
    private var recordsClusterIPs = false
    private var nodes: [String: [CIDR]] = [:]
    /// Services by the node ports that they show.
    private var ports: [Int: Set<String>] = [:]

    /// Reads everything and looks it over. Objects change while it reads: where something does not fit, it reads again,
    /// and a fault counts only if it is in each of `attempts` readings.
    public static func run(_ client: TandemClient, attempts: Int = 3) async throws -> ConsistencyCheck {
        var check = try await read(client)
        for _ in 1..<max(1, attempts) where !check.faults.isEmpty { check = try await read(client) }
        return check
    }

    private static func read(_ client: TandemClient) async throws -> ConsistencyCheck {
        var check = ConsistencyCheck()
        let services = try await client.list(.listServices)
        let nodes = try await client.list(.listNodes)
        let pods = try await client.list(.listPods)
        let pools = try await client.pools()
        check.recordsClusterIPs = !pools.contains { $0["kind"] == "Service" }
        for service in services { check.add(service: service) }
        for node in nodes { check.add(node: node) }
        for pod in pods { check.add(pod: pod) }
        check.compareNodes()
        check.compare(with: pools)
        for (address, owner) in check.owners.sorted(by: { $0.key < $1.key }) {
            let status = try await client.call(.lookupIP, ["ip": .string(address.description)])
            check.compare(status, address, owner)
        }
        check.addresses = check.owners.count
        return check
    }

    // MARK: Objects

    private mutating func add(service: JSONValue) {
        let name = Self.name("Service", service)
        let spec = service["spec"]
        let ips = Self.strings(spec?["clusterIPs"])
        if ips.first != spec?["clusterIP"]?.stringValue { faults.append("\(name): clusterIP is not clusterIPs[0]") }
        let families = Self.strings(spec?["ipFamilies"])
        for (index, ip) in ips.enumerated() where ip != "None" {
            guard let address = IPAddress(zeroPadded: ip),
                index < families.count && address.family.description == families[index]
                    || recordsClusterIPs && families.isEmpty
            else {
                faults.append("\(name): clusterIPs[\(index)] \(ip) is not of ipFamilies[\(index)]")
                continue
            }
            if recordsClusterIPs, let other = owners[address], other.hasPrefix("Service ") { continue }
            own(address, name)
        }
        for text in Self.strings(service["kept"]) {
            if let address = IPAddress(text) { own(address, name) }
            if text.hasPrefix("nodePort/"), let port = Int(text.dropFirst("nodePort/".count)) {
                ports[port, default: []].insert(name)
            }
        }
        for ingress in service["status"]?["loadBalancer"]?["ingress"]?.arrayValue ?? [] {
            if let address = ingress["ip"]?.stringValue.flatMap({ IPAddress($0) }) { own(address, name) }
        }
        for port in Self.nodePorts(spec) { ports[port, default: []].insert(name) }
    }

    /// Those of a type that has any, of its ports and of its health checks. A number is one port, whatever the protocol.
    private static func nodePorts(_ spec: JSONValue?) -> [Int] {
        let type = spec?["type"]?.stringValue
        guard type == "NodePort" || type == "LoadBalancer" else { return [] }
        let isChecked = type == "LoadBalancer" && spec?["externalTrafficPolicy"] == "Local"
        let known = (spec?["ports"]?.arrayValue ?? []).filter {
            ["TCP", "UDP", "SCTP", ""].contains($0["protocol"]?.stringValue ?? "")
        }
        let all = known.map { $0["nodePort"] } + (isChecked ? [spec?["healthCheckNodePort"]] : [])
        return all.compactMap { $0?.intValue }.filter { $0 != 0 }
    }

    private mutating func add(node: JSONValue) {
        let name = node["metadata"]?["name"]?.stringValue ?? ""
        nodes[name] = Self.strings(node["spec"]?["podCIDRs"]).compactMap { CIDR($0) }
    }

    /// Of two CIDRs that overlap one lies in the other: in order it comes first, and all that lie in it come next.
    private mutating func compareNodes() {
        var outer: (cidr: CIDR, node: String)?
        let held = nodes.flatMap { name, cidrs in cidrs.map { (cidr: $0, node: name) } }
        for (cidr, node) in held.sorted(by: { ($0.cidr, $0.node) < ($1.cidr, $1.node) }) {
            guard let outside = outer, outside.cidr.contains(cidr) else {
                outer = (cidr, node)
                continue
            }
            if node != outside.node { faults.append("Nodes \(node) and \(outside.node) both have \(cidr)") }
        }
    }

    private mutating func add(pod: JSONValue) {
        let name = Self.name("Pod", pod)
        let node = pod["spec"]?["nodeName"]?.stringValue ?? ""
        for entry in pod["status"]?["podIPs"]?.arrayValue ?? [] {
            guard let address = entry["ip"]?.stringValue.flatMap({ IPAddress($0) }) else { continue }
            if nodes[node]?.isEmpty ?? true {
                faults.append("\(name): Node \(node) has no pod CIDR, but \(address) would come from one")
            } else if !(nodes[node] ?? []).contains(where: { $0.contains(address) }) {
                faults.append("\(name): \(address) lies in no pod CIDR of Node \(node)")
            }
            own(address, name)
        }
    }

    private mutating func own(_ address: IPAddress, _ name: String) {
        if let other = owners.updateValue(name, forKey: address) {
            faults.append("\(address) has two owners: \(other) and \(name)")
        }
    }

    // MARK: Pools and addresses

    private mutating func compare(with pools: [JSONValue]) {
        let addresses = owners.keys.sorted()
        let services = owners.filter { $0.value.hasPrefix("Service ") }.keys.sorted()
        let podCIDRs = nodes.values.joined().sorted()
        for pool in pools where pool["kind"] == "NodePort" { compare(ports: pool) }
        for pool in pools where pool["kind"] != "NodePort" {
            guard let name = pool["name"]?.stringValue,
                let range = pool["cidr"]?.stringValue.flatMap({ AddressRange($0) }),
                let allocated = pool["allocated"]?.stringValue.flatMap({ Int($0) })
            else {
                faults.append("a pool that can't be read: \(pool.text)")
                continue
            }
            let held: Int
            switch pool["kind"] {
            case "NodeCIDR":
                guard let range = range.cidr else { continue }
                let length = pool["nodeMaskSize"]?.intValue ?? range.prefixLength
                held = Self.subnets(of: range, length, around: podCIDRs, services)
            case "Pod": held = addresses.within(range).count
            default: held = services.within(range).count
            }
            if held != allocated { faults.append("pool \(name) counts \(allocated) allocated, objects hold \(held)") }
        }
    }

    /// Node ports are one Service's each where they are handed out, but for those that came while they were not.
    private mutating func compare(ports pool: JSONValue) {
        let ends = (pool["ports"]?.stringValue ?? "").split(separator: "-").compactMap { Int($0) }
        guard ends.count == 2, ends[0] <= ends[1], let allocated = pool["allocated"]?.stringValue.flatMap({ Int($0) })
        else {
            faults.append("a pool that can't be read: \(pool.text)")
            return
        }
        let held = ports.filter { (ends[0]...ends[1]).contains($0.key) }
        for (port, names) in held.sorted(by: { $0.key < $1.key }) where names.count > 1 {
            faults.append("node port \(port) has \(names.count) owners: \(names.sorted().joined(separator: " and "))")
        }
        if held.count != allocated {
            faults.append("pool nodeports counts \(allocated) allocated, objects hold \(held.count)")
        }
    }

    /// Subnets of a range that are not free, since a node holds one, or something in it is held. Wider CIDRs are left out of the
    /// pool's counts.
    private static func subnets(of range: CIDR, _ length: Int, around podCIDRs: [CIDR], _ services: [IPAddress]) -> Int
    {
        let held = podCIDRs.filter { range.contains($0) && $0.prefixLength >= length }.map(\.network)
        return Set((held + services.within(AddressRange(range))).map { CIDR(containing: $0, prefixLength: length) })
            .count
    }

    private mutating func compare(_ status: JSONValue, _ address: IPAddress, _ owner: String) {
        let kind = status["owner"]?["kind"]?.stringValue ?? "nobody"
        let path = [status["owner"]?["namespace"]?.stringValue, status["owner"]?["name"]?.stringValue].compactMap { $0 }
        let found = "\(kind) \(path.joined(separator: "/"))"
        if status["state"] != "allocated" || found != owner {
            faults.append(
                "\(address) is held by \(owner), but looked up it is \(status["state"]?.stringValue ?? "?") by \(found)"
            )
        }
    }

    private static func name(_ kind: String, _ object: JSONValue) -> String {
        let metadata = object["metadata"]
        return "\(kind) \(metadata?["namespace"]?.stringValue ?? "")/\(metadata?["name"]?.stringValue ?? "")"
    }

    private static func strings(_ value: JSONValue?) -> [String] {
        (value?.arrayValue ?? []).compactMap(\.stringValue)
    }
}

extension [IPAddress] {
    /// Of addresses in order those in a range. O(log count).
    fileprivate func within(_ range: AddressRange) -> ArraySlice<IPAddress> {
        self[firstIndex(sorted: { $0 >= range.first })..<firstIndex(sorted: { $0 > range.last })]
    }

    private func firstIndex(sorted isAfter: (IPAddress) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if isAfter(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}

import ArgumentParser
import ClientOptions
import TandemAPI
import TandemClient

struct Describe: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows all details of Services, Nodes, Pods or pools.",
        discussion: "Of a Node also its Pods, and whether one more pod would get addresses.")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var scope: Namespace

    @Flag(name: [.customShort("A"), .long], help: "All namespaces.")
    var allNamespaces = false

    @OptionGroup var filters: Filters

    @Argument(
        help: "A kind, or several with commas between, and names; or kind/name.",
        completion: .custom(NameCompletion.complete))
    var resources: [String] = []

    func validate() throws {
        let selections = try Selection.parse(resources)
        guard !selections.isEmpty else { throw ValidationError("Give a kind: service, node, pod or pool.") }
        try filters.check(selections)
        guard !selections.contains(where: { $0.kind == .server }) else {
            throw ValidationError("All there is to say of servers \"get servers -o wide\" says.")
        }
    }

    func run() async throws {
        let own = try scope.name(connection)
        let selections = try Selection.parse(resources)
        let texts = try await connection.use { client in
            var texts: [String] = []
            for selection in selections {
                for object in try await objects(selection, own, client) {
                    texts.append(try await details(selection.kind, object, client).text)
                }
            }
            return texts
        }
        if texts.isEmpty { Output.complain("No resources found.") }
        print(texts.joined(separator: "\n"), terminator: "")
    }

    private func objects(
        _ selection: Selection, _ namespace: String, _ client: TandemClient
    ) async throws -> [JSONValue] {
        guard case .object(let kind) = selection.kind else {
            return try selection.pick(try await client.pools()).filter(filters.match)
        }
        guard !selection.names.isEmpty else {
            return try await filters.list(kind, namespace: allNamespaces ? nil : namespace, client)
        }
        var objects: [JSONValue] = []
        for name in selection.names {
            let answer = try await client.call(kind.getMethod, kind.naming(name, in: namespace))
            if let object = answer[kind.word] { objects.append(object) }
        }
        return objects
    }

    private func details(_ kind: Kind, _ object: JSONValue, _ client: TandemClient) async throws -> Details {
        switch kind {
        case .object(.service): return .service(object)
        case .object(.pod): return .pod(object)
        case .object(.node):
            let name = object.shownName
            let check = try? await client.call(.checkNode, ObjectKind.node.naming(name, in: ""))
            let pods = try? await client.list(.listPods, nodeName: name)
            return .node(object, check: check, pods: pods?.sorted { $0.sortKey < $1.sortKey })
        case .pool, .server: return .pool(object)
        }
    }
}

extension Details {
    /// The rows of every object.
    private static func object(_ object: JSONValue, _ middle: (inout Details) -> Void) -> Details {
        let metadata = object["metadata"]
        var details = Details()
        details.add("Name", metadata?["name"].text)
        details.add("Namespace", metadata?["namespace"].text)
        details.add("Labels", metadata?["labels"].pairs ?? [], orNone: true)
        details.add("Annotations", metadata?["annotations"].pairs ?? [], orNone: true)
        middle(&details)
        details.add("Created", metadata?["creationTimestamp"].text)
        details.add("Resource Version", metadata?["resourceVersion"].text)
        details.add("UID", metadata?["uid"].text)
        return details
    }

    fileprivate static func service(_ service: JSONValue) -> Details {
        object(service) { details in
            let spec = service["spec"]
            details.add("Selector", spec?["selector"].pairs.map { [$0.joined(separator: ",")] } ?? [], orNone: true)
            details.add("Type", spec?["type"].text)
            details.add("IP Family Policy", spec?["ipFamilyPolicy"].text)
            details.add("IP Families", spec?["ipFamilies"].texts.joined(separator: ","))
            details.add("IPs", spec?["clusterIPs"].texts ?? [], orNone: true)
            details.add("External Name", spec?["externalName"].text)
            details.add("Load Balancer Class", spec?["loadBalancerClass"].text)
            let ingress = service["status"]?["loadBalancer"]?["ingress"]?.arrayValue ?? []
            details.add(
                "LoadBalancer Ingress", ingress.compactMap { $0["ip"].text }, orNone: spec?["type"] == "LoadBalancer")
            let ports = spec?["ports"]?.arrayValue ?? []
            details.add("Ports", ports.map(port))
            details.add("Node Ports", ports.compactMap { port in port["nodePort"].map { self.port(port, number: $0) } })
            details.add("Health Check Node Port", spec?["healthCheckNodePort"].map { JSONPath.text(of: $0) })
        }
    }

    private static func port(_ port: JSONValue) -> String { Self.port(port, number: port["port"] ?? .null) }

    private static func port(_ port: JSONValue, number: JSONValue) -> String {
        let name = port["name"].text.map { "\($0) " } ?? ""
        return "\(name)\(JSONPath.text(of: number))/\(port["protocol"].text ?? "TCP")"
    }

    fileprivate static func pod(_ pod: JSONValue) -> Details {
        object(pod) { details in
            details.add("Node", pod["spec"]?["nodeName"].text, orNone: true)
            details.add("IPs", (pod["status"]?["podIPs"]?.arrayValue ?? []).compactMap { $0["ip"].text }, orNone: true)
        }
    }

    fileprivate static func node(_ node: JSONValue, check: JSONValue?, pods: [JSONValue]?) -> Details {
        object(node) { details in
            details.add("PodCIDRs", node["spec"]?["podCIDRs"].texts ?? [], orNone: true)
            if let check {
                let reason = check["reason"].text.map { ": \($0)" } ?? ""
                details.add("Ready", check["ready"] == true ? "true" : "false\(reason)")
                details.add(
                    "Addresses Left",
                    (check["families"]?.arrayValue ?? []).map {
                        "\($0["family"].text ?? "") \($0["available"].text ?? "")"
                    })
            }
            guard let pods else { return }
            let rows = pods.map { pod in
                let metadata = pod["metadata"]
                let addresses = (pod["status"]?["podIPs"]?.arrayValue ?? []).compactMap { $0["ip"].text }
                return ["\(metadata?["namespace"].text ?? "")/\(pod.shownName)", addresses.joined(separator: ",")]
            }
            details.add(
                "Pods",
                ["\(pods.count)"]
                    + Output.lines(rows, widths: Output.widths(rows)).split(separator: "\n").map(String.init))
        }
    }

    fileprivate static func pool(_ pool: JSONValue) -> Details {
        var details = Details()
        details.add("Name", pool["name"].text)
        for (name, value) in pool.objectValue?.members ?? [] where name != "name" {
            let words = name.map { $0.isUppercase ? " \($0)" : String($0) }.joined()
            details.add(
                name == "cidr" ? "CIDR" : words.prefix(1).uppercased() + words.dropFirst(), JSONPath.text(of: value))
        }
        return details
    }
}

extension Optional where Wrapped == JSONValue {
    fileprivate var text: String? { self?.stringValue }

    fileprivate var texts: [String] { (self?.arrayValue ?? []).compactMap(\.stringValue) }

    fileprivate var pairs: [String]? {
        self?.objectValue?.members.map { "\($0.name)=\($0.value.stringValue ?? "")" }.sorted()
    }
}

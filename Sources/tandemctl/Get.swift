import ArgumentParser
import ClientOptions
import TandemAPI
import TandemClient

struct Get: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows Services, Nodes, Pods or pools.",
        discussion: "Kinds: service (svc), node (no), pod (po), pool.")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var scope: Namespace

    @Flag(name: [.customShort("A"), .long], help: "All namespaces.")
    var allNamespaces = false

    @Option(name: .shortAndLong, help: "table, wide, yaml or json.")
    var output = Format.table

    @Argument(help: "service, node, pod or pool.")
    var kind: Kind

    @Argument(help: "One object; all of them without.")
    var name: String?

    enum Format: String, CaseIterable, ExpressibleByArgument {
        case table, wide, yaml, json
    }

    func run() async throws {
        let objects = try await connection.use { try await self.objects($0) }
        switch output {
        case .table, .wide: print(table(objects), terminator: "")
        case .yaml: print(Output.yaml(document(objects)), terminator: "")
        case .json: print(Output.json(document(objects)))
        }
    }

    private func objects(_ client: TandemClient) async throws -> [JSONValue] {
        if let name, case .object(let kind) = kind {
            let result = try await client.call(kind.getMethod, kind.naming(name, in: scope.namespace))
            return result[kind.word].map { [$0] } ?? []
        }
        let namespace = kind.isNamespaced && !allNamespaces ? scope.namespace : nil
        let all = try await client.list(kind.listMethod, namespace: namespace)
        guard let name else { return all.sorted { Self.key($0) < Self.key($1) } }
        let named = all.filter { $0["name"]?.stringValue == name }
        guard !named.isEmpty else { throw APIError(.notFound, reason: "NotFound", "pool \"\(name)\" not found") }
        return named
    }

    private static func key(_ object: JSONValue) -> [String] {
        let metadata = object["metadata"]
        return [
            metadata?["namespace"]?.stringValue ?? "", metadata?["name"]?.stringValue ?? "",
            metadata?["uid"]?.stringValue ?? "",
        ]
    }

    private func document(_ objects: [JSONValue]) -> JSONValue {
        if name != nil, let only = objects.first { return only }
        return ["apiVersion": "v1", "kind": "List", "items": .array(objects)]
    }

    private func table(_ objects: [JSONValue]) -> String {
        guard !objects.isEmpty else {
            Output.complain(
                kind.isNamespaced && !allNamespaces
                    ? "No resources found in \(scope.namespace) namespace." : "No resources found.")
            return ""
        }
        let columns = Columns.of(kind, isWide: output == .wide, withNamespace: kind.isNamespaced && allNamespaces)
        return Output.table(columns.map(\.title), objects.map { object in columns.map { $0.text(object) } })
    }
}

private func < (left: [String], right: [String]) -> Bool { left.lexicographicallyPrecedes(right) }

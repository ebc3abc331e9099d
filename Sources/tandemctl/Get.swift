import ArgumentParser
import ClientOptions
import TandemAPI
import TandemClient
import YAMLDocuments

struct Get: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows Services, Nodes, Pods, pools or servers.",
        discussion: "Kinds: service (svc), node (no), pod (po), pool, server.")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var scope: Namespace

    @Flag(name: [.customShort("A"), .long], help: "All namespaces.")
    var allNamespaces = false

    @Option(name: .shortAndLong, help: "table, wide, yaml or json.")
    var output = Format.table

    @Argument(help: "service, node, pod, pool or server.")
    var kind: Kind

    @Argument(help: "One object; all of them without.")
    var name: String?

    enum Format: String, CaseIterable, ExpressibleByArgument {
        case table, wide, yaml, json
    }

    func run() async throws {
        let objects =
            switch kind {
            case .object(let kind): try await connection.use { try await self.objects(kind, $0) }
            case .pool: try named(try await connection.use { try await $0.list(.getPools, namespace: nil) }, "pool")
            case .server: try named(try await servers(), "server")
            }
        switch output {
        case .table, .wide: print(table(objects), terminator: "")
        case .yaml: print(YAMLDocuments.write(document(objects)), terminator: "")
        case .json: print(Output.json(document(objects)))
        }
    }

    private func objects(_ kind: ObjectKind, _ client: TandemClient) async throws -> [JSONValue] {
        if let name {
            let result = try await client.call(kind.getMethod, kind.naming(name, in: scope.namespace))
            return result[kind.word].map { [$0] } ?? []
        }
        let namespace = kind.isNamespaced && !allNamespaces ? scope.namespace : nil
        return try await client.list(kind.listMethod, namespace: namespace).sorted { Self.key($0) < Self.key($1) }
    }

    private func servers() async throws -> [JSONValue] {
        let answer = try await ServerListing.run(try connection.configuration())
        if answer["storage"] == "sqlite" {
            Output.complain("This server keeps everything in a database of its own: no other shares its ranges.")
        }
        return answer["servers"]?.arrayValue ?? []
    }

    /// Those of the name, where one is given.
    private func named(_ all: [JSONValue], _ word: String) throws -> [JSONValue] {
        guard let name else { return all }
        let named = all.filter { $0["name"]?.stringValue == name }
        guard !named.isEmpty else { throw APIError(.notFound, reason: "NotFound", "\(word) \"\(name)\" not found") }
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

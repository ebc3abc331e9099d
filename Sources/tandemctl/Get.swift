import ArgumentParser
import ClientOptions
import TandemAPI
import TandemClient
import YAMLDocuments

struct Get: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows Services, Nodes, Pods, pools or servers.",
        discussion: """
            Kinds: service (svc), node (no), pod (po), pool, server. As with kubectl: "get svc", "get svc a b", "get svc,pods", \
            "get svc/a pod/b".
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var scope: Namespace

    @Flag(name: [.customShort("A"), .long], help: "All namespaces.")
    var allNamespaces = false

    @Option(name: [.customShort("o", allowingJoined: true), .long], help: "table, wide, name, yaml or json.")
    var output = Format.table

    @Flag(name: .shortAndLong, help: "Goes on with what changes, until it is interrupted.")
    var watch = false

    @Argument(
        help: "A kind, or several with commas between, and names; or kind/name.",
        completion: .list(Kind.allValueStrings))
    var resources: [String] = []

    enum Format: String, CaseIterable, ExpressibleByArgument {
        case table, wide, name, yaml, json
    }

    private typealias Found = (kind: Kind, objects: [JSONValue])

    func validate() throws {
        guard !resources.isEmpty else { throw ValidationError("Give a kind: service, node, pod, pool or server.") }
        let selections = try Selection.parse(resources)
        if watch, selections.contains(where: { $0.kind == .pool || $0.kind == .server }) {
            throw ValidationError("Services, Nodes and Pods can be watched; pools and servers can't.")
        }
    }

    func run() async throws {
        let selections = try Selection.parse(resources)
        if watch {
            let watch = GetWatch(selections, namespace: allNamespaces ? nil : scope.namespace, output)
            return try await connection.use { client in try await watch.run(client) }
        }
        var found: [Found] = []
        for selection in selections where selection.kind == .server {
            found.append((.server, try named(try await servers(), selection)))
        }
        let others = selections.filter { $0.kind != .server }
        if !others.isEmpty {
            found = try await connection.use { client in
                var found = found
                for selection in others { found.append((selection.kind, try await self.objects(selection, client))) }
                return found
            }
        }
        let objects = found.flatMap(\.objects)
        switch output {
        case .table, .wide: print(tables(found), terminator: "")
        case .name:
            for (kind, objects) in found {
                for object in objects { print("\(kind.word)/\(Self.name(object).visible)") }
            }
        case .yaml: print(YAMLDocuments.write(document(objects, selections)), terminator: "")
        case .json: print(Output.json(document(objects, selections)))
        }
    }

    private func objects(_ selection: Selection, _ client: TandemClient) async throws -> [JSONValue] {
        guard case .object(let kind) = selection.kind else {
            return try named(try await client.list(.getPools, namespace: nil), selection)
        }
        guard selection.names.isEmpty else {
            var objects: [JSONValue] = []
            for name in selection.names {
                let result = try await client.call(kind.getMethod, kind.naming(name, in: scope.namespace))
                if let object = result[kind.word] { objects.append(object) }
            }
            return objects
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

    /// Those of the names, where some are given.
    private func named(_ all: [JSONValue], _ selection: Selection) throws -> [JSONValue] {
        guard !selection.names.isEmpty else { return all }
        return try selection.names.map { name in
            guard let object = all.first(where: { $0["name"]?.stringValue == name }) else {
                throw APIError(.notFound, reason: "NotFound", "\(selection.kind.word) \"\(name)\" not found")
            }
            return object
        }
    }

    static func name(_ object: JSONValue) -> String {
        object["metadata"]?["name"]?.stringValue ?? object["name"]?.stringValue ?? ""
    }

    static func key(_ object: JSONValue) -> [String] {
        let metadata = object["metadata"]
        return [
            metadata?["namespace"]?.stringValue ?? "", metadata?["name"]?.stringValue ?? "",
            metadata?["uid"]?.stringValue ?? "",
        ]
    }

    /// One object that was asked for by its name by itself, all else as a list.
    private func document(_ objects: [JSONValue], _ selections: [Selection]) -> JSONValue {
        if selections.count == 1, selections[0].names.count == 1, let only = objects.first { return only }
        return ["apiVersion": "v1", "kind": "List", "items": .array(objects)]
    }

    private func tables(_ found: [Found]) -> String {
        let shown = found.filter { !$0.objects.isEmpty }
        guard !shown.isEmpty else {
            let isNamespaced = found.contains { $0.kind.isNamespaced } && !allNamespaces
            Output.complain(
                isNamespaced ? "No resources found in \(scope.namespace) namespace." : "No resources found.")
            return ""
        }
        return shown.map { kind, objects in
            var columns = Columns.of(
                kind, isWide: output == .wide, withNamespace: kind.isNamespaced && allNamespaces)
            // As kubectl does, where names alone would not tell.
            if found.count > 1, let place = columns.firstIndex(where: { $0.title == "NAME" }) {
                let text = columns[place].text
                columns[place].text = { "\(kind.word)/\(text($0))" }
            }
            return Output.table(columns.map(\.title), objects.map { object in columns.map { $0.text(object) } })
        }.joined(separator: "\n")
    }
}

func < (left: [String], right: [String]) -> Bool { left.lexicographicallyPrecedes(right) }

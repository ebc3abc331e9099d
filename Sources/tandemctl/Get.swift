import ArgumentParser
import ClientOptions
import TandemAPI
import TandemClient

struct Get: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows Services, Nodes, Pods, pools or servers.",
        discussion: """
            Kinds: service (svc), node (no), pod (po), pool, server; all is Services and Pods. As with kubectl: "get svc", \
            "get svc a b", "get svc,pods", "get svc/a pod/b".
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var scope: Namespace

    @Flag(name: [.customShort("A"), .long], help: "All namespaces.")
    var allNamespaces = false

    @OptionGroup var filters: Filters
    @OptionGroup var shown: TableOptions

    @Option(
        name: .customLong("sort-by"),
        help: ArgumentHelp("Sort by the value at a path, such as .spec.clusterIP.", valueName: "path"),
        transform: JSONPath.init)
    var order: JSONPath?

    @Flag(name: .shortAndLong, help: "Then show changes as they happen, until interrupted.")
    var watch = false

    @Argument(
        help: "A kind, or several with commas between, and names; or kind/name.",
        completion: .custom(NameCompletion.complete))
    var resources: [String] = []

    private typealias Found = (kind: Kind, objects: [JSONValue])

    func validate() throws {
        guard !resources.isEmpty else { throw ValidationError("Give a kind: service, node, pod, pool or server.") }
        let selections = try Selection.parse(resources)
        try filters.check(selections)
        if watch, selections.contains(where: { $0.kind == .pool || $0.kind == .server }) {
            throw ValidationError("Services, Nodes and Pods can be watched; pools and servers can't.")
        }
        if watch, order != nil {
            throw ValidationError("Changes are shown in the order of their time: leave --sort-by out.")
        }
    }

    func run() async throws {
        let selections = try Selection.parse(resources)
        let own = try scope.name(connection)
        let namespace = allNamespaces ? nil : own
        if watch {
            let watch = GetWatch(selections, namespace: namespace, filters, shown)
            return try await connection.use { client in try await watch.run(client) }
        }
        var found: [Found] = []
        for selection in selections where selection.kind == .server {
            found.append((.server, try selection.pick(try await servers())))
        }
        let others = selections.filter { $0.kind != .server }
        if !others.isEmpty {
            found = try await connection.use { client in
                var found = found
                for selection in others {
                    found.append((selection.kind, try await self.objects(selection, namespace, own, client)))
                }
                return found
            }
        }
        for index in found.indices { found[index].objects = try sorted(found[index].objects.filter(filters.match)) }
        // One object that was asked for by its name by itself, all else as a list.
        let objects = found.flatMap(\.objects)
        let isOne = selections.count == 1 && selections[0].names.count == 1 && objects.count == 1
        let document = isOne ? objects[0] : ["apiVersion": "v1", "kind": "List", "items": .array(objects)]
        let names = found.flatMap { kind, objects in objects.map { "\(kind.word)/\($0.shownName)" } }
        print(try shown.format.text(of: document, named: names) ?? tables(found, own), terminator: "")
    }

    private func objects(
        _ selection: Selection, _ namespace: String?, _ own: String, _ client: TandemClient
    ) async throws -> [JSONValue] {
        guard case .object(let kind) = selection.kind else {
            return try selection.pick(try await client.list(.getPools))
        }
        guard !selection.names.isEmpty else { return try await filters.list(kind, namespace: namespace, client) }
        var objects: [JSONValue] = []
        for name in selection.names {
            let result = try await client.call(kind.getMethod, kind.naming(name, in: own))
            if let object = result[kind.word] { objects.append(object) }
        }
        return objects
    }

    private func servers() async throws -> [JSONValue] {
        let answer = try await ServerListing.run(try connection.configuration())
        if answer["storage"] == "sqlite" {
            Output.complain("This server keeps everything in a database of its own: no other shares its ranges.")
        }
        return answer["servers"]?.arrayValue ?? []
    }

    private func sorted(_ objects: [JSONValue]) throws -> [JSONValue] {
        guard let order else { return objects }
        let keys = try objects.map { object in
            do { return try order.values(in: object).first } catch {
                throw Failure(status: Failure.refused, "error: --sort-by: \(error)")
            }
        }
        // Those of one key stay in the order in which they are.
        return objects.indices.sorted { left, right in
            NaturalOrder.precedes(keys[left], keys[right])
                || left < right && !NaturalOrder.precedes(keys[right], keys[left])
        }.map { objects[$0] }
    }

    private func tables(_ found: [Found], _ namespace: String) -> String {
        let filled = found.filter { !$0.objects.isEmpty }
        guard !filled.isEmpty else {
            let isNamespaced = found.contains { $0.kind.isNamespaced } && !allNamespaces
            Output.complain(
                isNamespaced ? "No resources found in \(namespace) namespace." : "No resources found.")
            return ""
        }
        if case .customColumns(let columns) = shown.format { return shown.table(columns, filled.flatMap(\.objects)) }
        return filled.map { kind, objects in
            var columns = shown.columns(of: kind, withNamespace: kind.isNamespaced && allNamespaces)
            // As kubectl does, where names alone would not tell.
            if found.count > 1, let place = columns.firstIndex(where: { $0.title == "NAME" }) {
                let text = columns[place].text
                columns[place].text = { "\(kind.word)/\(text($0))" }
            }
            return shown.table(columns, objects)
        }.joined(separator: "\n")
    }
}

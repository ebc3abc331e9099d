import ArgumentParser
import ClientOptions
import TandemAPI
import TandemClient

struct Delete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Deletes Services, Nodes or Pods, and releases their addresses.",
        discussion: """
            They are named, or come in manifests with -f, or are all of a namespace with --all: of one kind, or, where \
            --namespace is given, its Services and Pods.
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var manifests: ManifestOptions

    @OptionGroup var scope: Namespace
    @OptionGroup var filters: Filters
    @OptionGroup var dryRun: DryRunOption

    @Flag(help: "All of the namespace; of nodes, all.")
    var all = false

    @Flag(help: "For nodes: release their pods too.")
    var force = false

    @Flag(help: "Succeed where there is no such object.")
    var ignoreNotFound = false

    @Argument(
        help: "A kind, or several with commas between, and names; or kind/name.",
        completion: .custom(NameCompletion.complete))
    var resources: [String] = []

    func validate() throws {
        guard manifests.filename.isEmpty else {
            guard resources.isEmpty, !all, !filters.areGiven else {
                throw ValidationError("-f names the objects to delete: give no kind, no name, no -l, no --all.")
            }
            return
        }
        let selections = try Selection.parse(resources)
        guard !selections.isEmpty || all && scope.namespace != nil else {
            throw ValidationError("Give a kind with names, -f with manifests, or --all with a kind or a namespace.")
        }
        for selection in selections {
            guard case .object(let kind) = selection.kind else {
                throw ValidationError(
                    "A pool goes with its range: change the servers' flags. A server goes when it is stopped.")
            }
            if force, kind != .node { throw ValidationError("--force is for nodes.") }
            if (all || filters.areGiven) != selection.names.isEmpty {
                throw ValidationError(
                    all ? "Give names or --all." : "Give the name of a \(kind.word), -l with labels, or --all.")
            }
        }
        try filters.check(selections)
    }

    func run() async throws {
        let given = manifests.filename.isEmpty ? nil : try manifests.read(namespace: scope.name(connection))
        try await connection.use { client in
            let objects = if let given { given } else { try await objects(client) }
            var outcomes = Outcomes(objects)
            defer { outcomes.stop() }
            let deleter = Deleter(
                client: client, isForced: force, isForgiving: ignoreNotFound || all, isDryRun: dryRun.isGiven)
            try await deleter.delete(objects) { outcomes.note($0) }
            if objects.isEmpty { Output.complain("No resources found.") }
            try outcomes.finish("deleted")
        }
    }

    private func objects(_ client: TandemClient) async throws -> [Manifest] {
        let namespace = try scope.name(connection)
        var selections = try Selection.parse(resources)
        if selections.isEmpty {
            selections = [ObjectKind.service, .pod].map { Selection(kind: .object($0), names: []) }
        }
        var objects: [Manifest] = []
        for selection in selections {
            guard case .object(let kind) = selection.kind else { continue }
            var names = selection.names
            if names.isEmpty { names = try await filters.list(kind, namespace: namespace, client).map(\.shownName) }
            objects += names.map { Manifest(kind: kind, namespace: namespace, name: $0) }
        }
        return objects
    }
}

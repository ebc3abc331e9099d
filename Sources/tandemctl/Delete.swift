import ArgumentParser
import ClientOptions
import TandemAPI
import TandemClient

struct Delete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Releases what Services, Nodes or Pods hold, and forgets them.",
        discussion: """
            They are named, or come in manifests with -f, or are all of a namespace with --all: of one kind, or, where \
            --namespace is given, its Services and Pods.
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var manifests: ManifestOptions

    @Option(
        name: [.customShort("n", allowingJoined: true), .long], help: "The namespace. (default: default)")
    var namespace: String?

    @Flag(help: "All of the namespace; of nodes, all that there are.")
    var all = false

    @Flag(help: "For nodes: release their pods too.")
    var force = false

    @Flag(help: "Succeed where there is no such object.")
    var ignoreNotFound = false

    @Argument(help: "A kind, or several with commas between, and names; or kind/name.")
    var resources: [String] = []

    func validate() throws {
        guard manifests.filename.isEmpty else {
            guard resources.isEmpty, !all else {
                throw ValidationError("-f says what is deleted: give no kind, no name, no --all.")
            }
            return
        }
        let selections = try Selection.parse(resources)
        guard !selections.isEmpty || all && namespace != nil else {
            throw ValidationError("Give a kind with names, -f with manifests, or --all with a kind or a namespace.")
        }
        for selection in selections {
            guard case .object(let kind) = selection.kind else {
                throw ValidationError(
                    "A pool goes with its range: change the servers' flags. A server goes when it is stopped.")
            }
            if force, kind != .node { throw ValidationError("--force is for nodes.") }
            if all != selection.names.isEmpty {
                throw ValidationError(all ? "Give names or --all." : "Give the name of a \(kind.word), or --all.")
            }
        }
    }

    func run() async throws {
        let given = manifests.filename.isEmpty ? nil : try manifests.read(namespace: namespace ?? "default")
        try await connection.use { client in
            let objects = if let given { given } else { try await objects(client) }
            var outcomes = Outcomes(objects.map(\.label))
            defer { outcomes.stop() }
            let deleter = Deleter(client: client, isForced: force, isForgiving: ignoreNotFound || all)
            try await deleter.delete(objects) { outcomes.note($0) }
            if objects.isEmpty { Output.complain("No resources found.") }
            try outcomes.finish("deleted")
        }
    }

    private func objects(_ client: TandemClient) async throws -> [Manifest] {
        let namespace = namespace ?? "default"
        var selections = try Selection.parse(resources)
        if selections.isEmpty {
            selections = [ObjectKind.service, .pod].map { Selection(kind: .object($0), names: []) }
        }
        var objects: [Manifest] = []
        for selection in selections {
            guard case .object(let kind) = selection.kind else { continue }
            var names = selection.names
            if all {
                let list = try await client.list(kind.listMethod, namespace: kind.isNamespaced ? namespace : nil)
                names = list.compactMap { $0["metadata"]?["name"]?.stringValue }.sorted()
            }
            objects += names.map { Manifest(kind: kind, namespace: namespace, name: $0) }
        }
        return objects
    }
}

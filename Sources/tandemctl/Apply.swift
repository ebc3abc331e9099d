import ArgumentParser
import ClientOptions
import TandemAPI

struct Apply: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Allocates for manifests, or merges them into what is there.",
        discussion: """
            Services are created, or the manifest is merged into the live object, which is then updated; Nodes are \
            registered; Pods get their addresses. Objects of other kinds are passed over with a word.
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var manifests: ManifestOptions

    @OptionGroup var scope: Namespace
    @OptionGroup var dryRun: DryRunOption

    @Option(
        name: .customLong("validate"),
        help: """
            What members do that no Service, Node or Pod has: strict refuses the object, warn says so, ignore passes them over.
            """)
    var validation = Validation.warn

    func validate() throws {
        if manifests.filename.isEmpty {
            throw ValidationError("Give the manifests with -f: a file, a directory, or -.")
        }
    }

    func run() async throws {
        let read = try manifests.read(namespace: scope.name(connection))
        var outcomes = Outcomes(read)
        defer { outcomes.stop() }
        let valid = validation.check(read) { index, error in outcomes.note([(index, .failure(error))]) }
        guard !valid.isEmpty else { return try outcomes.finish("applied") }
        try await connection.use { client in
            try await Applier(client: client, isDryRun: dryRun.isGiven).apply(valid.map { read[$0] }) { results in
                outcomes.note(results.map { (valid[$0.index], $0.result) })
            }
        }
        try outcomes.finish("applied")
    }
}

import ArgumentParser
import ClientOptions
import TandemAPI

struct Apply: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Allocates addresses for manifests, or merges them into existing objects.",
        discussion: """
            Services are created, or the manifest is merged into the live object, which is then updated; Nodes are \
            registered; Pods get their addresses. Objects of other kinds are skipped with a message.
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var manifests: ManifestOptions

    @OptionGroup var scope: Namespace
    @OptionGroup var dryRun: DryRunOption

    @Option(
        name: .customLong("validate"),
        help: """
            Unknown members of an object: strict refuses the object, warn prints a message, ignore skips them.
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

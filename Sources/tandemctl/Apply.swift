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

    @Option(
        name: [.customShort("n", allowingJoined: true), .long], help: "The namespace of objects that name none.")
    var namespace = "default"

    @Flag(help: "Decide and check everything, keep nothing.")
    var dryRun = false

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
        let read = try manifests.read(namespace: namespace)
        var outcomes = Outcomes(read.map(\.label))
        defer { outcomes.stop() }
        let valid = validation.check(read) { index, error in outcomes.note([(index, .failure(error))]) }
        guard !valid.isEmpty else { return try outcomes.finish("applied") }
        try await connection.use { client in
            try await Applier(client: client, isDryRun: dryRun).apply(valid.map { read[$0] }) { results in
                outcomes.note(results.map { (valid[$0.index], $0.result) })
            }
        }
        try outcomes.finish("applied")
    }
}

import ArgumentParser
import ClientOptions

struct Namespace: ParsableArguments {
    @Option(
        name: [.customShort("n"), .long],
        help: "The namespace. (default: the context's, or default)")
    var namespace: String?

    /// Throws `UsageError`. Blocks.
    func name(_ connection: ConnectionOptions) throws -> String {
        try namespace ?? connection.context()?.namespace ?? "default"
    }
}

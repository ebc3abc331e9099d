import ArgumentParser
import ClientOptions
import TandemAPI
import TandemClient

struct Version: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Shows the versions of this program and of the server.")

    @OptionGroup var connection: ConnectionOptions

    @Flag(help: "Only this program's version; the server is not asked.")
    var client = false

    func run() async throws {
        print("tandemctl \(BuildInfo.text)")
        if client { return }
        let document = try await connection.use { try await $0.call(.discover) }
        print("tandemd   \(document["info"]?["version"]?.stringValue ?? "unknown")".visible)
    }
}

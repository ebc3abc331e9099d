import ArgumentParser
import ClientOptions
import NIOCore
import TandemClient

struct Health: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tests whether the server serves calls: for health checks without a shell.",
        discussion:
            "Needs no certificate but the CA's. Exit status 1 where it does not serve, 3 where it does not answer.")

    @OptionGroup var connection: ConnectionOptions

    @Flag(help: "Test liveness rather than readiness.")
    var live = false

    @Option(help: ArgumentHelp("How long to wait, in seconds, 1 to 60.", valueName: "seconds"))
    var timeout = 5

    func run() async throws {
        guard (1...60).contains(timeout) else { throw UsageError("--timeout: \(timeout) is not from 1 to 60") }
        let answer = try await HealthProbe.run(
            connection.configuration(), path: live ? "/livez?verbose" : "/readyz?verbose",
            timeout: .seconds(Int64(timeout)))
        guard answer.isHealthy else { throw Failure(status: Failure.refused, answer.text) }
        print(answer.text, terminator: "")
    }
}

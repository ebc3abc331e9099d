import ArgumentParser
import ClientOptions
import TandemClient

struct Check: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Holds the stored objects, the pools and single addresses to one another.",
        discussion: "Exit status 1 and a line for each fault where they do not agree.")

    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
        let check = try await connection.use { try await ConsistencyCheck.run($0) }
        guard check.faults.isEmpty else {
            throw Failure(status: Failure.refused, check.faults.map { "fault: \($0)" }.joined(separator: "\n"))
        }
        print("ok: \(check.addresses) addresses, each with one owner; pools and objects agree")
    }
}

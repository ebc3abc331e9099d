import ArgumentParser
import ClientOptions
import TandemAPI
import TandemClient

struct BackupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract:
            "Saves a copy of everything that the server, or the servers, store; tandemd --restore starts from it.",
        discussion:
            "The server goes on serving; every change acknowledged before is in the copy. Needs an administrator's certificate."
    )

    @OptionGroup var connection: ConnectionOptions

    @Argument(help: "The file to create.")
    var file: String

    func run() async throws {
        do {
            let bytes = try await BackupDownload.run(connection.configuration(), to: file)
            print(
                "\(file): \(bytes) bytes; start from it with: tandemd --restore \(file) --data-dir DIR, or --etcd-servers URLS"
            )
        } catch let error as BackupRefused {
            throw Failure(status: Failure.refused, "error: \("\(error)".visible)")
        }
    }
}

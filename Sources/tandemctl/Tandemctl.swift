import ArgumentParser
import ClientOptions
import Foundation
import TandemAPI

/// `tandemctl`: the command line for the server. It works as `kubectl` does.
@main
struct Tandemctl: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tandemctl",
        abstract: "Requests addresses from a Tandem server, and shows their owners.",
        discussion: """
            The server is found by --server, --ca-file, --cert-file and --key-file; by TANDEM_SERVER, TANDEM_CA_FILE, \
            TANDEM_CERT_FILE and TANDEM_KEY_FILE; or by the current context of the file that TANDEM_CONFIG names, else of \
            ~/.tandem/config. Of several servers of one range, --server a:8443,b:8443, the next one is asked where one is not \
            reached or can't serve.

            Exit status: 0 done, 1 refused by the server, 2 wrong usage, 3 server not reached.
            """,
        version: "tandemctl \(BuildInfo.text)",
        subcommands: [
            Get.self, Describe.self, Apply.self, Diff.self, Edit.self, Delete.self, Wait.self, Import.self, Lookup.self,
            Check.self, DashboardCommand.self, Masquerade.self, Flags.self, BackupCommand.self, JournalCommand.self,
            Health.self, Auth.self,
            ConfigCommand.self, CompletionCommand.self, Version.self,
        ])

    static func main() async {
        do {
            let words = try CommandLineWords.arranged(Array(CommandLine.arguments.dropFirst()), for: Tandemctl.self)
            var command = try await asyncParseAsRoot(words)
            if let completion = command as? CompletionCommand {
                print(completionScript(for: completion.shell.ofParser))
            } else if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            leave(error)
        }
    }

    private static func leave(_ error: any Error) -> Never {
        if let failure = Failure(error) {
            Output.complain(lines: failure.text)
            Foundation.exit(failure.status)
        }
        // The command has printed everything; only its status is left.
        if let code = error as? ExitCode { Foundation.exit(code.rawValue) }
        let text = usageText(for: error)
        let isHelp = exitCode(for: error) == .success
        if isHelp { print(text) } else if !text.isEmpty { Output.complain(lines: text) }
        Foundation.exit(isHelp ? 0 : Failure.wrongUsage)
    }
}

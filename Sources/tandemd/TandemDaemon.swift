import ArgumentParser
import TandemAPI
import TandemServer

/// The server's command line: flags in, exit status out.
@main
struct TandemDaemon: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tandemd",
        abstract: "Hands out IPv4 and IPv6 addresses that ride together: to Services, nodes and pods.",
        discussion: """
            Flags are named as kube-apiserver, kube-controller-manager and kube-proxy name them. A YAML file given \
            with --config may set any of them by the same name; a flag on the command line wins.

            Exit status: 0 after a graceful shutdown, 1 when the server can't start or storage fails, 64 for a command \
            line that can't be read.
            """,
        version: OpenRPC.version)

    @OptionGroup(title: "Ranges") var ranges: RangeOptions
    @OptionGroup(title: "Serving") var serving: ServingOptions
    @OptionGroup(title: "Running") var running: RunningOptions

    func run() async throws {
        let given = Settings(ranges.settings.merging(serving.settings) { $1 }.merging(running.settings) { $1 })
        do {
            let file = try running.config.map { try SettingsFile.read($0) } ?? Settings()
            let settings = file.overridden(by: given)
            if let backup = running.restore { try Daemon.restore(backup, settings) }
            try await Daemon.run(settings)
        } catch {
            StandardError.write("tandemd: \(error)\n")
            throw ExitCode(1)
        }
    }
}

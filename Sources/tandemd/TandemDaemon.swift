import ArgumentParser
import Foundation
import LineLogs
import TandemAPI
import TandemServer

/// The server's command line: flags in, exit status out.
@main
struct TandemDaemon: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tandemd",
        abstract: "Assigns IPv4 and IPv6 addresses to Services, nodes and pods.",
        discussion: """
            Flags are named as kube-apiserver, kube-controller-manager and kube-proxy name them. Each can be set in \
            three places, with the same meaning: on the command line, in the environment (--secure-port as \
            TANDEM_SECURE_PORT), and in a YAML file (secure-port: 8443) that --config or TANDEM_CONFIG names. The \
            command line wins over the environment, and both over the file. --check-config checks them all.

            SIGTERM and SIGINT drain and end the server; SIGUSR1 makes its log more verbose, SIGUSR2 less.

            Exit status: 0 after a graceful shutdown, 1 when the server can't start or storage fails, 64 for a command \
            line that can't be read.
            """,
        version: BuildInfo.text)

    @OptionGroup(title: "Ranges") var ranges: RangeOptions
    @OptionGroup(title: "Serving") var serving: ServingOptions
    @OptionGroup(title: "Storage on etcd") var storage: StorageOptions
    @OptionGroup(title: "Running") var running: RunningOptions
    @OptionGroup(title: "Logs") var logs: LogOptions

    func run() async throws {
        do {
            let sources = try sources()
            let settings = sources.reduce(Settings()) { $0.overridden(by: $1.settings) }
            if running.checkConfig { return try check(settings, sources) }
            if let backup = running.restore { try Daemon.restore(backup, settings) }
            try await Daemon.run(settings)
        } catch {
            StandardError.write("tandemd: \(error)\n")
            throw ExitCode(1)
        }
    }

    /// Where settings come from; those behind win.
    private func sources() throws -> [(name: String, settings: Settings)] {
        let environment = ProcessInfo.processInfo.environment
        let groups = [ranges.settings, serving.settings, storage.settings, running.settings, logs.settings]
        let file =
            if let file = running.config {
                (file, try SettingsFile.read(file))
            } else if let file = environment["TANDEM_CONFIG"], !(try SettingsFile.isOfContexts(file)) {
                (file, try SettingsFile.read(file))
            } else {
                ("", Settings())
            }
        return [
            file,
            ("environment", Settings(environment: environment)),
            ("command line", Settings(groups.reduce([:]) { $0.merging($1) { $1 } })),
        ]
    }

    /// `--check-config`: every setting as YAML, as it is in force, and where it comes from. The text is a file for `--config`.
    private func check(_ settings: Settings, _ sources: [(name: String, settings: Settings)]) throws {
        let inForce = try Daemon.check(settings).inForce
        for (name, value) in inForce.sorted(by: { $0.key < $1.key }) {
            let given = settings.values[name].flatMap { $0.isEmpty ? nil : $0 }
            let source = given == nil ? "default" : sources.last { $0.settings.values[name] != nil }?.name ?? ""
            print("\(name): \"\(given ?? value)\"  # \(source)")
        }
    }
}

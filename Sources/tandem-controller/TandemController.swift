import ArgumentParser
import ClientOptions
import Foundation
import LineLogs
import TandemAPI

/// `tandem-controller`: brings the objects of a Kubernetes cluster and Tandem together.
@main
struct TandemController: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tandem-controller",
        abstract:
            "Assigns addresses from Tandem to a Kubernetes cluster's nodes, load balancers and pods, and releases them.",
        discussion: """
            Existing addresses are adopted unchanged, and objects of other controllers are not touched. Kubernetes is found by --kubeconfig, or \
            from inside of a pod; Tandem by --server, --ca-file, --cert-file and --key-file, or by TANDEM_SERVER, TANDEM_CA_FILE, \
            TANDEM_CERT_FILE and TANDEM_KEY_FILE, with a certificate of the groups tandem:services and tandem:pods, or tandem:admin. Of several \
            processes one leads, by a Lease; a process that loses it exits at once.

            SIGTERM and SIGINT end it; SIGUSR1 makes its log more verbose, SIGUSR2 less.

            Exit status: 0 stopped by a signal, 1 refused or the lease was lost, 2 wrong usage, 3 not reached.
            """,
        version: BuildInfo.text,
        subcommands: [UninstallCommand.self])

    @OptionGroup(title: "Tandem") var connection: ConnectionOptions
    @OptionGroup(title: "Kubernetes") var cluster: ClusterOptions
    @OptionGroup(title: "Work") var work: WorkOptions
    @OptionGroup(title: "Running") var running: RunningOptions
    @OptionGroup(title: "Logs") var logs: LogOptions

    func run() async throws {
        try await Execution(connection, cluster, work, running, logs).run()
    }

    static func main() async {
        do {
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
            Logs.flush()
        } catch {
            leave(error)
        }
    }

    private static func leave(_ error: any Error) -> Never {
        if let failure = Failure(error) {
            StandardError.write("tandem-controller: \(failure.text.visible)\n")
            Foundation.exit(failure.status)
        }
        let text = usageText(for: error)
        let isHelp = exitCode(for: error) == .success
        if isHelp { print(text) } else if !text.isEmpty { StandardError.write(text + "\n") }
        Foundation.exit(isHelp ? 0 : Failure.wrongUsage)
    }
}

struct UninstallCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "uninstall",
        abstract: "Takes the finalizers off the cluster's Services, so that they can be deleted without this program.",
        discussion: """
            Addresses stay as they are, in the cluster and in Tandem. Stop the controllers first: it waits until none of them holds the lease, \
            for half a minute at most.
            """)

    @OptionGroup(title: "Tandem") var connection: ConnectionOptions
    @OptionGroup(title: "Kubernetes") var cluster: ClusterOptions
    @OptionGroup(title: "Work") var work: WorkOptions
    @OptionGroup(title: "Logs") var logs: LogOptions

    func run() async throws {
        try await Execution(connection, cluster, work, nil, logs).uninstall()
    }
}

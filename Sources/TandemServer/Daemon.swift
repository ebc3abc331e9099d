import IPAM
import Ledger
import Logging
import ServiceLifecycle
import UnixSignals

/// A server as a process runs it: started, served until SIGTERM or SIGINT, drained.
public enum Daemon {
    /// Returns after a graceful shutdown; throws what kept the server from starting, or made it stop.
    public static func run(_ settings: Settings) async throws {
        let configuration = try ServerConfiguration(settings)
        OpenFiles.raiseLimit()
        let server = try await Server.start(configuration, logger: Logs.logger(configuration))
        let group = ServiceGroup(
            configuration: .init(
                services: [.init(service: server, successTerminationBehavior: .gracefullyShutdownGroup)],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: Logs.quiet))
        try await group.run()
    }

    /// Makes the data directory's database out of a backup. Blocks.
    public static func restore(_ backup: String, _ settings: Settings) throws {
        let configuration = try ServerConfiguration(settings)
        do throws(LedgerError) {
            try Backup.restore(from: backup, into: configuration.dataDirectory)
        } catch {
            throw ConfigurationFault("restore", error.message)
        }
    }
}

import Glibc
import IPAM
import Ledger
import LineLogs
import Logging
import ServiceLifecycle
import UnixSignals

/// A server as a process runs it: started, served until SIGTERM or SIGINT, drained.
public enum Daemon {
    /// Returns after a graceful shutdown; throws the error that prevented the start, or stopped the server.
    public static func run(_ settings: Settings) async throws {
        let configuration = try ServerConfiguration(settings)
        let logger = Logs.logger("tandemd", configuration.logFormat, configuration.logLevel)
        defer { Logs.flush() }
        OpenFiles.raiseLimit()
        // A file that may not grow further is an error like any other of a disk, not the end.
        signal(SIGXFSZ, SIG_IGN)
        let levelSignals = await LogLevelSignals(Logs.level, logger)
        let server = try await Server.start(configuration, logger: logger)
        let group = ServiceGroup(
            configuration: .init(
                services: [
                    .init(service: levelSignals),
                    .init(service: server, successTerminationBehavior: .gracefullyShutdownGroup),
                ],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: Logs.quiet))
        try await group.run()
    }

    /// Checks everything that needs no running server: every setting, and the files that they name. Blocks.
    public static func check(_ settings: Settings) throws -> ServerConfiguration {
        let configuration = try ServerConfiguration(settings)
        _ = try Startup.tlsContext(configuration)
        if case .etcd(let settings) = configuration.storage { try Startup.checkFiles(settings) }
        return configuration
    }
}

import IPAM
import Ledger
public import Logging
import NIOCore
import NIOPosix
import OpenSSLTLS
public import ServiceLifecycle
import UnixSignals

/// A server from its configuration to its last answer: `start` opens everything, `run` serves until it is told to stop.
public final class Server: Service {
    public let configuration: ServerConfiguration
    private let engine: Engine
    private let service: RPCService
    private let group: MultiThreadedEventLoopGroup
    private let listener: any Channel
    private let connections: Connections
    private let health: Health
    private let certificates: CertificateReload
    private let audit: BackgroundAudit
    private let logger: Logger

    /// The port that is listened on; the one that was picked where the configuration says 0.
    public let port: Int

    /// Opens files, storage and the port. Blocks until what is stored has been read.
    ///
    /// Throws `ConfigurationFault` where a flag must change; other errors say themselves what to do.
    public static func start(_ configuration: ServerConfiguration, logger: Logger) async throws -> Server {
        let certificates = try Startup.certificates(configuration, logger)
        let engine = try Startup.engine(configuration)
        logger.debug("storage is read", metadata: ["dataDirectory": "\(configuration.dataDirectory)"])
        let journal = engine.journal
        let health = Health { journal.fault?.message }
        let calls = CallMetrics()
        let connections = Connections(maximum: configuration.limits.connections)
        let audit = BackgroundAudit(engine, logger)
        let service = RPCService(engine: engine, metrics: calls, health: health)
        let setup = ConnectionSetup(
            certificates: certificates, limits: configuration.limits, service: service,
            operations: Operations(health: health, backups: BackupStream(directory: configuration.dataDirectory)) {
                MetricsText.render(engine: engine, calls: calls, connections: connections.count, audit: audit.status)
            },
            anonymous: configuration.clientAuthentication == .none ? .administrator : nil, logger: logger)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: configuration.eventLoops)
        do {
            let listener = try await Startup.bind(configuration, group, setup, connections)
            return Server(
                configuration, engine, service, group, listener, connections, health, certificates, audit, logger)
        } catch {
            engine.journal.stop()
            try? await group.shutdownGracefully()
            throw error
        }
    }

    private init(
        _ configuration: ServerConfiguration, _ engine: Engine, _ service: RPCService,
        _ group: MultiThreadedEventLoopGroup, _ listener: any Channel, _ connections: Connections, _ health: Health,
        _ certificates: CertificateReload, _ audit: BackgroundAudit, _ logger: Logger
    ) {
        self.configuration = configuration
        self.engine = engine
        self.service = service
        self.group = group
        self.listener = listener
        self.connections = connections
        self.health = health
        self.certificates = certificates
        self.audit = audit
        self.logger = logger
        port = listener.localAddress?.port ?? configuration.securePort
    }

    /// Serves until a graceful shutdown is asked for, then drains: no new connection, calls under way are finished,
    /// storage is checkpointed and closed.
    ///
    /// Throws if storage fails for good while serving: what was acknowledged is safe, and a restart reads it again.
    public func run() async throws {
        // Trapped before anybody can know that the server is there: the signal's own effect is to end it.
        let hangups = await UnixSignalsSequence(trapping: .sighup)
        async let _ = certificates.run(hangups)
        async let _ = audit.run()
        health.enter(.serving)
        logger.notice(
            "ready", metadata: ["address": "\(Startup.text(configuration.bindAddress, port: port))"])
        let failure = await withGracefulShutdownHandler {
            await firstEnd()
        } onGracefulShutdown: {
            self.listener.close(promise: nil)
        }
        await drain()
        if let failure { throw failure }
        logger.notice("stopped")
    }

    /// Returns when the listener is closed, or storage has failed for good.
    private func firstEnd() async -> LedgerError? {
        let journal = engine.journal
        journal.onFailure { _ in self.listener.close(promise: nil) }
        try? await listener.closeFuture.get()
        return journal.fault
    }

    private func drain() async {
        health.enter(.draining)
        logger.info("draining", metadata: ["connections": "\(connections.count)"])
        let (connections, service, journal) = (connections, service, engine.journal)
        await withTaskGroup(of: Void.self) { tasks in
            let seconds = configuration.shutdownTimeoutSeconds
            tasks.addTask {
                // Calls under way are in the journal's queue, or wait for one that is.
                while service.inFlight > 0, journal.fault == nil, !Task.isCancelled {
                    await withCheckedContinuation { continuation in journal.flush { continuation.resume() } }
                }
                await connections.closeAll()
            }
            tasks.addTask { try? await Task.sleep(for: .seconds(seconds)) }
            await tasks.next()
            tasks.cancelAll()
        }
        engine.journal.stop()
        try? await group.shutdownGracefully()
    }
}

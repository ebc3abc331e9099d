import EtcdLog
import Foundation
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
    private let hubs: WatchHubs
    private let group: MultiThreadedEventLoopGroup
    private let listener: any Channel
    private let connections: Connections
    private let health: Health
    private let records: CallRecords
    private let notify = NotifySocket(ProcessInfo.processInfo.environment)
    private let certificates: CertificateReload
    private let audit: BackgroundAudit
    private let memory: MemoryWatch
    private let recovery: Recovery
    private let logger: Logger

    /// The port that is listened on; the one that was picked where the configuration says 0.
    public let port: Int

    /// Opens files, storage and the port. Blocks until the store has been read.
    ///
    /// Throws `ConfigurationFault` where a flag must change; other errors name the remedy themselves.
    public static func start(_ configuration: ServerConfiguration, logger: Logger) async throws -> Server {
        ProcessStatistics.begin()
        let lines = LineLimits()
        let connections = try Startup.connections(configuration, lines, logger)
        let certificates = try Startup.certificates(configuration, logger)
        let memory = MemoryWatch(limit: configuration.memoryLimit ?? MemoryWatch.defaultLimit(), logger)
        let ((engine, log), recovery) = try Recovery.measure {
            try Startup.engine(configuration, memory, logger)
        } _: {
            $0.0.objectCounts
        }
        let sharedLog = log as? EtcdLog
        logger.debug("storage is read", metadata: ["storage": "\(configuration.storage.place)"])
        warn(of: engine.outsideRanges, logger)
        let health = Health {
            (sharedLog?.checks ?? []).map { Health.Check(name: $0.name, fault: $0.fault, note: $0.note) }
        } storageFault: {
            engine.impairment?.message
        }
        let calls = CallMetrics()
        let budget = BufferBudget(maximumBytes: configuration.limits.bufferedBytes(of: memory.limit))
        let records = try Startup.records(configuration, lines, logger)
        let audit = BackgroundAudit(engine, logger)
        let service = RPCService(engine: engine, metrics: calls, health: health, records: records)
        let hubs = WatchHubs(engine, idleTimeout: configuration.limits.idleTimeout)
        let exposition = Exposition(
            engine: engine, calls: calls, connections: connections, budget: budget, health: health,
            certificates: certificates, auditLog: records.audit, audit: audit, memory: memory, sharedLog: sharedLog,
            watches: hubs.metrics, lines: lines)
        let setup = ConnectionSetup(
            certificates: certificates, limits: configuration.limits, service: service, budget: budget,
            pace: RefusalPace(eventLoops: configuration.eventLoops),
            operations: Operations(
                health: health, backups: BackupStream(engine, configuration.storage, log),
                servers: ServerList(
                    sharedLog, address: configuration.bindAddress.text(withPort: configuration.securePort),
                    health: health)
            ) {
                exposition.text()
            }, hubs: hubs, connections: connections,
            anonymous: configuration.clientAuthentication == .none ? .administrator : nil,
            failures: HandshakeFailures(connections.metrics, lines, logger), logger: logger)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: configuration.eventLoops)
        do {
            let listener = try await Startup.bind(configuration, group, setup, connections, lines, logger)
            return Server(
                configuration, engine, service, hubs, group, listener, connections, health, records, certificates,
                audit, memory, recovery, logger)
        } catch {
            engine.stop()
            try? await group.shutdownGracefully()
            throw error
        }
    }

    /// One line for each kind, whatever the number.
    private static func warn(of ranges: OutsideRanges, _ logger: Logger) {
        if !ranges.isEmpty {
            logger.warning(
                "stored addresses lie in no configured range: they are served, and assigned to no other object; where a range was changed by mistake, put it back",
                metadata: [
                    "serviceAddresses": "\(ranges.serviceAddresses)", "podCIDRs": "\(ranges.podCIDRs)",
                    "nodePorts": "\(ranges.nodePorts)",
                    "example": "\(ranges.example ?? "")",
                ])
        }
        if ranges.overlaps > 0 {
            logger.warning(
                "pod CIDRs of nodes overlap, as an earlier release gave them out: they are served, and nothing of an overlap is given to a second pod; tandemctl check names the nodes",
                metadata: ["pairs": "\(ranges.overlaps)"])
        }
    }

    private init(
        _ configuration: ServerConfiguration, _ engine: Engine, _ service: RPCService, _ hubs: WatchHubs,
        _ group: MultiThreadedEventLoopGroup, _ listener: any Channel, _ connections: Connections, _ health: Health,
        _ records: CallRecords, _ certificates: CertificateReload, _ audit: BackgroundAudit, _ memory: MemoryWatch,
        _ recovery: Recovery, _ logger: Logger
    ) {
        self.configuration = configuration
        self.engine = engine
        self.service = service
        self.hubs = hubs
        self.group = group
        self.listener = listener
        self.connections = connections
        self.health = health
        self.records = records
        self.certificates = certificates
        self.audit = audit
        self.memory = memory
        self.recovery = recovery
        self.logger = logger
        port = listener.localAddress?.port ?? configuration.securePort
    }

    /// Serves until a graceful shutdown is asked for, then drains: no new connection, calls in flight are finished,
    /// storage is checkpointed and closed.
    ///
    /// Throws if storage fails for good while serving: acknowledged changes are safe, and a restart reads them again.
    public func run() async throws {
        // Trapped before any program can know that the server is there: the signal's own effect is to end it.
        let hangups = await UnixSignalsSequence(trapping: .sighup)
        let auditHangups = await UnixSignalsSequence(trapping: .sighup)
        async let _ = certificates.run(hangups)
        async let _ = records.audit?.follow(on: auditHangups)
        async let _ = audit.run()
        async let _ = memory.run()
        async let _ = BackgroundThaw(engine).run()
        health.enter(.serving)
        let address = configuration.bindAddress.text(withPort: port)
        logger.notice("ready", metadata: recovery.metadata(configuration, address: address))
        notify?.send("READY=1", "STATUS=serving on \(address)")
        let failure = await withGracefulShutdownHandler {
            await firstEnd()
        } onGracefulShutdown: {
            self.leave()
        }
        if let failure { logger.critical("storage has failed", metadata: ["error": "\(failure.message)"]) }
        let isWhole = await drain()
        if let failure { throw failure }
        guard isWhole else { throw ShutdownFault(seconds: configuration.shutdownTimeoutSeconds) }
        logger.notice("stopped")
    }

    /// Returns when the listener is closed, or storage has failed for good.
    private func firstEnd() async -> LedgerError? {
        engine.onFailure { _ in self.listener.close(promise: nil) }
        try? await listener.closeFuture.get()
        return engine.fault
    }

    /// Becomes unready, and stops listening once load balancers have had time to see it.
    private func leave() {
        health.enter(.leaving)
        notify?.send("STOPPING=1", "STATUS=draining")
        let seconds = Int64(configuration.shutdownDelaySeconds)
        if seconds > 0 { logger.notice("leaving", metadata: ["seconds": "\(seconds)"]) }
        listener.eventLoop.scheduleTask(in: .seconds(seconds)) { self.listener.close(promise: nil) }
    }

    /// False where storage did not let go in time.
    private func drain() async -> Bool {
        let deadline = ContinuousClock.now + .seconds(configuration.shutdownTimeoutSeconds)
        health.enter(.draining)
        logger.info("draining", metadata: ["connections": "\(connections.count)"])
        let (connections, service, engine, hubs) = (connections, service, engine, hubs)
        let (ended, end) = AsyncStream<Void>.makeStream()
        // An unstructured task: where storage does not answer it does not end, and no other task may wait for it.
        let answers = Task {
            // Calls in flight are in the journal's queue, or wait for one that is. A journal that has failed refuses them.
            while service.inFlight > 0, !Task.isCancelled {
                await withCheckedContinuation { continuation in engine.flush { continuation.resume() } }
            }
            await hubs.drain()
            await connections.closeAll()
            end.finish()
        }
        let timer = group.next().scheduleTask(in: .seconds(Int64(configuration.shutdownTimeoutSeconds))) {
            end.finish()
        }
        for await _ in ended {}
        timer.cancel()
        answers.cancel()
        let isWhole = engine.stop(by: max(deadline, .now + .seconds(1)))
        if isWhole {
            // Answers of the last commits are on their way to the event loops.
            let end = ContinuousClock.now + .seconds(1)
            while service.inFlight > 0, .now < end { try? await Task.sleep(for: .milliseconds(5)) }
            try? await group.shutdownGracefully()
        }
        records.audit?.flush()
        return isWhole
    }
}

/// Storage did not answer when the server was to stop. Acknowledged changes are safe.
struct ShutdownFault: Error, CustomStringConvertible {
    var seconds: Int

    var description: String {
        "storage did not answer within the \(seconds) s of --shutdown-timeout; every acknowledged change is safe, and the next "
            + "start reads it"
    }
}

import ClientOptions
import ClusterController
import Foundation
import Glibc
import KubeAPI
import LineLogs
import Logging
import OpenSSLTLS
import ServiceLifecycle
import TandemAPI
import TandemClient
import UnixSignals

/// The program once its command line is read.
struct Execution {
    private let settings: ControllerSettings
    private let kube: KubeClient
    private let namespace: String
    private let server: String
    private let leads: Bool
    private let tandem: TandemLink
    private let isDryRun: Bool
    private let metricsAddress: (host: String, port: Int)?
    private let logger: Logger
    private let format: LogFormat
    private let client: ClientConfiguration

    private static let lease = "tandem-controller"

    /// Throws `UsageError`. Blocks.
    init(
        _ connection: ConnectionOptions, _ cluster: ClusterOptions, _ work: WorkOptions, _ running: RunningOptions?,
        _ logs: LogOptions
    ) throws {
        settings = try work.settings()
        isDryRun = work.dryRun
        metricsAddress = try running?.metricsAddress()
        format = try logs.format()
        logger = try logs.logger()
        client = try connection.configuration()
        let configuration = try cluster.configuration()
        kube = KubeClient(configuration)
        namespace = cluster.leaderElectResourceNamespace ?? configuration.namespace
        server = configuration.server
        leads = cluster.leaderElect ?? true
        tandem = TandemLink(client)
    }

    private var leaseName: KubeObjectName { .lease(namespace, Self.lease) }

    /// Another one for each process, and such that a person knows the pod by it.
    private static let identity = ProcessInfo.processInfo.hostName + "_" + UUID().uuidString.lowercased()

    func run() async throws {
        if isDryRun {
            try await Controller.dryRun(settings, kube: kube, tandem: tandem, logger: logger) { print($0.visible) }
            await tandem.close()
            return
        }
        let metrics = ControllerMetrics()
        var endpoint: MetricsEndpoint?
        if let (host, port) = metricsAddress {
            do {
                endpoint = try await MetricsEndpoint.start(host: host, port: port, metrics)
            } catch {
                throw Failure(
                    status: Failure.refused, "--metrics-bind-address: can't listen on \(host):\(port): \(error)")
            }
        }
        try await checkTandem()
        let controller = Controller(settings, kube: kube, tandem: tandem, metrics: metrics, logger: logger)
        var details: Logger.Metadata = [
            "kubernetes": "\(server)", "identity": "\(Self.identity)",
            "controllers": "\(settings.parts.map(\.rawValue).sorted().joined(separator: ","))",
        ]
        if let endpoint { details["metrics"] = "port \(endpoint.port)" }
        logger.notice("started", metadata: details)
        let service = ControllerService(
            controller: controller, metrics: metrics, logger: logger,
            elector: leads ? LeaderElector(kube, lease: leaseName, identity: Self.identity) : nil, format: format)
        let levels = await LogLevelSignals(Logs.level, logger)
        let group = ServiceGroup(
            configuration: .init(
                services: [
                    .init(service: levels),
                    .init(service: service, successTerminationBehavior: .gracefullyShutdownGroup),
                ],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: Logs.quiet))
        try await group.run()
        await tandem.close()
        await endpoint?.stop()
        logger.notice("ended")
    }

    /// Files that can't be used are told at once; a server that is away may come.
    private func checkTandem() async throws {
        do {
            _ = try await tandem.call(.discover, [:])
        } catch let error as ClientError {
            logger.warning("Tandem not reached", metadata: ["error": "\(error)"])
        } catch let error as APIError {
            logger.warning("Tandem refuses", metadata: ["error": "\(error.message)"])
        }
    }

    func uninstall() async throws {
        let uninstall = Uninstall(classes: settings.classes, kube: kube, tandem: tandem, isDryRun: isDryRun)
        guard leads, !isDryRun else { return try await finish(uninstall) }
        // None of the controllers may put a finalizer back.
        let (elections, election) = AsyncStream<Void>.makeStream()
        let elector = LeaderElector(kube, lease: leaseName, identity: Self.identity)
        let leading = Task { [format] in
            await elector.run(onElected: { election.yield() }, onLost: { leave(losing: $0, format) })
        }
        let timer = Task {
            try? await Task.sleep(for: .seconds(30))
            election.finish()
        }
        var isElected = false
        for await _ in elections {
            isElected = true
            break
        }
        timer.cancel()
        defer { leading.cancel() }
        guard isElected else {
            throw Failure(
                status: Failure.refused,
                "a controller holds the lease \(leaseName): stop the controllers first, as by kubectl scale --replicas=0"
            )
        }
        try await finish(uninstall)
        leading.cancel()
        await leading.value
    }

    private func finish(_ uninstall: Uninstall) async throws {
        let count = try await uninstall.run { print($0.visible) }
        print("\(count) Service\(count == 1 ? "" : "s")\(isDryRun ? " (dry run)" : "")")
        await tandem.close()
    }
}

/// Leads where no other process does, and works as long as it does.
private struct ControllerService: ServiceLifecycle.Service {
    let controller: Controller
    let metrics: ControllerMetrics
    let logger: Logger
    /// nil where this process is the only one.
    let elector: LeaderElector?
    let format: LogFormat

    func run() async throws {
        guard let elector else {
            metrics.setLeader(true)
            return await cancelWhenGracefulShutdown { await controller.run() }
        }
        let (elections, election) = AsyncStream<Void>.makeStream()
        let leading = Task { [format, logger] in
            await elector.run(
                onElected: { election.yield() }, onLost: { leave(losing: $0, format) },
                onTrouble: { logger.warning("lease not renewed", metadata: ["error": "\($0)"]) })
        }
        await cancelWhenGracefulShutdown {
            for await _ in elections {
                logger.notice("leading")
                metrics.setLeader(true)
                await controller.run()
                break
            }
        }
        // All work as the leader has ended: another one may begin.
        leading.cancel()
        await leading.value
    }
}

/// The lease is lost: another one leads in some seconds. Nothing is waited for, not even the log's reader.
private func leave(losing why: String, _ format: LogFormat) -> Never {
    Logs.writeIfPossible(.critical, "lease lost", ["error": "\(why)"], format)
    _exit(Failure.refused)
}

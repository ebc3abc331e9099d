import Addressing
import EtcdClient
import EtcdLog
import Glibc
import IPAM
import Ledger
import LineLogs
import Logging
import Measures
import NIOCore
import NIOPosix
import OpenSSLTLS

/// The steps of a start, each turning a fault into one line that names the flag and the remedy.
enum Startup {
    static func tlsContext(_ configuration: ServerConfiguration) throws -> TLSContext {
        do throws(TLSError) {
            return try TLSContext(server: configuration.tls)
        } catch {
            throw ConfigurationFault(error.flag(configuration.tls), error.message)
        }
    }

    static func certificates(_ configuration: ServerConfiguration, _ logger: Logger) throws -> CertificateReload {
        var etcdCertificateFile: String?
        if case .etcd(let settings) = configuration.storage { etcdCertificateFile = settings.client.certificateFile }
        return CertificateReload(
            configuration.tls, try tlsContext(configuration), etcdCertificateFile: etcdCertificateFile, logger)
    }

    /// And its log.
    static func engine(
        _ configuration: ServerConfiguration, _ memory: MemoryWatch, _ logger: Logger
    ) throws -> (Engine, any BackedUpLog) {
        let log = try log(configuration, logger)
        var environment = Environment.system
        environment.memoryShortage = { memory.shortage }
        let engine = try Engine(
            cluster: configuration.cluster, log: log, quotas: configuration.quotas, environment: environment,
            watchHistoryBytes: configuration.watchHistoryBytes)
        return (engine, log)
    }

    /// The certificates that etcd is asked with, and the password. Blocks.
    static func checkFiles(_ settings: EtcdLog.Settings) throws(ConfigurationFault) {
        do throws(EtcdConfigurationError) {
            try settings.client.checkFiles()
        } catch {
            throw ConfigurationFault(String(error.flag.description.dropFirst(2)), error.message)
        }
    }

    private static func log(
        _ configuration: ServerConfiguration, _ logger: Logger
    ) throws(ConfigurationFault) -> any BackedUpLog {
        switch configuration.storage {
        case .sqlite(let directory):
            do throws(LedgerError) {
                return try SQLiteLog(directory: directory)
            } catch {
                throw ConfigurationFault("data-dir", error.message)
            }
        case .etcd(var settings):
            settings.client.notice = { logger.notice("etcd", metadata: ["event": "\($0)"]) }
            settings.since = Timestamp.now()
            try checkFiles(settings)
            do throws(LedgerError) {
                return try EtcdLog(settings)
            } catch {
                throw ConfigurationFault("etcd-servers", error.message)
            }
        }
    }

    static func records(
        _ configuration: ServerConfiguration, _ lines: LineLimits, _ logger: Logger
    ) throws -> CallRecords {
        do throws(RotatingFile.SystemError) {
            return CallRecords(
                logger: logger, lines: lines,
                audit: try configuration.audit.map { settings throws(RotatingFile.SystemError) in
                    try AuditLog(settings, logger: logger)
                })
        } catch {
            throw ConfigurationFault(
                "audit-log-path", "\(configuration.audit?.path ?? "") can't be written: \(error.message)")
        }
    }

    /// The connections that are let in: fewer than the flag says where the process may not open so many files. Throws where
    /// hardly any could be.
    static func connections(
        _ configuration: ServerConfiguration, _ lines: LineLimits, _ logger: Logger
    ) throws(ConfigurationFault) -> Connections {
        let (asked, limit) = (configuration.limits.connections, OpenFiles.limit)
        let room = OpenFiles.room(eventLoops: configuration.eventLoops, limit: limit)
        let maximum = min(asked, room)
        if maximum < min(asked, OpenFiles.fewestConnections) {
            throw ConfigurationFault(
                "max-connections",
                "there is room for \(room) connections where the process may open \(limit) files, and for a server at least "
                    + "\(OpenFiles.fewestConnections) are needed: raise that limit (ulimit -n, LimitNOFILE), or give fewer "
                    + "--event-loops")
        }
        if maximum < asked {
            logger.warning(
                "fewer connections are let in than --max-connections says: raise the limit of open files (ulimit -n)",
                metadata: [
                    "connections": "\(maximum)", "maxConnections": "\(asked)", "openFilesLimit": "\(limit)",
                ])
        }
        return Connections(maximum: maximum, lines, logger)
    }

    static func bind(
        _ configuration: ServerConfiguration, _ group: MultiThreadedEventLoopGroup, _ setup: ConnectionSetup,
        _ connections: Connections, _ lines: LineLimits, _ logger: Logger
    ) async throws -> any Channel {
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        AcceptPause(connections.metrics.acceptPauses, lines, logger))
                    try channel.pipeline.syncOperations.addHandler(
                        AcceptGate(maximum: connections.maximum + OpenFiles.connectionsWithoutPlace))
                }
            }
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.maxMessagesPerRead, value: UInt(OpenFiles.acceptedAtOnce))
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            // A client that has ended its side still gets its answers.
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            // A peer that is gone without a word is noticed after two and a half minutes, as Go's servers notice it.
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            .childChannelOption(.tcpOption(.init(rawValue: TCP_KEEPIDLE)), value: 15)
            .childChannelOption(.tcpOption(.init(rawValue: TCP_KEEPINTVL)), value: 15)
            .childChannelOption(.tcpOption(.init(rawValue: TCP_KEEPCNT)), value: 9)
            // One read of each connection in turn: however much many of them send, answers leave in between.
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(minimum: 1 << 10, initial: 4 << 10, maximum: 64 << 10)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try setup.install(on: channel)
                }
            }
        let (address, port) = (configuration.bindAddress, configuration.securePort)
        do {
            guard address.bits == 0 else { return try await bootstrap.bind(host: "\(address)", port: port).get() }
            do {
                // All addresses of the machine are those of both families.
                return try await bootstrap.serverChannelOption(
                    ChannelOptions.Types.SocketOption(level: .ipv6, name: .ipv6_v6only), value: 0
                )
                .bind(host: "::", port: port).get()
            } catch let error as IOError where [EAFNOSUPPORT, EADDRNOTAVAIL].contains(error.errnoCode) {
                // The machine has no IPv6.
                return try await bootstrap.bind(host: "0.0.0.0", port: port).get()
            }
        } catch {
            throw bindFault(configuration, error)
        }
    }

    private static func bindFault(_ configuration: ServerConfiguration, _ error: any Error) -> ConfigurationFault {
        let place = configuration.bindAddress.text(withPort: configuration.securePort)
        switch (error as? IOError)?.errnoCode {
        case EADDRINUSE:
            return ConfigurationFault(
                "secure-port",
                "\(place) is in use by another process; stop it, or give another port (0 picks a free one)")
        case EACCES:
            return ConfigurationFault(
                "secure-port", "this user may not listen on \(place); ports below 1024 need CAP_NET_BIND_SERVICE")
        case EADDRNOTAVAIL:
            return ConfigurationFault(
                "bind-address", "\(configuration.bindAddress) is not an address of this machine")
        default:
            return ConfigurationFault("bind-address", "can't listen on \(place): \(error)")
        }
    }
}

extension TLSError {
    /// The flag whose file or value is at fault.
    fileprivate func flag(_ configuration: TLSServerConfiguration) -> String {
        switch code {
        case .keyMismatch, .keyEncrypted: return "tls-private-key-file"
        case .unknownCipherSuite: return "tls-cipher-suites"
        default: break
        }
        // The message names the file that is at fault.
        if message.contains(configuration.identity.privateKeyFile) { return "tls-private-key-file" }
        if let revocations = configuration.clientCRLFile, message.contains(revocations) { return "client-crl-file" }
        if let clientCA = configuration.clientCAFile, message.contains(clientCA) { return "client-ca-file" }
        return "tls-cert-file"
    }
}

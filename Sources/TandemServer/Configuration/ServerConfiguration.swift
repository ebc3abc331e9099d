public import Addressing
public import IPAM
public import LineLogs
public import Logging
import NIOCore
public import OpenSSLTLS

/// Everything that a server is started with, checked.
public struct ServerConfiguration: Sendable {
    public typealias LogFormat = LineLogs.LogFormat

    public var cluster: ClusterConfiguration
    public var bindAddress: IPAddress
    /// 0 picks a free port.
    public var securePort: Int
    public var tls: TLSServerConfiguration
    public var clientAuthentication: ClientAuthentication
    public var storage: StorageChoice
    public var logLevel: Logger.Level
    public var logFormat: LogFormat
    /// Threads that serve connections.
    public var eventLoops: Int
    /// How long a drain waits for calls in flight, in seconds.
    public var shutdownTimeoutSeconds: Int
    public var limits: ConnectionLimits
    /// The limits of stored objects.
    public var quotas: Quotas
    /// In bytes; 0 for none, nil for the default of the container or the machine.
    public var memoryLimit: Int?
    /// Bytes of recent changes kept for watches.
    public var watchHistoryBytes: Int
    /// How long calls are still served after the server was told to stop and has turned unready, in seconds.
    public var shutdownDelaySeconds: Int
    /// Where changes are noted; nil for nowhere.
    public var audit: AuditSettings?

    /// Checks every setting and throws the first fault, which names the flag and the cure. Reads no file.
    public init(_ settings: Settings) throws(ConfigurationFault) {
        if let (name, near) = settings.unknown.first {
            throw ConfigurationFault(
                name, "no such setting" + (near.map { "; did you mean \($0)?" } ?? "; --help lists them"))
        }
        let reader = SettingsReader(settings)
        cluster = try reader.cluster()
        bindAddress = try reader.address("bind-address", default: "127.0.0.1")
        securePort = try reader.integer("secure-port", default: 8443, in: 0...65535)
        clientAuthentication = try reader.choice("client-auth", default: .required)
        tls = try reader.tls(clientAuthentication)
        storage = try reader.storage(cluster, address: bindAddress.text(withPort: securePort))
        logLevel = try reader.logLevel()
        logFormat = try reader.choice("log-format", default: .text)
        eventLoops = try reader.integer("event-loops", default: System.coreCount, in: 1...1024)
        shutdownTimeoutSeconds = try reader.integer("shutdown-timeout", default: 20, in: 1...3600)
        shutdownDelaySeconds = try reader.integer("shutdown-delay", default: 0, in: 0...3600)
        audit = try reader.audit()
        limits = try ConnectionLimits(reader)
        quotas = try reader.quotas()
        memoryLimit = try reader.memoryLimit()
        watchHistoryBytes = try reader.integer("watch-history-bytes", default: 64 << 20, in: (64 << 10)...(1 << 40))
        if clientAuthentication == .none, !bindAddress.isLoopback {
            throw ConfigurationFault(
                "client-auth",
                "with none everyone is an administrator, so that --bind-address must be a loopback address "
                    + "such as 127.0.0.1 or ::1, not \(bindAddress); use --client-auth=required to serve others")
        }
    }
}

extension IPAddress {
    /// 127.0.0.0/8 and ::1.
    var isLoopback: Bool {
        switch family {
        case .ipv4: bits >> 24 == 127
        case .ipv6: bits == 1
        }
    }
}

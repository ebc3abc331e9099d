import EtcdLog
import IPAM
import LineLogs
import Logging
import NIOCore
import OpenSSLTLS

extension ServerConfiguration {
    /// Every flag with its effective value, defaults included; empty where there is none. Reads how much memory the
    /// machine has.
    public var inForce: [String: String] {
        let memory = memoryLimit ?? MemoryWatch.defaultLimit()
        return Dictionary(uniqueKeysWithValues: Settings.names.map { ($0, "") })
            .merging(clusterFlags) { $1 }.merging(servingFlags(memory: memory)) { $1 }.merging(storageFlags) { $1 }
            .merging(auditFlags) { $1 }
    }

    private var clusterFlags: [String: String] {
        var flags = cluster.sharedFlags
        flags["load-balancer-class"] = cluster.loadBalancerClass ?? ""
        flags["load-balancer-default"] = "\(cluster.servesUnclassedLoadBalancers)"
        flags["max-pods-per-node"] = quotas.podsPerNode.map { "\($0)" } ?? ""
        flags["max-object-bytes"] = "\(quotas.objectBytes)"
        flags["max-objects-per-namespace"] = "\(quotas.servicesPerNamespace)"
        flags["watch-history-bytes"] = "\(watchHistoryBytes)"
        return flags
    }

    private func servingFlags(memory: Int) -> [String: String] {
        [
            "bind-address": "\(bindAddress)", "secure-port": "\(securePort)",
            "tls-cert-file": tls.identity.certificateChainFile, "tls-private-key-file": tls.identity.privateKeyFile,
            "client-ca-file": tls.clientCAFile ?? "", "client-crl-file": tls.clientCRLFile ?? "",
            "client-auth": clientAuthentication.rawValue,
            "tls-min-version": tls.minimumVersion == .tls13 ? "VersionTLS13" : "VersionTLS12",
            "tls-cipher-suites": tls.cipherSuites.joined(separator: ","),
            "max-connections": "\(limits.connections)",
            "handshake-timeout": "\(limits.handshakeTimeout.nanoseconds / 1_000_000_000)",
            "idle-timeout": "\(limits.idleTimeout.nanoseconds / 1_000_000_000)",
            "max-buffered-bytes": "\(limits.bufferedBytes(of: memory))", "memory-limit": "\(memory)",
            "event-loops": "\(eventLoops)", "shutdown-timeout": "\(shutdownTimeoutSeconds)",
            "shutdown-delay": "\(shutdownDelaySeconds)", "log-level": logLevel.rawValue,
            "log-format": logFormat.rawValue,
        ]
    }

    private var storageFlags: [String: String] {
        switch storage {
        case .sqlite(let directory): ["storage": "sqlite", "data-dir": directory]
        // Those that are given stand for themselves.
        case .etcd(let settings):
            [
                "storage": "etcd", "etcd-prefix": settings.prefix,
                "etcd-compaction-interval": settings.compactionSeconds.map { "\($0)s" } ?? "",
                "etcd-healthcheck-timeout": "\(settings.healthSeconds)s",
                "etcd-quota-backend-bytes": "\(settings.quotaBytes)",
                "etcd-accept-configuration": "\(settings.acceptsConfiguration)",
            ]
        }
    }

    private var auditFlags: [String: String] {
        let audit = audit ?? SettingsReader.defaultAudit
        return [
            "audit-log-path": audit.path, "audit-log-maxsize": "\(audit.maximumBytes >> 20)",
            "audit-log-maxbackup": "\(audit.backups)", "audit-policy": audit.policy.rawValue,
        ]
    }
}

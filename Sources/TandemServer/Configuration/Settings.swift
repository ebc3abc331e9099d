import TandemAPI

/// Values of the server's flags by name, without their dashes, as a command line, the environment or a YAML file gives them.
public struct Settings: Sendable, Equatable {
    public private(set) var values: [String: String] = [:]

    public init(_ values: [String: String] = [:]) {
        self.values = values
    }

    /// The values of `other` where it has one, else of this one: a flag on the command line wins over the file.
    public func overridden(by other: Settings) -> Settings {
        Settings(values.merging(other.values) { _, new in new })
    }

    /// Every flag that the server knows.
    public static let names: Set<String> = [
        "service-cluster-ip-range", "cluster-cidr", "node-cidr-mask-size", "node-cidr-mask-size-ipv4",
        "node-cidr-mask-size-ipv6", "bind-address", "secure-port", "tls-cert-file", "tls-private-key-file",
        "client-ca-file", "client-crl-file", "max-connections", "handshake-timeout", "idle-timeout",
        "max-buffered-bytes", "memory-limit", "max-pods-per-node", "max-object-bytes", "max-objects-per-namespace",
        "watch-history-bytes",
        "tls-min-version", "tls-cipher-suites", "data-dir", "client-auth",
        "load-balancer-ip-range", "load-balancer-class", "load-balancer-default", "service-node-port-range",
        "auto-register-nodes",
        "pod-ip-reuse-delay", "log-level", "log-format", "event-loops", "shutdown-timeout", "shutdown-delay",
        "audit-log-path", "audit-log-maxsize", "audit-log-maxbackup", "audit-policy",
        "storage", "etcd-servers", "etcd-cafile", "etcd-certfile", "etcd-keyfile", "etcd-username",
        "etcd-password-file",
        "etcd-prefix", "etcd-compaction-interval", "etcd-healthcheck-timeout", "etcd-quota-backend-bytes",
        "etcd-accept-configuration",
    ]

    /// The names that no flag has, each with the flag that it may have been meant to be.
    public var unknown: [(name: String, near: String?)] {
        values.keys.filter { !Self.names.contains($0) }.sorted().map { ($0, Self.near($0)) }
    }

    /// The flag whose name is nearest, if it is near.
    static func near(_ name: String) -> String? { name.nearest(of: names) }
}

import ArgumentParser

/// The flags as they are written; `TandemServer` parses and checks their values.

struct RangeOptions: ParsableArguments {
    @Option(
        name: .customLong("service-cluster-ip-range"),
        help: """
            The ranges of cluster IPs: one CIDR, or two of different families; the first is the default family. Without one, Services keep \
            the cluster IPs that they come with.
            """)
    var serviceClusterIPRange: String?

    @Option(
        name: .customLong("cluster-cidr"),
        help: """
            The ranges that nodes' pod CIDRs are cut from: any number of CIDRs of either family. More may be added over a \
            restart: new nodes take from them once the others are full.
            """)
    var clusterCIDR: String?

    @Option(
        name: .customLong("node-cidr-mask-size"),
        help: "The prefix length of a node's pod CIDR on a single-stack cluster.")
    var nodeCIDRMaskSize: String?

    @Option(
        name: .customLong("node-cidr-mask-size-ipv4"), help: "The same for IPv4. (default: 24)")
    var nodeCIDRMaskSizeIPv4: String?

    @Option(
        name: .customLong("node-cidr-mask-size-ipv6"), help: "The same for IPv6. (default: 64)")
    var nodeCIDRMaskSizeIPv6: String?

    @Option(
        name: .customLong("load-balancer-ip-range"),
        help: """
            The ranges of load-balancer addresses: any number of either family, each a CIDR or first-last; a Service takes from \
            the first that has room.
            """)
    var loadBalancerIPRange: String?

    @Option(
        name: .customLong("load-balancer-class"),
        help: "The spec.loadBalancerClass of the Services that get load-balancer addresses. (default: none)")
    var loadBalancerClass: String?

    @Option(
        name: .customLong("load-balancer-default"),
        help: "Whether Services without a class get load-balancer addresses: true or false. (default: true)",
        completion: .list(["true", "false"]))
    var loadBalancerDefault: String?

    @Option(
        name: .customLong("service-node-port-range"),
        help:
            "The range of node ports, such as 30000-32767; without it none are assigned, and those in a request are stored unchanged."
    )
    var serviceNodePortRange: String?

    @Option(
        name: .customLong("auto-register-nodes"),
        help: "Whether a node gets its pod CIDRs with its first pod: true or false. (default: true)",
        completion: .list(["true", "false"]))
    var autoRegisterNodes: String?

    @Option(
        name: .customLong("pod-ip-reuse-delay"),
        help: "Seconds until the address of a released pod is assigned again. (default: 60)")
    var podIPReuseDelay: String?

    var settings: [String: String] {
        [
            "service-cluster-ip-range": serviceClusterIPRange, "cluster-cidr": clusterCIDR,
            "node-cidr-mask-size": nodeCIDRMaskSize, "node-cidr-mask-size-ipv4": nodeCIDRMaskSizeIPv4,
            "node-cidr-mask-size-ipv6": nodeCIDRMaskSizeIPv6, "load-balancer-ip-range": loadBalancerIPRange,
            "load-balancer-class": loadBalancerClass, "load-balancer-default": loadBalancerDefault,
            "service-node-port-range": serviceNodePortRange, "auto-register-nodes": autoRegisterNodes,
            "pod-ip-reuse-delay": podIPReuseDelay,
        ].compactMapValues { $0 }
    }
}

struct ServingOptions: ParsableArguments {
    @Option(
        name: .customLong("bind-address"),
        help: "The address to listen on; 0.0.0.0 or :: for all, of both families. (default: 127.0.0.1)")
    var bindAddress: String?

    @Option(
        name: .customLong("secure-port"), help: "The port to listen on; 0 picks a free one and logs it. (default: 8443)"
    )
    var securePort: String?

    @Option(name: .customLong("tls-cert-file"), help: "The server's certificate chain, PEM.", completion: .pem)
    var tlsCertFile: String?

    @Option(
        name: .customLong("tls-private-key-file"), help: "The private key of the server's certificate, PEM.",
        completion: .pem)
    var tlsPrivateKeyFile: String?

    @Option(name: .customLong("client-ca-file"), help: "The CA that signs client certificates, PEM.", completion: .pem)
    var clientCAFile: String?

    @Option(
        name: .customLong("client-crl-file"),
        help: "Certificate revocation lists of that CA, PEM: a client certificate that one lists is refused.")
    var clientCRLFile: String?

    @Option(
        name: .customLong("client-auth"),
        help: """
            required: calls need a client certificate; none: everyone is an administrator, on loopback only. \
            (default: required)
            """, completion: .list(["required", "none"]))
    var clientAuth: String?

    @Option(
        name: .customLong("tls-min-version"), help: "VersionTLS12 or VersionTLS13. (default: VersionTLS13)",
        completion: .list(["VersionTLS12", "VersionTLS13"]))
    var tlsMinVersion: String?

    @Option(
        name: .customLong("tls-cipher-suites"),
        help: "Cipher suites to offer, separated by commas; by default OpenSSL's own choice.")
    var tlsCipherSuites: String?

    @Option(name: .customLong("max-connections"), help: "Connections at a time. (default: 10000)")
    var maxConnections: String?

    @Option(
        name: .customLong("handshake-timeout"), help: "The longest time of a TLS handshake, in seconds. (default: 10)")
    var handshakeTimeout: String?

    @Option(
        name: .customLong("idle-timeout"),
        help: "The longest time of a connection without a complete message, in seconds. (default: 300)")
    var idleTimeout: String?

    @Option(
        name: .customLong("max-buffered-bytes"),
        help: """
            Bytes buffered for all clients together, beyond 64 KiB for each: incomplete messages, calls in flight \
            and unread answers. (default: 536870912, or a quarter of --memory-limit if that is less)
            """)
    var maxBufferedBytes: String?

    @Option(
        name: .customLong("memory-limit"),
        help: """
            Memory in use, in bytes, past which no new object is stored; 0 for no limit. (default: the memory of the container or machine \
            less an eighth)
            """)
    var memoryLimit: String?

    @Option(
        name: .customLong("max-pods-per-node"),
        help: "Pods of one node. (default: the addresses of its IPv4 pod CIDR; 4096 where it has none)")
    var maxPodsPerNode: String?

    @Option(
        name: .customLong("max-object-bytes"),
        help: "Bytes of one object as it is stored, at most 524288. (default: 65536)")
    var maxObjectBytes: String?

    @Option(
        name: .customLong("max-objects-per-namespace"),
        help: "Services of one namespace; 0 for no limit. (default: 0)")
    var maxObjectsPerNamespace: String?

    @Option(
        name: .customLong("watch-history-bytes"),
        help: "Bytes of recent changes kept for watches. (default: 67108864)")
    var watchHistoryBytes: String?

    var settings: [String: String] {
        [
            "client-crl-file": clientCRLFile, "max-connections": maxConnections,
            "handshake-timeout": handshakeTimeout, "idle-timeout": idleTimeout, "max-buffered-bytes": maxBufferedBytes,
            "memory-limit": memoryLimit, "max-pods-per-node": maxPodsPerNode, "max-object-bytes": maxObjectBytes,
            "max-objects-per-namespace": maxObjectsPerNamespace, "watch-history-bytes": watchHistoryBytes,
            "bind-address": bindAddress, "secure-port": securePort, "tls-cert-file": tlsCertFile,
            "tls-private-key-file": tlsPrivateKeyFile, "client-ca-file": clientCAFile, "client-auth": clientAuth,
            "tls-min-version": tlsMinVersion, "tls-cipher-suites": tlsCipherSuites,
        ].compactMapValues { $0 }
    }
}

struct StorageOptions: ParsableArguments {
    @Option(
        name: .customLong("storage"),
        help: """
            sqlite: the database of --data-dir, for one server; etcd: for any number of servers over one range. \
            (default: sqlite, or etcd where --etcd-servers is given)
            """, completion: .list(["sqlite", "etcd"]))
    var storage: String?

    @Option(
        name: .customLong("etcd-servers"),
        help: "The members of the etcd cluster, separated by commas: https://HOST:2379,... (http for loopback alone).")
    var etcdServers: String?

    @Option(
        name: .customLong("etcd-cafile"), help: "The CA that signs the members' certificates, PEM.", completion: .pem)
    var etcdCAFile: String?

    @Option(
        name: .customLong("etcd-certfile"), help: "The certificate that this server shows to etcd, PEM.",
        completion: .pem)
    var etcdCertFile: String?

    @Option(name: .customLong("etcd-keyfile"), help: "Its private key, PEM.", completion: .pem)
    var etcdKeyFile: String?

    @Option(name: .customLong("etcd-username"), help: "etcd's user, where it asks for a password.")
    var etcdUsername: String?

    @Option(
        name: .customLong("etcd-password-file"), help: "The file that holds the user's password.",
        completion: .file())
    var etcdPasswordFile: String?

    @Option(
        name: .customLong("etcd-prefix"),
        help: "The prefix of all keys: servers with the same prefix share their ranges. (default: /tandem)")
    var etcdPrefix: String?

    @Option(
        name: .customLong("etcd-compaction-interval"),
        help: """
            The age at which etcd's revisions are compacted, such as 5m0s; 0 leaves that to etcd. (default: \
            30s where etcd holds only Tandem's keys, else 0)
            """)
    var etcdCompactionInterval: String?

    @Option(
        name: .customLong("etcd-healthcheck-timeout"),
        help: "The time without an answer from etcd after which this server is not ready. (default: 3s)")
    var etcdHealthcheckTimeout: String?

    @Option(
        name: .customLong("etcd-quota-backend-bytes"),
        help: "The members' --quota-backend-bytes. (default: 2147483648)")
    var etcdQuotaBackendBytes: String?

    @Option(
        name: .customLong("etcd-accept-configuration"),
        help: """
            true: this server's ranges become those of all servers of the prefix, which then need the same. (default: \
            false: a start with other ranges than theirs is refused)
            """, completion: .list(["true", "false"]))
    var etcdAcceptConfiguration: String?

    var settings: [String: String] {
        [
            "storage": storage, "etcd-servers": etcdServers, "etcd-cafile": etcdCAFile, "etcd-certfile": etcdCertFile,
            "etcd-keyfile": etcdKeyFile, "etcd-username": etcdUsername, "etcd-password-file": etcdPasswordFile,
            "etcd-prefix": etcdPrefix, "etcd-compaction-interval": etcdCompactionInterval,
            "etcd-healthcheck-timeout": etcdHealthcheckTimeout, "etcd-quota-backend-bytes": etcdQuotaBackendBytes,
            "etcd-accept-configuration": etcdAcceptConfiguration,
        ].compactMapValues { $0 }
    }
}

struct RunningOptions: ParsableArguments {
    @Option(
        name: .customLong("data-dir"),
        help: "The directory of tandem.db and its journal; created if it does not exist.",
        completion: .directory)
    var dataDir: String?

    @Option(
        name: .customLong("restore"),
        help: """
            A backup (of tandemctl backup) to start from; the data directory must have no database yet, or etcd no key below \
            the prefix.
            """,
        completion: .file())
    var restore: String?

    @Option(name: .customLong("config"), help: "A YAML file that sets flags by their names.", completion: .yaml)
    var config: String?

    @Flag(
        name: .customLong("check-config"),
        help: "Check every setting and the files they name, show the effective values and where each is set, and exit.")
    var checkConfig = false

    @Option(name: .customLong("event-loops"), help: "Threads that serve connections. (default: one per core)")
    var eventLoops: String?

    @Option(
        name: .customLong("shutdown-timeout"),
        help: "The time that connections may take to close at shutdown, in seconds. (default: 20)")
    var shutdownTimeout: String?

    @Option(
        name: .customLong("shutdown-delay"),
        help: """
            Seconds during which calls are still served after the signal to stop, while /readyz is unready: for \
            load balancers to stop sending. (default: 0)
            """)
    var shutdownDelay: String?

    var settings: [String: String] {
        [
            "data-dir": dataDir, "event-loops": eventLoops, "shutdown-timeout": shutdownTimeout,
            "shutdown-delay": shutdownDelay,
        ].compactMapValues { $0 }
    }
}

struct LogOptions: ParsableArguments {
    @Option(
        name: .customLong("log-level"),
        help: "trace, debug, info, notice, warning, error or critical. (default: info)",
        completion: .list(["trace", "debug", "info", "notice", "warning", "error", "critical"]))
    var logLevel: String?

    @Option(
        name: .customLong("log-format"), help: "text or json. (default: text)", completion: .list(["text", "json"]))
    var logFormat: String?

    @Option(
        name: .customLong("audit-log-path"),
        help: """
            A file that gets a JSON line for each call that changes something: user, method, object, addresses and time. \
            (default: none)
            """, completion: .file())
    var auditLogPath: String?

    @Option(
        name: .customLong("audit-log-maxsize"),
        help: "The size in megabytes past which the audit log begins a new file. (default: 100)")
    var auditLogMaxSize: String?

    @Option(
        name: .customLong("audit-log-maxbackup"), help: "Number of older audit log files that are kept. (default: 10)")
    var auditLogMaxBackup: String?

    @Option(
        name: .customLong("audit-policy"),
        help: """
            changes: calls that change something are in the audit log; all: reads and dry runs as well, but never those of \
            clients without a certificate. (default: changes)
            """, completion: .list(["changes", "all"]))
    var auditPolicy: String?

    var settings: [String: String] {
        [
            "log-level": logLevel, "log-format": logFormat, "audit-log-path": auditLogPath,
            "audit-log-maxsize": auditLogMaxSize, "audit-log-maxbackup": auditLogMaxBackup,
            "audit-policy": auditPolicy,
        ].compactMapValues { $0 }
    }
}

extension CompletionKind {
    fileprivate static let pem = CompletionKind.file(extensions: ["pem", "crt", "key"])
    fileprivate static let yaml = CompletionKind.file(extensions: ["yaml", "yml"])
}

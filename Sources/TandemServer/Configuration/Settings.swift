/// Values of the server's flags by name, without their dashes, as a command line or a YAML file gives them.
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
        "client-ca-file", "client-crl-file", "max-connections", "handshake-timeout", "idle-timeout", "tls-min-version",
        "tls-cipher-suites", "data-dir", "client-auth", "load-balancer-ip-range",
        "auto-register-nodes", "log-level", "log-format", "event-loops", "shutdown-timeout",
    ]

    /// The names that no flag has, each with the flag that it may have been meant to be.
    public var unknown: [(name: String, near: String?)] {
        values.keys.filter { !Self.names.contains($0) }.sorted().map { name in
            let near = Self.names.min { Self.distance(name, $0) < Self.distance(name, $1) }
            return (name, near.flatMap { Self.distance(name, $0) <= 4 ? $0 : nil })
        }
    }

    /// Edits (insert, delete, replace) that turn one name into the other: Levenshtein's distance. O(m·n).
    private static func distance(_ left: String, _ right: String) -> Int {
        let right = Array(right)
        var row = Array(0...right.count)
        for (i, character) in left.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for j in right.indices {
                let replaced = diagonal + (character == right[j] ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(replaced, row[j] + 1, row[j + 1] + 1)
            }
        }
        return row[right.count]
    }
}

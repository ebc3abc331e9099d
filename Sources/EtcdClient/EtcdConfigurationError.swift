/// A setting that can't be used.
public struct EtcdConfigurationError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The setting as the command line names it. The set is open.
    public struct Flag: Sendable, Hashable, CustomStringConvertible {
        public let description: String

        public static let servers = Flag(description: "--etcd-servers")
        public static let caFile = Flag(description: "--etcd-cafile")
        public static let certificateFile = Flag(description: "--etcd-certfile")
        public static let keyFile = Flag(description: "--etcd-keyfile")
        public static let username = Flag(description: "--etcd-username")
        public static let passwordFile = Flag(description: "--etcd-password-file")
    }

    public let flag: Flag
    /// Without the flag and without a full stop.
    public let message: String

    init(_ flag: Flag, _ message: String) {
        self.flag = flag
        self.message = message
    }

    public var description: String { "\(flag): \(message)" }
}

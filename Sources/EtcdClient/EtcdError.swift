/// Why a call has no answer, or a watch has ended.
public struct EtcdError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of a failure: gRPC's status numbers, and above them this client's own. The set is open.
    public struct Code: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
        public let rawValue: Int

        public init(rawValue: Int) { self.rawValue = rawValue }

        public static let cancelled = Code(rawValue: 1)
        public static let unknown = Code(rawValue: 2)
        public static let invalidArgument = Code(rawValue: 3)
        /// No answer came in time.
        public static let deadlineExceeded = Code(rawValue: 4)
        /// Such as a lease that is over.
        public static let notFound = Code(rawValue: 5)
        public static let alreadyExists = Code(rawValue: 6)
        public static let permissionDenied = Code(rawValue: 7)
        /// The store's quota is reached, or something is too large or too much, here or there: see the message.
        public static let resourceExhausted = Code(rawValue: 8)
        public static let failedPrecondition = Code(rawValue: 9)
        public static let aborted = Code(rawValue: 10)
        /// The revision was compacted, or is still to come.
        public static let outOfRange = Code(rawValue: 11)
        public static let unimplemented = Code(rawValue: 12)
        /// The member and this client don't understand one another.
        public static let `internal` = Code(rawValue: 13)
        /// No member could be reached, the connection was lost, or the member has no leader.
        public static let unavailable = Code(rawValue: 14)
        public static let dataLoss = Code(rawValue: 15)
        public static let unauthenticated = Code(rawValue: 16)
        /// The answer came from another cluster than the first one did.
        public static let otherCluster = Code(rawValue: 1_000)

        public var description: String { "\(rawValue)" }
    }

    public let code: Code
    /// etcd's own words where it answered; without a full stop.
    public let message: String
    /// Whether the request may have changed the store all the same, now or later. Where it is false it surely has not and
    /// never will.
    public let mayHaveBeenApplied: Bool
    /// The connection by which the request went; nil where it was not sent.
    public internal(set) var connection: EtcdConnectionID?
    /// The oldest revision that a watch may begin at; nil unless one ended because its revision was compacted.
    public let compactRevision: Int64?

    public init(
        _ code: Code, _ message: String, mayHaveBeenApplied: Bool, connection: EtcdConnectionID? = nil,
        compactRevision: Int64? = nil
    ) {
        self.code = code
        self.message = message
        self.mayHaveBeenApplied = mayHaveBeenApplied
        self.connection = connection
        self.compactRevision = compactRevision
    }

    public var description: String { "\(message) (code \(code))" }
}

/// One of a client's connections, so that a caller can say which one it is not content with.
public struct EtcdConnectionID: Sendable, Hashable {
    /// 1 for the first that was tried.
    public let number: UInt64
    /// As `https://HOST:PORT`.
    public let member: String
}

extension EtcdError.Code {
    /// Refusals that etcd decides on before it changes anything. All others leave it open: a member that gives up waiting for
    /// its leader has proposed the request, which may still be carried out.
    var isRefusal: Bool {
        switch self {
        case .invalidArgument, .notFound, .alreadyExists, .permissionDenied, .resourceExhausted, .failedPrecondition,
            .outOfRange, .unimplemented, .unauthenticated:
            true
        default: false
        }
    }
}

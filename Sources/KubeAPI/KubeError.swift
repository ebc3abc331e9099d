/// Why a request has no answer, or one that is a refusal.
public struct KubeError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of a failure: HTTP's status where the server answered, and from 1,000 on this client's own. The set is open.
    public struct Code: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
        public let rawValue: Int

        public init(rawValue: Int) { self.rawValue = rawValue }

        public static let badRequest = Code(rawValue: 400)
        /// The token is not known, or has run out.
        public static let unauthorized = Code(rawValue: 401)
        /// Known, and without the right.
        public static let forbidden = Code(rawValue: 403)
        public static let notFound = Code(rawValue: 404)
        /// Another one was first: `reason` is `Conflict` for a version that is not the object's any more, `AlreadyExists` for a name.
        public static let conflict = Code(rawValue: 409)
        /// The changes since a version are no longer known: list again.
        public static let gone = Code(rawValue: 410)
        /// The request is invalid; also with the `uid` of another object.
        public static let invalid = Code(rawValue: 422)
        public static let tooManyRequests = Code(rawValue: 429)
        public static let internalError = Code(rawValue: 500)
        public static let unavailable = Code(rawValue: 503)
        public static let gatewayTimeout = Code(rawValue: 504)

        /// No connection could be made; nothing was sent.
        public static let notReached = Code(rawValue: 1_000)
        /// The connection ended before the whole answer was there.
        public static let connectionLost = Code(rawValue: 1_001)
        /// No answer came in time.
        public static let timedOut = Code(rawValue: 1_002)
        /// The answer violates the server's interface.
        public static let malformedAnswer = Code(rawValue: 1_003)
        /// The answer, or a line of it, is longer than this client takes.
        public static let tooLarge = Code(rawValue: 1_004)
        /// The task was cancelled, or the client is shut down.
        public static let cancelled = Code(rawValue: 1_005)
        /// A file with a credential can't be read.
        public static let credentials = Code(rawValue: 1_006)

        public var description: String { "\(rawValue)" }

        /// The server answered.
        public var isAnswer: Bool { rawValue < 1_000 }
    }

    public let code: Code
    /// The server's word for it, as `Conflict`, `Expired` or `Invalid`; empty where it gave none.
    public let reason: String
    /// The server's words, or this client's own; without a full stop.
    public let message: String
    /// How long the server asks to wait.
    public let retryAfter: Duration?
    /// Whether the request may have changed something all the same. Where it is false it surely has not.
    public let mayHaveBeenApplied: Bool

    public init(
        _ code: Code, reason: String = "", _ message: String, retryAfter: Duration? = nil,
        mayHaveBeenApplied: Bool = false
    ) {
        self.code = code
        self.reason = reason
        self.message = message
        self.retryAfter = retryAfter
        self.mayHaveBeenApplied = mayHaveBeenApplied
    }

    public var description: String { code.isAnswer ? "\(code) \(reason): \(message)" : message }

    static let cancelled = KubeError(.cancelled, "it was cancelled", mayHaveBeenApplied: true)
    static let shutDown = KubeError(.cancelled, "the client is shut down")

    static func malformed(_ why: String) -> KubeError {
        KubeError(.malformedAnswer, "the answer can't be read: \(why)", mayHaveBeenApplied: true)
    }
}

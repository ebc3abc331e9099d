/// A failure of storage: its kind, whether the proposals at hand were kept, and one sentence with the remedy.
public struct LedgerError: Error, Sendable, CustomStringConvertible {
    /// The kind of a failure. The set is open: later versions may add to it.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        public let description: String

        private init(_ name: String) { description = name }

        /// Another process serves the data directory.
        public static let locked = Code("locked")
        /// The directory or a file in it can't be made or written.
        public static let unwritable = Code("unwritable")
        /// The database was written by a later version.
        public static let newerSchema = Code("newerSchema")
        /// A file that is no database of this program.
        public static let notOurs = Code("notOurs")
        /// The database contradicts itself, or can't be read where it was written.
        public static let corrupt = Code("corrupt")
        /// A file of the database was moved away, deleted or replaced while it was open.
        public static let moved = Code("moved")
        /// The disk is full.
        public static let full = Code("full")
        /// Anything else that the disk or SQLite refused.
        public static let inputOutput = Code("inputOutput")
        /// More changes wait for the journal than it takes.
        public static let queueFull = Code("queueFull")
        /// No caller waited for the proposal any more when its turn came.
        public static let abandoned = Code("abandoned")
        /// The journal has stopped.
        public static let stopped = Code("stopped")
        /// A proposal is larger than the log takes.
        public static let tooLarge = Code("tooLarge")
        /// The store that servers share can't be reached, or has no leader.
        public static let unreachable = Code("unreachable")
        /// The store refuses this server: its certificate, password or rights.
        public static let forbidden = Code("forbidden")
        /// Another server has changed the configuration that all share.
        public static let configurationChanged = Code("configurationChanged")
        /// The store has lost changes that this server has seen, or is another one: a start reads everything anew.
        public static let leftBehind = Code("leftBehind")
        /// There is so little space that additions are refused, and releases accepted.
        public static let nearlyFull = Code("nearlyFull")
        /// The log did not answer a fence in time.
        public static let timedOut = Code("timedOut")
    }

    /// Whether the proposals at hand were kept.
    public enum Outcome: Sendable {
        /// It was not, for sure.
        case notCommitted
        /// The outcome is unknown before the log is read again.
        case unknown
    }

    public let code: Code
    public let message: String
    public let outcome: Outcome
    /// The error of storage itself, if any.
    public let cause: (any Error)?

    public init(
        _ code: Code, _ message: String, outcome: Outcome = .notCommitted, cause: (any Error)? = nil
    ) {
        self.code = code
        self.message = message
        self.outcome = outcome
        self.cause = cause
    }

    /// Whether it is the group at hand that could not be kept, while storage does its work.
    var isOfGroup: Bool { code == .tooLarge || code == .configurationChanged }

    /// The same, of other proposals.
    func with(_ outcome: Outcome) -> LedgerError { LedgerError(code, message, outcome: outcome, cause: cause) }

    public var description: String { message }
}

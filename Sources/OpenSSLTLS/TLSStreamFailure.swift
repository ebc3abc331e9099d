/// Why a connection can't be had, or was lost.
public struct TLSStreamFailure: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of a failure. The set is open: later versions may add to it.
    public struct Kind: Sendable, Hashable, CustomStringConvertible {
        public let description: String

        private init(_ name: String) { description = name }

        /// The network, or no server at the other end: may be better a moment later.
        public static let unreachable = Kind("unreachable")
        /// TLS was refused by one side: certificates or versions must change first.
        public static let refused = Kind("refused")
    }

    public let kind: Kind
    public let message: String
    /// The error of TLS, where it refused.
    public let cause: TLSError?

    public var description: String { message }

    static func unreachable(_ reason: String) -> TLSStreamFailure {
        TLSStreamFailure(kind: .unreachable, message: reason, cause: nil)
    }

    static func refused(_ cause: TLSError) -> TLSStreamFailure {
        TLSStreamFailure(kind: .refused, message: cause.message, cause: cause)
    }
}

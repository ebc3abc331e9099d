import Glibc
import NIOCore
import NIOPosix
import OpenSSLTLS

/// Why a call has no answer. A call that the server refused throws `APIError` instead.
public struct ClientError: Error, Sendable, CustomStringConvertible {
    /// The kind of a failure. The set is open: later versions may add to it.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        public let description: String

        private init(_ name: String) { description = name }

        /// No connection could be made; the call was not sent.
        public static let notReached = Code("notReached")
        /// The connection ended before the answer came. The call may have been done: ask again, a retry finds it.
        public static let connectionLost = Code("connectionLost")
        /// No answer came in time. The call may have been done: ask again, a retry finds it.
        public static let timedOut = Code("timedOut")
        /// The server answered with something that the contract does not know.
        public static let malformedAnswer = Code("malformedAnswer")
    }

    public let code: Code
    /// A sentence without a full stop.
    public let message: String
    /// The error that led to this one: of NIO, of the system, a `TLSError` or a `JSONError`; nil where this is the first.
    public let cause: (any Error)?

    /// The message without the common part of several servers' failures.
    let reason: String

    public var description: String { message }

    init(code: Code, message: String, reason: String? = nil, cause: (any Error)?) {
        self.code = code
        self.message = message
        self.cause = cause
        self.reason = reason ?? message
    }

    static func notReached(_ who: String, _ why: String, cause: (any Error)? = nil) -> ClientError {
        ClientError(code: .notReached, message: "can't reach the server: \(who): \(why)", reason: why, cause: cause)
    }

    static func notReached(_ who: String, cause: any Error) -> ClientError {
        .notReached(who, text(cause), cause: cause)
    }

    static func connectionLost(_ why: String, cause: (any Error)? = nil) -> ClientError {
        ClientError(code: .connectionLost, message: "the connection was lost: \(why)", cause: cause)
    }

    /// Errors of TLS have a text of their own.
    static func connectionLost(by error: any Error) -> ClientError {
        guard let refusal = error as? TLSError, refusal.isRefusal else {
            return .connectionLost(text(error), cause: error)
        }
        return ClientError(code: .connectionLost, message: refusal.message, cause: refusal)
    }

    static let timedOut = ClientError(code: .timedOut, message: "the server did not answer in time", cause: nil)

    static func malformedAnswer(_ why: String, cause: (any Error)? = nil) -> ClientError {
        ClientError(code: .malformedAnswer, message: "the answer can't be read: \(why)", cause: cause)
    }

    /// Why a connection could not be made, in a person's words.
    private static func text(_ error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError: error.connectionErrors.first.map { text($0.error) } ?? "no such host"
        case let error as IOError: String(cString: strerror(error.errnoCode))
        case ChannelError.connectTimeout(let time): "no answer within \(time.nanoseconds / 1_000_000) ms"
        default: "\(error)"
        }
    }
}

extension TLSError {
    /// One of the two sides does not take the other one's certificate, or nothing that it speaks.
    var isRefusal: Bool { [.certificateRejected, .refusedByPeer, .handshakeFailed].contains(code) }
}

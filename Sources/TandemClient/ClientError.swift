import Glibc
import NIOCore
import NIOPosix

/// Why a call has no answer. A call that the server refused throws `APIError` instead.
public enum ClientError: Error, Sendable, Hashable, CustomStringConvertible {
    /// No connection could be made; the call was not sent.
    case notReached(String)
    /// The connection ended before the answer came. The call may have been done: ask again, a retry finds it.
    case connectionLost(String)
    /// No answer came in time. The call may have been done: ask again, a retry finds it.
    case timedOut
    /// The server answered with something that the contract does not know.
    case malformedAnswer(String)

    public var description: String {
        switch self {
        case .notReached(let why): "can't reach the server: \(why)"
        case .connectionLost(let why): "the connection was lost: \(why)"
        case .timedOut: "the server did not answer in time"
        case .malformedAnswer(let why): "the answer can't be read: \(why)"
        }
    }
}

extension ClientError {
    /// Why a connection could not be made, in a person's words.
    static func text(_ error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError: error.connectionErrors.first.map { text($0.error) } ?? "no such host"
        case let error as IOError: String(cString: strerror(error.errnoCode))
        default: "\(error)"
        }
    }
}

public import NIOCore
import NIOHTTP1
public import TandemAPI

/// The servers that share one range, as one of them knows them: `GET /servers`, for viewers and administrators.
public enum ServerListing {
    /// The answer of the first server that can be reached: `{"storage":…,"servers":[…]}`. Each server has its part of `timeout`. Throws
    /// `ClientError` where none answers, and `APIError` where the certificate does not allow it, or the server is of a version that
    /// has no such list.
    public static func run(
        _ configuration: ClientConfiguration, timeout: TimeAmount = .seconds(10)
    ) async throws -> JSONValue {
        let timeout = configuration.share(of: timeout)
        let (status, text) = try await configuration.first { server in
            try await HTTPConnection.get("/servers", server, configuration, timeout: timeout)
        }
        switch status {
        case .ok: return try JSONValue(parsing: text)
        case .unauthorized: throw APIError(.unauthenticated, reason: "Unauthorized", text.line)
        case .forbidden: throw APIError(.permissionDenied, reason: "Forbidden", text.line)
        default: throw APIError(.unavailable, reason: "Unavailable", text.line)
        }
    }
}

extension String {
    fileprivate var line: String { String(prefix { !$0.isNewline }) }
}

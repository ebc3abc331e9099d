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
        try JSONValue(parsing: await configuration.text(of: "/servers", timeout: timeout))
    }
}

/// The metrics of a server, in Prometheus' text format: `GET /metrics`, for viewers and administrators.
public enum MetricsScrape {
    /// Of the first server that can be reached. Each has its part of `timeout`. Throws `ClientError` where none answers, and
    /// `APIError` where the certificate does not allow it.
    public static func run(
        _ configuration: ClientConfiguration, timeout: TimeAmount = .seconds(10)
    ) async throws -> String {
        try await configuration.text(of: "/metrics", timeout: timeout)
    }
}

extension ClientConfiguration {
    /// The body of a path from the first reachable server, for clients that may read it.
    fileprivate func text(of path: String, timeout: TimeAmount) async throws -> String {
        let timeout = share(of: timeout)
        let (status, text) = try await first { server in
            try await HTTPConnection.get(path, server, self, timeout: timeout)
        }
        switch status {
        case .ok: return text
        case .unauthorized: throw APIError(.unauthenticated, reason: "Unauthorized", text.line)
        case .forbidden: throw APIError(.permissionDenied, reason: "Forbidden", text.line)
        default: throw APIError(.unavailable, reason: "Unavailable", text.line)
        }
    }
}

extension String {
    fileprivate var line: String { String(prefix { !$0.isNewline }) }
}

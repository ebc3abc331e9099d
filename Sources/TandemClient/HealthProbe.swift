public import NIOCore
import NIOHTTP1

/// Asks servers whether one of them serves: `GET /readyz`, or `/livez` for whether it lives. Needs no certificate of one's own.
public enum HealthProbe {
    /// The first good answer, else the last one; and whether it is good. Each server has its part of `timeout`. Throws
    /// a `ClientError` of the code `notReached` where none answers by then.
    public static func run(
        _ configuration: ClientConfiguration, path: String = "/readyz?verbose", timeout: TimeAmount = .seconds(5)
    ) async throws -> (isHealthy: Bool, text: String) {
        let timeout = configuration.share(of: timeout)
        var lastAnswer: (isHealthy: Bool, text: String)?
        do {
            return try await configuration.first { server in
                let (status, text) = try await HTTPConnection.get(path, server, configuration, timeout: timeout)
                let answer = (isHealthy: status == .ok, text: text)
                guard !answer.isHealthy else { return answer }
                lastAnswer = answer
                throw ClientError.notReached("\(server)", "it does not serve")
            }
        } catch let error as ClientError {
            guard let lastAnswer else { throw error }
            return lastAnswer
        }
    }
}

import NIOCore
import TandemAPI
import TandemClient

/// One server, as the page's calls reach it: over one connection, which is made again when it was lost. Thread-safe.
actor ServerLink {
    /// The reads by `GET`.
    enum Look: String {
        case health, metrics, peers
    }

    let configuration: ClientConfiguration
    private var client: Task<TandemClient, any Error>?

    private static let timeout = TimeAmount.seconds(15)

    /// Of a single server. Connects when there is something to ask.
    init(_ configuration: ClientConfiguration) { self.configuration = configuration }

    /// Each call by itself succeeds, or fails with an `APIError`. Throws where the server was not reached: a `ClientError`, or a `TLSError` where
    /// one of the files can't be used.
    func calls(_ calls: [(method: TandemAPI.Method, params: JSONValue)]) async throws -> [Result<JSONValue, any Error>]
    {
        let isNew = client == nil
        do {
            return try await ask(calls)
        } catch let error as ClientError where !isNew && error.code != .timedOut {
            // A connection that was there before may have ended meanwhile. Calls that only look can be made again.
            return try await ask(calls)
        }
    }

    private func ask(_ calls: [(method: TandemAPI.Method, params: JSONValue)]) async throws -> [Result<
        JSONValue, any Error
    >] {
        let task = connection()
        do {
            let answers = try await task.value.batch(calls, timeout: Self.timeout)
            for case .failure(let error as ClientError) in answers { throw error }
            return answers
        } catch {
            await drop(task)
            throw error
        }
    }

    private func connection() -> Task<TandemClient, any Error> {
        if let client { return client }
        let task = Task { [configuration] in try await TandemClient.connect(configuration, timeout: .seconds(5)) }
        client = task
        return task
    }

    /// Others may have connected anew since.
    private func drop(_ task: Task<TandemClient, any Error>) async {
        if client == task { client = nil }
        try? await task.value.close()
    }

    func close() async {
        if let client { await drop(client) }
    }

    /// Throws as `calls` does, and `APIError` where the certificate does not allow it.
    nonisolated func look(_ what: Look) async throws -> JSONValue {
        switch what {
        case .health:
            let answer = try await HealthProbe.run(configuration)
            return ["ready": .bool(answer.isHealthy), "text": .string(answer.text)]
        case .metrics: return ["text": .string(try await MetricsScrape.run(configuration))]
        case .peers: return try await ServerListing.run(configuration)
        }
    }
}

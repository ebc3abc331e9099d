import NIOCore
import TandemAPI
import TandemClient

/// Calls by the thousand: many in a batch, several batches in flight.
struct Batches {
    typealias Call = (method: TandemAPI.Method, params: JSONValue)

    let client: TandemClient

    /// With `inFlight` batches in flight a connection may have 1,024 calls, and the server takes a message of 1 MiB.
    static let maximumCalls = 200
    private static let maximumBytes = 256 << 10
    private static let inFlight = 4
    /// How often a call is sent again that met a limit on load.
    private static let retries = 8

    /// Each call's outcome, in the order of the calls. Throws `ClientError` where the server is not reached.
    func call(_ calls: [Call]) async throws -> [Result<JSONValue, APIError>] {
        var outcomes: [Result<JSONValue, APIError>] = []
        for slice in Self.slices(calls, bytes: { $0.params.text.bytes.count }) {
            outcomes += try await persist(Array(calls[slice]))
        }
        return outcomes
    }

    private func persist(_ calls: [Call]) async throws -> [Result<JSONValue, APIError>] {
        var outcomes = try await send(calls)
        for retry in 1...Self.retries {
            let refused = outcomes.indices.filter { outcomes[$0].isOverload }
            guard !refused.isEmpty else { break }
            try await Task.sleep(for: .milliseconds(25 << retry))
            for (index, outcome) in zip(refused, try await send(refused.map { calls[$0] })) {
                outcomes[index] = outcome
            }
        }
        return outcomes
    }

    private func send(_ calls: [Call]) async throws -> [Result<JSONValue, APIError>] {
        try await client.batch(calls).map { result in
            switch result {
            case .success(let value): return .success(value)
            case .failure(let error as APIError): return .failure(error)
            case .failure(let error): throw error
            }
        }
    }

    /// Does the work for slices of the elements, some at a time, and reports the result of each slice, on this task.
    static func forEachSlice<Element: Sendable, Value: Sendable>(
        of elements: [Element], bytes: (Element) -> Int,
        _ work: @escaping @Sendable ([Element]) async throws -> [Value],
        told: ([Value]) -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: [Value].self) { group in
            var slices = slices(elements, bytes: bytes)[...]
            func begin() {
                guard let slice = slices.popFirst() else { return }
                let part = Array(elements[slice])
                group.addTask { try await work(part) }
            }
            for _ in 0..<inFlight { begin() }
            while let values = try await group.next() {
                told(values)
                begin()
            }
        }
    }

    /// Of so many elements, and so many bytes unless one alone has more.
    private static func slices<Element>(_ elements: [Element], bytes: (Element) -> Int) -> [Range<Int>] {
        var slices: [Range<Int>] = []
        var (start, size) = (0, 0)
        for (index, element) in elements.enumerated() {
            let more = bytes(element)
            if index > start, index - start == maximumCalls || size + more > maximumBytes {
                slices.append(start..<index)
                (start, size) = (index, 0)
            }
            size += more
        }
        if start < elements.count { slices.append(start..<elements.count) }
        return slices
    }
}

extension Result<JSONValue, APIError> {
    /// A limit that holds down load was met, not a range's.
    fileprivate var isOverload: Bool {
        guard case .failure(let error) = self else { return false }
        return error.status == .resourceExhausted && error.isRetryable && error.reason != "RangeFull"
    }
}

public import IPAM
public import TandemAPI

/// An engine spoken to in JSON, as a client would, without a server between.
extension Engine {
    /// The result, or the error that was answered.
    public func answer(
        _ method: TandemAPI.Method, _ params: JSONValue = [:], onlyNode: String? = nil
    ) async -> Result<JSONValue, APIError> {
        await withCheckedContinuation { continuation in
            begin(method, params, onlyNode: onlyNode) { continuation.resume(returning: $0) }
        }
    }

    /// The call is on its way when this returns; its answer may come later.
    public func begin(
        _ method: TandemAPI.Method, _ params: JSONValue, onlyNode: String? = nil,
        _ answer: @escaping @Sendable (Result<JSONValue, APIError>) -> Void
    ) {
        let request: JSONValue = ["jsonrpc": "2.0", "id": 1, "method": .string(method.rawValue), "params": params]
        guard case .single(let parsed) = request.text.bytes.withUnsafeBytes({ RPCMessage(parsing: $0) }) else {
            return answer(.failure(.unavailable("not a request")))
        }
        switch parsed.call {
        case .failure(let error): answer(.failure(error))
        case .success(let call):
            perform(call, onlyNode: onlyNode) { result in
                answer(result.map { (try? JSONValue(parsing: $0.json)) ?? .null })
            }
        }
    }
}

import NIOHTTP1
import TandemAPI

/// JSON-RPC from the page: one call or a batch, of methods that only look.
struct Calls {
    struct Call {
        var id: JSONValue
        var method: TandemAPI.Method
        var params: JSONValue
    }

    let calls: [Call]
    let isBatch: Bool

    static let maximumCalls = 256

    /// The methods of the page. A method that is not named here never goes on to a server, whatever the user's certificate allows.
    static let allowed: Set<TandemAPI.Method> = [
        .getPools, .getPoolMap, .lookupIP, .getService, .getNode, .getPod, .listServices, .listNodes, .listPods,
        .checkNode,
        .discover,
    ]

    /// Throws a `Refusal` where it is not of that kind, or one of the calls may not be made.
    init(_ body: some Sequence<UInt8>) throws(Refusal) {
        let message: JSONValue
        do throws(JSONError) {
            message = try JSONValue(parsing: body)
        } catch {
            throw Refusal(status: .badRequest, text: "not JSON")
        }
        let all = message.arrayValue ?? [message]
        isBatch = message.arrayValue != nil
        guard (1...Self.maximumCalls).contains(all.count) else {
            throw Refusal(status: .badRequest, text: "a batch has 1 to \(Self.maximumCalls) calls")
        }
        var calls: [Call] = []
        for call in all {
            guard let name = call["method"]?.stringValue, let id = call["id"] else {
                throw Refusal(status: .badRequest, text: "a call has a method and an id")
            }
            guard let method = Method(rawValue: name), Self.allowed.contains(method) else {
                throw Refusal(
                    status: .forbidden, text: "the dashboard only looks: \(name.cut(toBytes: 64)) is not asked")
            }
            calls.append(Call(id: id, method: method, params: call["params"] ?? [:]))
        }
        self.calls = calls
    }

    /// The answers, in the order of the calls.
    func answer(_ results: [Result<JSONValue, any Error>]) -> JSONValue {
        let answers = zip(calls, results).map { call, result -> JSONValue in
            var answer: JSONValue = ["jsonrpc": "2.0", "id": call.id]
            switch result {
            case .success(let value): answer["result"] = value
            case .failure(let error): answer["error"] = Self.error(error)
            }
            return answer
        }
        return isBatch ? .array(answers) : answers[0]
    }

    /// As it travels in `error`.
    static func error(_ error: any Error) -> JSONValue {
        guard let refusal = error as? APIError else {
            return [
                "code": -32_000, "message": .string("\(error)".cut(toBytes: APIError.maximumMessageBytes)),
                "data": ["status": "NOT_REACHED"],
            ]
        }
        return [
            "code": .number(String(refusal.code)), "message": .string(refusal.message),
            "data": ["status": .string(refusal.status.name), "reason": .string(refusal.reason)],
        ]
    }
}

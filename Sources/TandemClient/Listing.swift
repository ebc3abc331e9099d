public import TandemAPI

extension TandemClient {
    /// Every object of a list, page by page. An object that is there all the while comes once.
    public func list(_ method: Method, namespace: String? = nil) async throws -> [JSONValue] {
        if method == .getPools { return try await call(method)["pools"]?.arrayValue ?? [] }
        var items: [JSONValue] = []
        var params: JSONValue = ["limit": 1_000]
        if let namespace { params["namespace"] = .string(namespace) }
        while true {
            let page = try await call(method, params)
            items += page["items"]?.arrayValue ?? []
            guard let next = page["continue"] else { return items }
            params["continue"] = next
        }
    }
}

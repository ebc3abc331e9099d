public import TandemAPI

extension TandemClient {
    /// Every object of a list, or every pool, page by page. An object that is there all the while comes once.
    public func list(
        _ method: Method, namespace: String? = nil, nodeName: String? = nil
    ) async throws -> [JSONValue] {
        if method == .getPools { return try await pools() }
        var params: JSONValue = [:]
        if let namespace { params["namespace"] = .string(namespace) }
        if let nodeName { params["nodeName"] = .string(nodeName) }
        return try await list(method, params, "items")
    }

    /// Every pool, or those of one kind, page by page.
    public func pools(_ kind: PoolKind? = nil) async throws -> [JSONValue] {
        var params: JSONValue = [:]
        if let kind { params["kind"] = .string(kind.rawValue) }
        return try await list(.getPools, params, "pools")
    }

    /// Every address of a CIDR that is held, as `LookupIP` says it of one, page by page.
    public func holders(of cidr: String) async throws -> [JSONValue] {
        try await list(.lookupIP, ["cidr": .string(cidr)], "items")
    }

    private func list(_ method: Method, _ params: JSONValue, _ member: String) async throws -> [JSONValue] {
        var items: [JSONValue] = []
        var params = params
        params["limit"] = 1_000
        while true {
            let page = try await call(method, params)
            items += page[member]?.arrayValue ?? []
            guard let next = page["continue"] else { return items }
            params["continue"] = next
        }
    }
}

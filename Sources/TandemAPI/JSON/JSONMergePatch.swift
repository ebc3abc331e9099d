extension JSONValue {
    /// RFC 7386: this value with `patch` applied. Objects merge member by member, null deletes, all else replaces. O(size of
    /// both).
    public func merging(_ patch: JSONValue) -> JSONValue {
        guard case .object(let changes) = patch else { return patch }
        let base = objectValue ?? JSONObject()
        var result = JSONObject()
        for (name, value) in base.members {
            guard let change = changes[name] else {
                result[name] = value
                continue
            }
            if change != .null { result[name] = value.merging(change) }
        }
        for (name, change) in changes.members where change != .null && base[name] == nil {
            result[name] = JSONValue.null.merging(change)
        }
        return .object(result)
    }
}

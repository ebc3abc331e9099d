extension JSONValue {
    /// RFC 7386: what `patch` makes of this value. Objects merge member by member, null deletes, all else replaces.
    public func merging(_ patch: JSONValue) -> JSONValue {
        guard case .object(let changes) = patch else { return patch }
        var result = objectValue ?? JSONObject()
        for (name, change) in changes.members {
            result[name] = change == .null ? nil : (result[name] ?? .null).merging(change)
        }
        return .object(result)
    }
}

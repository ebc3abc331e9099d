import TandemAPI

/// Faults in the words of kube-apiserver: a word for the reason, the value that was sent, and what would be right.
extension APIError.Cause {
    static func invalid(_ field: String, _ value: String, _ detail: String) -> Self {
        Self(field, .invalid, "Invalid value: \(JSONValue.string(value).text): \(detail)")
    }

    /// The value is a whole list, printed as JSON.
    static func invalid(_ field: String, _ values: [String], _ detail: String) -> Self {
        Self(field, .invalid, "Invalid value: \(JSONValue.array(values.map(JSONValue.string)).text): \(detail)")
    }

    static func required(_ field: String, _ detail: String) -> Self {
        Self(field, .required, "Required value: \(detail)")
    }

    static func forbidden(_ field: String, _ detail: String) -> Self {
        Self(field, .forbidden, "Forbidden: \(detail)")
    }

    static func duplicate(_ field: String, _ value: String) -> Self {
        Self(field, .duplicate, "Duplicate value: \(JSONValue.string(value).text)")
    }

    static func notSupported(_ field: String, _ value: String, _ supported: [String]) -> Self {
        let choices = supported.map { "\"\($0)\"" }.joined(separator: ", ")
        let unsupported = JSONValue.string(value).text
        return Self(field, .notSupported, "Unsupported value: \(unsupported): supported values: \(choices)")
    }
}

extension [APIError.Cause] {
    /// Throws what was found, all of it in one answer; does nothing where nothing was.
    func refuse(kind: ObjectKind, name: String) throws(APIError) {
        if !isEmpty { throw .invalid(kind: kind.rawValue, name: name, self) }
    }
}

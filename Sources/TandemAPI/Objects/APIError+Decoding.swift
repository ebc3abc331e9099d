import Addressing

extension APIError {
    /// Reads the value of an answer's `error` member; an unknown status of a newer server is read as INTERNAL.
    public init(decoding error: JSONValue) throws(JSONError) {
        guard let message = error["message"]?.stringValue, let code = error["code"]?.intValue else {
            throw JSONError(.type, at: 0, "an error needs a code and a message")
        }
        let data = error["data"]
        let name = data?["status"]?.stringValue
        self.init(
            Status.allCases.first { $0.name == name } ?? .internal, reason: data?["reason"]?.stringValue ?? "",
            message, isRetryable: data?["retryable"]?.boolValue ?? false, code: code)
        fullRange = data?["cidr"]?.stringValue.flatMap { AddressRange($0) }
        causes = (data?["causes"]?.arrayValue ?? []).compactMap(Cause.init)
    }
}

extension APIError.Cause {
    fileprivate init?(_ json: JSONValue) {
        guard let field = json["field"]?.stringValue,
            let reason = json["reason"]?.stringValue.flatMap(Reason.init(rawValue:))
        else { return nil }
        self.init(field, reason, json["message"]?.stringValue ?? "")
    }
}

import Addressing
import TandemAPI

/// Faults in the words of kube-apiserver: a word for the reason, the value that was sent, and a correction.
///
/// Of a value that leaves no room for the rest its beginning is quoted. O(length of the result), however much was sent.
extension APIError.Cause {
    static func invalid(_ field: String, _ value: String, _ detail: String) -> Self {
        Self(field, .invalid, "Invalid value: ", quoted(value), ": \(detail)")
    }

    static func invalid<Value>(_ field: String, _ value: Written<Value>, _ detail: String) -> Self {
        invalid(field, value.description, detail)
    }

    /// The value is a whole list, printed as JSON.
    static func invalid<Value>(_ field: String, _ values: WrittenList<Value>, _ detail: String) -> Self {
        Self(field, .invalid, "Invalid value: ", quoted(values), ": \(detail)")
    }

    static func invalid(_ field: String, _ value: Int, _ detail: String) -> Self {
        Self(field, .invalid, "Invalid value: ", "\(value)", ": \(detail)")
    }

    static func required(_ field: String, _ detail: String) -> Self {
        Self(field, .required, "Required value: \(detail)")
    }

    static func forbidden(_ field: String, _ detail: String) -> Self {
        Self(field, .forbidden, "Forbidden: \(detail)")
    }

    static func duplicate(_ field: String, _ value: String) -> Self {
        Self(field, .duplicate, "Duplicate value: ", quoted(value), "")
    }

    static func duplicate(_ field: String, _ value: Int) -> Self {
        Self(field, .duplicate, "Duplicate value: ", "\(value)", "")
    }

    static func notSupported(_ field: String, _ value: String, _ supported: [String]) -> Self {
        let choices = supported.map { "\"\($0)\"" }.joined(separator: ", ")
        return Self(field, .notSupported, "Unsupported value: ", quoted(value), ": supported values: \(choices)")
    }

    static func notSupported<Value: Vocabulary>(
        _ field: String, _ value: Written<Value>, _ supported: Value.Type
    ) -> Self {
        notSupported(field, value.description, supported.words)
    }

    private init(_ field: String, _ reason: Reason, _ word: String, _ value: String, _ detail: String) {
        let room = Self.maximumTextBytes - word.utf8.count - detail.utf8.count
        self.init(field, reason, word + value.cut(toBytes: max(room, Self.shortestQuoteBytes)) + detail)
    }

    /// So much of a value is quoted even where the end of the message has to go for it.
    private static let shortestQuoteBytes = 32

    private static func quoted(_ value: String) -> String {
        JSONValue.string(value.cut(toBytes: maximumTextBytes)).text.description
    }

    private static func quoted<Value>(_ values: WrittenList<Value>) -> String {
        // An element takes three bytes at least, so that those behind are cut off in any case.
        let first = values.prefix(maximumTextBytes).map {
            JSONValue.string($0.description.cut(toBytes: maximumTextBytes))
        }
        return JSONValue.array(first).text.description
    }
}

extension APIError.Causes {
    /// Throws all faults in one answer; does nothing where there are none.
    func refuse(_ kind: ObjectKind, name: String) throws(APIError) {
        if !isEmpty { throw .invalid(kind, name: name, self) }
    }
}

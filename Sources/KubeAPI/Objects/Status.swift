import TandemAPI

/// A refusal as the server writes it: an object of kind `Status`, in an answer's body or in a line of a watch.
enum Status {
    /// Messages are kept so long: some quote the whole object.
    private static let maximumMessageBytes = 2_048

    /// Of an answer; `body` may be anything, as a proxy on the way writes its own.
    static func error(_ code: Int, body: [UInt8], retryAfter: Duration?) -> KubeError {
        guard let status = try? JSONValue(parsing: body), status["kind"] == "Status" else {
            let text = String(decoding: body.prefix(200), as: UTF8.self)
            return error(code, reason: "", text, retryAfter)
        }
        return error(of: status, code: code, retryAfter: retryAfter)
    }

    /// Of the object itself: its code counts where no other is known.
    static func error(of status: JSONValue, code: Int? = nil, retryAfter: Duration? = nil) -> KubeError {
        let seconds = status["details"]?["retryAfterSeconds"]?.intValue.flatMap { $0 > 0 ? $0 : nil }
        return error(
            code ?? status["code"]?.intValue ?? 500, reason: status["reason"]?.stringValue ?? "",
            status["message"]?.stringValue ?? "it gave no message",
            retryAfter ?? seconds.map { .seconds(min($0, maximumRetryAfterSeconds)) })
    }

    private static func error(_ code: Int, reason: String, _ message: String, _ retryAfter: Duration?) -> KubeError {
        KubeError(
            KubeError.Code(rawValue: code), reason: reason,
            String(decoding: message.utf8.prefix(maximumMessageBytes), as: UTF8.self),
            retryAfter: retryAfter,
            // An internal error may have happened after the change.
            mayHaveBeenApplied: code >= 500 && code != KubeError.Code.unavailable.rawValue)
    }

    /// Of the header: whole seconds. A date, which the header may have as well, no apiserver sends.
    static func retryAfter(_ header: String?) -> Duration? {
        header.flatMap { Int($0) }.flatMap { $0 >= 0 ? .seconds(min($0, maximumRetryAfterSeconds)) : nil }
    }

    private static let maximumRetryAfterSeconds = 300
}

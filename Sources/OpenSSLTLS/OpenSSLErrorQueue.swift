import COpenSSL

/// OpenSSL's errors of this thread. A call that may fail is preceded by `clear()` and followed by `take()`.
enum OpenSSLErrorQueue {
    struct Entry {
        var library: Int32
        var reason: Int32
        var text: String
    }

    /// Looks before it clears: the queue is nearly always empty, and OpenSSL wipes all sixteen places whatever is in them.
    static func clear() {
        if ERR_peek_error() != 0 { ERR_clear_error() }
    }

    /// All there are, the oldest - which is the cause - first. The queue is empty after it.
    static func take() -> [Entry] {
        var entries: [Entry] = []
        while case let code = ERR_get_error(), code != 0 {
            let text = ERR_reason_error_string(code).map { String(cString: $0) } ?? "error \(code)"
            entries.append(Entry(library: ERR_GET_LIB(code), reason: ERR_GET_REASON(code), text: text))
        }
        return entries
    }

    /// For a call that fails only if memory is out or the call is wrong.
    static func internalError(_ call: String) -> TLSError {
        let reason = take().first?.text ?? "no reason given"
        return TLSError(.internal, "OpenSSL's \(call) failed: \(reason)")
    }
}

import NIOHTTP1

/// One connection's way through its requests, one after the other; without I/O.
struct ConnectionState {
    private enum Phase: Equatable {
        case idle
        /// Of the answer to a request that was sent.
        case head
        case body(keepAlive: Bool)
        case closed
    }

    private var phase = Phase.idle
    /// Some request before this one was answered: the server may have closed it just now.
    private(set) var isReused = false

    enum Action: Equatable {
        case tell(status: Int, retryAfter: String?)
        case pass
        /// The answer is whole; the connection can be used again, or not.
        case end(keepAlive: Bool)
        /// Bytes came without a request.
        case close
    }

    var isIdle: Bool { phase == .idle }
    /// The head of the answer has not come.
    var isWaiting: Bool { phase == .head }
    var isInAnswer: Bool { if case .body = phase { true } else { false } }

    /// False where it is at work, or closed.
    mutating func begin() -> Bool {
        guard phase == .idle else { return false }
        phase = .head
        return true
    }

    mutating func receive(_ part: HTTPClientResponsePart) -> Action {
        switch (phase, part) {
        case (.head, .head(let head)):
            phase = .body(keepAlive: head.isKeepAlive)
            return .tell(status: Int(head.status.code), retryAfter: head.headers.first(name: "retry-after"))
        case (.body, .body): return .pass
        case (.body(let keepAlive), .end):
            phase = keepAlive ? .idle : .closed
            isReused = true
            return .end(keepAlive: keepAlive)
        case (.closed, _): return .pass
        default:
            phase = .closed
            return .close
        }
    }

    mutating func close() { phase = .closed }
}

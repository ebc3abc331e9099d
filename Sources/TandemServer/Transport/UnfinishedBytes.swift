import TandemAPI

/// The bytes of incomplete messages that a handler keeps, as reported to its session. On the connection's event loop.
struct UnfinishedBytes {
    private let session: RPCSession
    private var bytes = 0

    init(_ session: RPCSession) {
        self.session = session
    }

    /// Notes how much it is now. Not nil where that is too much: then the handler must let go of it.
    mutating func note(_ now: Int) -> APIError? {
        session.hold(now - bytes)
        bytes = now
        return session.refusal(of: now)
    }
}

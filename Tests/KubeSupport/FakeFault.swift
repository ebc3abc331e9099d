/// A fault of a fake API server.
public struct FakeFault: Sendable {
    public enum Effect: Sendable {
        /// Does nothing and answers so.
        case refuse(Int, reason: String, message: String = "as the test wishes", retryAfter: Int? = nil)
        /// Does nothing and never answers, as a watch of a version that is still to come.
        case hang
        /// Ends the connection; before that carries the request out, or not.
        case lose(applied: Bool)
        /// A watch: HTTP 200 and one line, an `ERROR` of code 410.
        case goneLine
        /// A watch: its events, and then half a line; the answer ends there, or the connection does.
        case tornLine(cutsConnection: Bool)
        /// A watch: this line as it stands.
        case line(String)
        /// A watch: its head and nothing, however long.
        case silence
        /// This body with status 200.
        case answer(String)
    }

    let effect: Effect
    let method: String?
    let path: String
    /// How often still.
    var count: Int

    /// For requests of the method (`GET`, and `WATCH` for watches; nil for all) whose path and query have `path` in them.
    public init(_ effect: Effect, _ method: String? = nil, _ path: String = "", count: Int = 1) {
        self.effect = effect
        self.method = method
        self.path = path
        self.count = count
    }

    func fits(_ request: FakeRequest) -> Bool {
        count > 0 && (method == nil || method == request.kind) && request.uri.contains(path)
    }
}

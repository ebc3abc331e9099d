import NIOCore
import OpenSSLTLS
import TandemAPI

/// A connection as calls see it. On its event loop alone.
protocol CallConnection: AnyObject {
    var peer: PeerAddress { get }
    /// Sends them in one piece. Answers each once: with the message that came, or with a `ClientError`.
    func send(
        _ calls: [(method: TandemAPI.Method, params: JSONValue)], timeout: TimeAmount,
        _ answer: @escaping (Int, Result<JSONValue, any Error>) -> Void)
    /// Nothing more will be sent: it ends with the last answer.
    func retire()
    func close() -> EventLoopFuture<Void>
    /// Notifications of a watch go to the feed from now on, until it takes no more or the connection ends.
    func subscribe(_ name: String, _ feed: WatchFeed)
    /// False where no call can be sent any more.
    var isOpen: Bool { get }
}

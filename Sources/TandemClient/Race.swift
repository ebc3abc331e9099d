import NIOCore
import OpenSSLTLS

/// Connects to the first of several peers that shakes hands: each is tried when those before have failed or have had 250 ms
/// (RFC 8305, 5), so that a silent one costs no more. On its event loop alone.
final class Race {
    typealias Open = (PeerAddress, @escaping (Result<any CallConnection, any Error>) -> Void) -> Void

    private let loop: NIOIsolatedEventLoop
    private let open: Open
    private let failed: (PeerAddress, any Error) -> Void
    private let done: ((any CallConnection)?) -> Void
    private var waiting: ArraySlice<PeerAddress>
    private var underWay = 0
    private var next: Scheduled<Void>?
    private var isOver = false

    private static let patience = TimeAmount.milliseconds(250)

    /// Tells each that `failed` before one was there, and then, once, the winner: nil where all of them failed.
    static func run(
        _ peers: [PeerAddress], on loop: NIOIsolatedEventLoop, open: @escaping Open,
        failed: @escaping (PeerAddress, any Error) -> Void, done: @escaping ((any CallConnection)?) -> Void
    ) {
        Race(peers, loop, open, failed, done).goOn()
    }

    private init(
        _ peers: [PeerAddress], _ loop: NIOIsolatedEventLoop, _ open: @escaping Open,
        _ failed: @escaping (PeerAddress, any Error) -> Void, _ done: @escaping ((any CallConnection)?) -> Void
    ) {
        self.loop = loop
        self.open = open
        self.failed = failed
        self.done = done
        waiting = peers[...]
    }

    /// Begins with the next one; without one, and none in progress, it is over.
    private func goOn() {
        next?.cancel()
        guard let peer = waiting.popFirst() else {
            if underWay == 0 { finish(nil) }
            return
        }
        if !waiting.isEmpty { next = loop.scheduleTask(in: Self.patience) { self.goOn() } }
        underWay += 1
        open(peer) { result in
            self.underWay -= 1
            switch result {
            // The second connection is not needed.
            case .success(let connection) where self.isOver: _ = connection.close()
            case .success(let connection): self.finish(connection)
            case .failure where self.isOver: break
            case .failure(let error):
                self.failed(peer, error)
                self.goOn()
            }
        }
    }

    private func finish(_ winner: (any CallConnection)?) {
        isOver = true
        next?.cancel()
        done(winner)
    }
}

import NIOCore
import NIOEmbedded
import OpenSSLTLS
import TandemAPI
import Testing

@testable import TandemClient

/// Servers whose connections and answers are made by the test, on its own clock.
final class EmbeddedServers {
    /// The treatment of a connection by a server's address.
    enum Behaviour {
        case accepts
        case refuses
        case isSilent
    }

    /// An open connection, with the bytes sent over it.
    final class Connection: CallConnection {
        func subscribe(_ name: String, _ feed: WatchFeed) {}
        var isOpen: Bool { true }

        let peer: PeerAddress
        private let loop: EmbeddedEventLoop
        private(set) var calls: [(method: TandemAPI.Method, answer: (Result<JSONValue, any Error>) -> Void)] = []
        /// Bytes sent in one piece count once.
        private(set) var pieces = 0
        private(set) var isRetired = false
        private(set) var isClosed = false

        init(_ peer: PeerAddress, _ loop: EmbeddedEventLoop) {
            self.peer = peer
            self.loop = loop
        }

        func send(
            _ calls: [(method: TandemAPI.Method, params: JSONValue)], timeout: TimeAmount,
            _ answer: @escaping (Int, Result<JSONValue, any Error>) -> Void
        ) {
            pieces += 1
            for (index, call) in calls.enumerated() {
                var isAnswered = false
                let once: (Result<JSONValue, any Error>) -> Void = { result in
                    guard !isAnswered else { return }
                    isAnswered = true
                    answer(index, result)
                }
                self.calls.append((call.method, once))
                _ = loop.assumeIsolated().scheduleTask(in: timeout) { once(.failure(ClientError.timedOut)) }
            }
        }

        func call(_ index: Int) throws -> (
            method: TandemAPI.Method, answer: (Result<JSONValue, any Error>) -> Void
        ) {
            try #require(calls.dropFirst(index).first)
        }

        func retire() { isRetired = true }

        func close() -> EventLoopFuture<Void> {
            isClosed = true
            return loop.makeSucceededVoidFuture()
        }

        func lose(_ why: String = "reset", cause: (any Error)? = nil) {
            for call in calls { call.answer(.failure(ClientError.connectionLost(why, cause: cause))) }
        }
    }

    private let loop = EmbeddedEventLoop()
    private(set) var failover: Failover!
    /// By IP address; all others accept.
    var behaviours: [String: Behaviour] = [:]
    /// The addresses of a name.
    var names: [String: [String]] = [:]
    private(set) var connections: [Connection] = []
    /// Addresses in the order in which they were tried.
    private(set) var tried: [String] = []
    /// Openings that have no outcome yet.
    private(set) var unopened: [(peer: PeerAddress, done: (Result<any CallConnection, any Error>) -> Void)] = []

    init(_ servers: String) throws {
        let wire = Failover.Wire(
            lookUp: { [unowned self] server, done in
                let peers = (names[server.host] ?? [server.host]).compactMap {
                    PeerAddress(ipAddress: $0, port: server.port)
                }
                done(
                    peers.isEmpty ? .failure(ClientError.notReached("\(server)", "no such host")) : .success(peers))
            },
            open: { [unowned self] peer, done in
                tried.append(peer.host)
                switch behaviours[peer.host] ?? .accepts {
                case .refuses: done(.failure(ClientError.notReached("\(peer)", "refused")))
                case .isSilent: unopened.append((peer, done))
                case .accepts: done(.success(connect(peer)))
                }
            })
        failover = Failover(try ServerAddress.list(servers), on: loop, wire)
    }

    func advance(by time: TimeAmount) { loop.advanceTime(by: time) }

    func connection(_ index: Int) throws -> Connection { try #require(connections.dropFirst(index).first) }

    func connect(_ peer: PeerAddress) -> Connection {
        connections.append(Connection(peer, loop))
        return connections.last!
    }

    /// A call's outcome, once there is one.
    final class Outcome {
        var result: Result<JSONValue, any Error>?
        var value: JSONValue? { try? result?.get() }
        var error: (any Error)? { if case .failure(let error) = result { error } else { nil } }
        var message: String { (error as? APIError)?.message ?? error.map { "\($0)" } ?? "" }
    }

    func connect() -> Outcome { note(failover.connect().map { JSONValue.null }) }

    func call(_ method: TandemAPI.Method = .getPools, timeout: TimeAmount = .seconds(60)) -> Outcome {
        note(failover.call(method, [:], timeout: timeout))
    }

    func batch(_ methods: [TandemAPI.Method]) -> [Outcome] {
        failover.batch(methods.map { ($0, [:]) }, timeout: .seconds(60)).map(note)
    }

    private func note(_ future: EventLoopFuture<JSONValue>) -> Outcome {
        let outcome = Outcome()
        future.assumeIsolated().whenComplete { outcome.result = $0 }
        return outcome
    }
}

extension JSONValue {
    static func refusal(
        _ status: APIError.Status, reason: String = "Why", isRetryable: Bool = false, _ message: String = "no"
    ) -> JSONValue {
        [
            "error": [
                "code": .number(String(status.code)), "message": .string(message),
                "data": [
                    "status": .string(status.name), "reason": .string(reason), "retryable": isRetryable ? true : false,
                ],
            ]
        ]
    }
}

import NIOCore
import OpenSSLTLS
import TandemAPI

/// Where a client's calls go: to one server at a time, over one connection. After a failure they go to another one, to the
/// one first whose own failure is the longest ago, until the call's time is up. On its event loop alone.
final class Failover {
    /// The settings of a client.
    struct Wire {
        var lookUp: (ServerAddress, @escaping (Result<[PeerAddress], any Error>) -> Void) -> Void
        var open: Race.Open
    }

    private let loop: any EventLoop
    private let servers: [ServerAddress]
    private let wire: Wire

    private var current: (any CallConnection)?
    /// Callers that wait for a connection, while one comes into being.
    private var waiting: [(Result<any CallConnection, Round>) -> Void] = []
    /// Of the last round; a server without a number has not failed since it was reached.
    private var peers: [PeerAddress] = []
    private var lastFailure: [PeerAddress: Int] = [:]
    private var failureCount = 0
    /// A call that fails is tried again: there is another server to go to, or was, or the one is to be come back to.
    private var triesAgain: Bool
    private var isClosed = false

    /// How a round over all servers ended that found none.
    struct Round: Error {
        var failures = Failures()
    }

    /// The longest that one server is waited for where a call is tried again.
    private static let patience = TimeAmount.seconds(5)
    private static let firstPause = TimeAmount.milliseconds(50)
    private static let longestPause = TimeAmount.milliseconds(500)

    init(_ servers: [ServerAddress], on loop: any EventLoop, _ wire: Wire, comesBack: Bool = false) {
        self.loop = loop
        self.servers = servers
        self.wire = wire
        triesAgain = servers.count > 1 || comesBack
    }

    // MARK: Connecting

    /// Makes sure that there is a connection: one round over all servers.
    func connect() -> EventLoopFuture<Void> {
        let promise = loop.makePromise(of: Void.self)
        connection { promise.completeWith($0.map { _ in }.mapError(\.failures.error)) }
        return promise.futureResult
    }

    func close() -> EventLoopFuture<Void> {
        isClosed = true
        return current?.close() ?? loop.makeSucceededVoidFuture()
    }

    private func connection(_ caller: @escaping (Result<any CallConnection, Round>) -> Void) {
        if let current { return caller(.success(current)) }
        waiting.append(caller)
        guard waiting.count == 1 else { return }
        var round = Round()
        lookUp { found, failures in
            round.failures = failures
            self.peers = found
            if found.count > 1 { self.triesAgain = true }
            self.lastFailure = self.lastFailure.filter { found.contains($0.key) }
            Race.run(
                self.ordered(found), on: self.loop.assumeIsolated(), open: self.wire.open,
                failed: { peer, error in
                    self.noteFailure(peer)
                    round.failures.note("\(peer)", error)
                },
                done: { winner in
                    if self.isClosed { _ = winner?.close() } else { self.current = winner }
                    let callers = self.waiting
                    self.waiting = []
                    let result = self.current.map { Result.success($0) } ?? .failure(round)
                    for caller in callers { caller(result) }
                })
        }
    }

    /// The addresses of all servers, in the order in which they were given.
    private func lookUp(_ done: @escaping ([PeerAddress], Failures) -> Void) {
        var results: [Result<[PeerAddress], any Error>?] = servers.map { _ in nil }
        for (index, server) in servers.enumerated() {
            wire.lookUp(server) { result in
                results[index] = result
                guard !results.contains(where: { $0 == nil }) else { return }
                var failures = Failures()
                for (server, result) in zip(self.servers, results) {
                    if case .failure(let error) = result { failures.note("\(server)", error) }
                }
                done(results.flatMap { (try? $0?.get()) ?? [] }, failures)
            }
        }
    }

    private func ordered(_ peers: [PeerAddress]) -> [PeerAddress] {
        peers.enumerated().sorted { left, right in
            (lastFailure[left.element] ?? 0, left.offset) < (lastFailure[right.element] ?? 0, right.offset)
        }.map(\.element)
    }

    private func noteFailure(_ peer: PeerAddress) {
        failureCount += 1
        lastFailure[peer] = failureCount
    }

    /// Calls go elsewhere from now on; those that wait for an answer over it may still get one.
    private func passOver(_ connection: any CallConnection) {
        guard current === connection else { return }
        noteFailure(connection.peer)
        current = nil
        connection.retire()
    }

    // MARK: Calling

    /// A call with its state so far.
    private final class Pending {
        let method: TandemAPI.Method
        let params: JSONValue
        let deadline: NIODeadline
        let answer: EventLoopPromise<JSONValue>
        /// Of a watch.
        let feed: WatchFeed?
        var timer: Scheduled<Void>?
        var failures = Failures()
        /// Servers asked since the last pause.
        var tries = 0
        var pause = Failover.firstPause
        var isAnswered = false

        init(
            _ method: TandemAPI.Method, _ params: JSONValue, _ deadline: NIODeadline,
            _ answer: EventLoopPromise<JSONValue>, _ feed: WatchFeed? = nil
        ) {
            self.feed = feed
            self.method = method
            self.params = params
            self.deadline = deadline
            self.answer = answer
        }
    }

    /// The value of `result`; fails with an `APIError` where a server refuses it, else with a `ClientError`.
    func call(_ method: TandemAPI.Method, _ params: JSONValue, timeout: TimeAmount) -> EventLoopFuture<JSONValue> {
        batch([(method, params)], timeout: timeout)[0]
    }

    /// The same of several calls that are sent as one batch. Each succeeds or fails alone, and calls that must go to another server go
    /// there alone.
    func batch(
        _ calls: [(method: TandemAPI.Method, params: JSONValue)], timeout: TimeAmount
    ) -> [EventLoopFuture<JSONValue>] {
        let calls = calls.map { Pending($0.method, $0.params, loop.now + timeout, loop.makePromise()) }
        for call in calls where triesAgain {
            call.timer = loop.assumeIsolated().scheduleTask(in: timeout) {
                self.finish(call, .failure(call.failures.error))
            }
        }
        attempt(calls)
        return calls.map(\.answer.futureResult)
    }

    /// A call of `Watch`. Over a connection that is lost there will be none: another one is made, also to a single server.
    func watch(_ params: JSONValue, _ feed: WatchFeed, timeout: TimeAmount) -> EventLoopFuture<JSONValue> {
        if let current, !current.isOpen { passOver(current) }
        let call = Pending(.watch, params, loop.now + timeout, loop.makePromise(), feed)
        if triesAgain {
            call.timer = loop.assumeIsolated().scheduleTask(in: timeout) {
                self.finish(call, .failure(call.failures.error))
            }
        }
        attempt([call])
        return call.answer.futureResult
    }

    private func finish(_ call: Pending, _ result: Result<JSONValue, any Error>) {
        guard !call.isAnswered else { return }
        call.isAnswered = true
        call.timer?.cancel()
        call.answer.completeWith(result)
    }

    private func attempt(_ calls: [Pending]) {
        let calls = calls.filter { !$0.isAnswered }
        guard !calls.isEmpty else { return }
        guard !isClosed else {
            for call in calls { finish(call, .failure(ClientError.connectionLost("it was closed"))) }
            return
        }
        connection { result in
            switch result {
            case .success(let connection): self.send(calls, over: connection)
            case .failure(let round):
                for call in calls {
                    call.failures.note(round.failures)
                    self.pause(call)
                }
            }
        }
    }

    private func send(_ calls: [Pending], over connection: any CallConnection) {
        // Calls of one batch have one deadline.
        let left = calls[0].deadline - loop.now
        let triesAgain = triesAgain
        connection.send(
            calls.map { ($0.method, $0.params) },
            timeout: triesAgain ? min(Self.patience, .nanoseconds(left.nanoseconds / 2)) : left
        ) { index, result in
            let call = calls[index]
            do {
                let value = try Self.value(of: result.get())
                // Before anything else is read: notifications may stand right behind it.
                if let feed = call.feed, let name = value["subscription"]?.stringValue {
                    connection.subscribe(name, feed)
                }
                self.finish(call, .success(value))
            } catch {
                guard triesAgain else { return self.finish(call, .failure(error)) }
                guard Self.mayBeBetterElsewhere(error) else {
                    if error is ClientError { self.passOver(connection) }
                    return self.finish(call, .failure(error))
                }
                self.passOver(connection)
                call.failures.note("\(connection.peer)", error)
                call.tries += 1
                if call.tries < self.peers.count { self.attempt([call]) } else { self.pause(call) }
            }
        }
    }

    private static func value(of message: JSONValue) throws -> JSONValue {
        if let error = message["error"] { throw try APIError(decoding: error) }
        guard let result = message["result"] else {
            throw ClientError.malformedAnswer("it has neither result nor error")
        }
        return result
    }

    /// A server that can't serve now, or is not there. A refusal that every server would give goes to the caller.
    private static func mayBeBetterElsewhere(_ error: any Error) -> Bool {
        if let error = error as? APIError { return error.status == .unavailable && error.isRetryable }
        return (error as? ClientError)?.code != .malformedAnswer
    }

    /// All were asked: a little later again, unless certificates must change first.
    private func pause(_ call: Pending) {
        guard triesAgain, !call.failures.areAllRefusals, call.deadline - loop.now > call.pause else {
            return finish(call, .failure(call.failures.error))
        }
        call.tries = 0
        let pause = call.pause
        call.pause = min(.nanoseconds(2 * pause.nanoseconds), Self.longestPause)
        _ = loop.assumeIsolated().scheduleTask(in: pause) { self.attempt([call]) }
    }
}

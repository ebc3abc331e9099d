import NIOCore
import NIOPosix
import OpenSSLTLS

/// All of a client: its exchanges, and the one connection that carries them, to one member after another. On its event loop
/// alone.
///
/// A connection is made when there is something to send. One that is lost, or whose member says that it is unavailable or is
/// silent, gives way to one to the next member, in a pause that grows from 0 to half a second until a member serves requests
/// again. Requests in flight on it have failed, as only their caller can find out their outcome; waiting ones go on
/// waiting until their deadlines.
final class Dispatcher {
    private enum State {
        case idle
        case pausing(Scheduled<Void>)
        /// From here to `ready` the timer runs.
        case connecting(MemberConnection, Scheduled<Void>)
        case authenticating(MemberConnection, Scheduled<Void>)
        case ready(MemberConnection)
        case closed
    }

    /// Makes a channel for a connection, and installs it there; says why where it can't.
    typealias Connector = (MemberConnection, EtcdMember, TLSContext?, _ failed: @escaping (String) -> Void) -> Void

    private let configuration: EtcdConfiguration
    private let eventLoop: any EventLoop
    private let connector: Connector
    private var state = State.idle
    private var rotation: MemberRotation
    private var connections: UInt64 = 0
    /// In the order in which they are to be sent.
    private var waiting: [Exchange] = []
    private var unfinished = 0
    private var unfinishedBytes = 0
    /// Why the last connection failed; nil once one is ready.
    private var lastFailure: String?
    /// By member, for when its files can't be read.
    private var contexts: [EtcdMember: TLSContext] = [:]
    /// The members' token: nil before the first login, and once a member refused it; empty where members want none.
    private var token: String?
    /// The first answer's.
    private var clusterID: UInt64?

    /// A member that has been silent for so long since a call was sent, and lets the call's deadline pass, is left.
    private static let silence = TimeAmount.milliseconds(500)

    init(_ configuration: EtcdConfiguration, _ eventLoop: any EventLoop, _ connector: @escaping Connector) {
        self.configuration = configuration
        self.eventLoop = eventLoop
        self.connector = connector
        rotation = MemberRotation(count: configuration.members.count)
    }

    private var loop: NIOIsolatedEventLoop { eventLoop.assumeIsolated() }

    // MARK: Exchanges

    func submit(_ exchange: Exchange) {
        if case .closed = state { return exchange.onEnd(Self.closed) }
        guard unfinished < configuration.maximumCalls,
            unfinishedBytes + exchange.message.readableBytes <= configuration.maximumCallBytes
        else {
            return exchange.onEnd(
                EtcdError(
                    .resourceExhausted, "too many calls to etcd are not done; ask again", mayHaveBeenApplied: false))
        }
        unfinished += 1
        unfinishedBytes += exchange.message.readableBytes
        exchange.timer = loop.scheduleTask(deadline: exchange.deadline) { self.runOut(exchange) }
        send(exchange)
    }

    private func send(_ exchange: Exchange) {
        switch state {
        case .ready(let connection) where connection.begunStreams < MemberConnection.maximumStreams:
            begin(exchange, connection)
        case .ready(let connection):
            waiting.append(exchange)
            leave(connection, "the connection has had as many streams as it may have")
        case .idle:
            waiting.append(exchange)
            connect()
        case .pausing, .connecting, .authenticating: waiting.append(exchange)
        case .closed: end(exchange, Self.closed)
        }
    }

    private static let closed = EtcdError(.cancelled, "the client is closed", mayHaveBeenApplied: false)

    private func begin(_ exchange: Exchange, _ connection: MemberConnection) {
        guard !exchange.isDone else { return }
        let now = eventLoop.now
        let reads = connection.reads
        // Requests from before there is a stream wait for it.
        var early: [GRPCStream.Output]? = []
        let stream = connection.begin(
            exchange.path, exchange.message, token: token.flatMap { $0.isEmpty ? nil : $0 },
            timeout: exchange.isWatch ? nil : exchange.deadline - now, isWatch: exchange.isWatch
        ) { output in
            if early == nil { self.receive(output, exchange) } else { early?.append(output) }
        }
        exchange.course = Exchange.Course(connection: connection, stream: stream, start: now, reads: reads)
        let outputs = early ?? []
        early = nil
        for output in outputs { receive(output, exchange) }
    }

    private func receive(_ output: GRPCStream.Output, _ exchange: Exchange) {
        guard !exchange.isDone, let course = exchange.course else { return }
        switch output {
        case .message(let message):
            if let error = exchange.onMessage(message) { course.stream.abort(error) }
        case .end(let error): settle(exchange, course, error)
        }
    }

    /// A member has done with an exchange, or the exchange with the member.
    private func settle(_ exchange: Exchange, _ course: Exchange.Course, _ error: EtcdError?) {
        guard var error else {
            rotation.succeeded()
            return end(exchange, nil)
        }
        error.connection = course.connection.id
        switch error.code {
        case .unauthenticated where configuration.credentials != nil && !exchange.hasRenewedToken:
            exchange.hasRenewedToken = true
            exchange.course = nil
            waiting.append(exchange)
            return renewToken(course.connection)
        case .unavailable where !error.mayHaveBeenApplied:
            leave(course.connection, error.message)
            exchange.course = nil
            return send(exchange)
        case .unavailable, .otherCluster: leave(course.connection, error.message)
        case .deadlineExceeded where !course.isTimedOut: leave(course.connection, error.message)
        case .deadlineExceeded:
            if course.connection.reads == course.reads, eventLoop.now - course.start >= Self.silence {
                leave(course.connection, "it is silent")
            }
        default: if error.code.isRefusal { rotation.succeeded() }
        }
        end(exchange, error)
    }

    private func end(_ exchange: Exchange, _ error: EtcdError?) {
        guard !exchange.isDone else { return }
        exchange.isDone = true
        exchange.timer?.cancel()
        exchange.timer = nil
        exchange.course = nil
        unfinished -= 1
        unfinishedBytes -= exchange.message.readableBytes
        exchange.onEnd(error)
    }

    private func runOut(_ exchange: Exchange) {
        guard !exchange.isDone else { return }
        if let stream = exchange.course?.stream {
            exchange.course?.isTimedOut = true
            stream.abort(EtcdError(.deadlineExceeded, "etcd did not answer in time", mayHaveBeenApplied: true))
        } else {
            waiting.removeAll { $0 === exchange }
            let why = lastFailure.map { ": \($0)" } ?? ""
            end(exchange, EtcdError(.unavailable, "no member of etcd can be reached\(why)", mayHaveBeenApplied: false))
        }
    }

    /// Ends an exchange from outside.
    func cancel(_ exchange: Exchange) {
        guard !exchange.isDone else { return }
        let error = EtcdError(.cancelled, "it was cancelled", mayHaveBeenApplied: exchange.course != nil)
        if let stream = exchange.course?.stream { return stream.abort(error) }
        waiting.removeAll { $0 === exchange }
        end(exchange, error)
    }

    /// A watch has begun: it needs no deadline from here on, and its member is well.
    func noteBegun(_ watch: Exchange) {
        watch.timer?.cancel()
        watch.timer = nil
        rotation.succeeded()
    }

    /// nil where the answer is from the cluster of the first one.
    func error(ofAnswerFrom header: ResponseHeader) -> EtcdError? {
        guard let clusterID else {
            clusterID = header.clusterID
            return nil
        }
        guard header.clusterID != clusterID else { return nil }
        func hexadecimal(_ id: UInt64) -> String { String(id, radix: 16) }
        return EtcdError(
            .otherCluster,
            "etcd is another cluster (\(hexadecimal(header.clusterID))) than before (\(hexadecimal(clusterID)))",
            mayHaveBeenApplied: true)
    }

    // MARK: Connections

    private func connect() {
        connections += 1
        let member = configuration.members[rotation.current]
        let connection = MemberConnection(
            EtcdConnectionID(number: connections, member: member.description), member, configuration,
            onReady: { self.becameReady($0) }, onLost: { self.lost($0, $1) })
        let timer = loop.scheduleTask(in: configuration.connectTimeout) {
            self.leave(connection, "it could not be connected to in time")
        }
        state = .connecting(connection, timer)
        guard let tls = configuration.tls, member.isSecure else { return open(connection, member, nil) }
        // Files are never read on an event loop.
        NIOSingletons.posixBlockingThreadPool.runIfActive(eventLoop: eventLoop) { try tls.context(for: member) }
            .assumeIsolated().whenComplete { result in
                switch result {
                case .success(let context):
                    self.contexts[member] = context
                    self.open(connection, member, context)
                case .failure(let error):
                    guard let context = self.contexts[member] else { return self.leave(connection, "\(error)") }
                    self.configuration.notice(
                        "etcd's certificates can't be read, those of before stay in use: \(error)")
                    self.open(connection, member, context)
                }
            }
    }

    private func open(_ connection: MemberConnection, _ member: EtcdMember, _ tls: TLSContext?) {
        guard isCurrent(connection) else { return }
        connector(connection, member, tls) { self.leave(connection, $0) }
    }

    private func becameReady(_ connection: MemberConnection) {
        guard case .connecting(let current, let timer) = state, current === connection else { return }
        if configuration.credentials != nil, token == nil {
            state = .authenticating(connection, timer)
            authenticate(connection)
        } else {
            timer.cancel()
            use(connection)
        }
    }

    private func use(_ connection: MemberConnection) {
        state = .ready(connection)
        if lastFailure != nil || connection.id.number == 1 {
            configuration.notice("etcd is connected to at \(connection.id.member)")
        }
        lastFailure = nil
        let exchanges = waiting
        waiting = []
        for exchange in exchanges where !exchange.isDone { send(exchange) }
    }

    private func isCurrent(_ connection: MemberConnection) -> Bool {
        switch state {
        case .connecting(let current, _), .authenticating(let current, _), .ready(let current): current === connection
        case .idle, .pausing, .closed: false
        }
    }

    /// Goes to the next member, unless the client has left this connection already.
    func leave(_ connection: MemberConnection, _ why: String) {
        guard isCurrent(connection) else { return }
        lost(connection, why)
        connection.close(why)
    }

    func leave(_ id: EtcdConnectionID) {
        guard case .ready(let connection) = state, connection.id == id else { return }
        leave(connection, "its answers violate the protocol")
    }

    private func lost(_ connection: MemberConnection, _ why: String) {
        guard isCurrent(connection) else { return }
        switch state {
        case .connecting(_, let timer), .authenticating(_, let timer): timer.cancel()
        default: break
        }
        let failure = "\(connection.id.member): \(why)"
        lastFailure = failure
        configuration.notice("etcd's member is lost: \(failure)")
        let pause = rotation.failed()
        state = .pausing(
            loop.scheduleTask(in: pause) {
                if self.waiting.isEmpty { self.state = .idle } else { self.connect() }
            })
    }

    func close() {
        let current: MemberConnection?
        switch state {
        case .connecting(let connection, let timer), .authenticating(let connection, let timer):
            timer.cancel()
            current = connection
        case .ready(let connection): current = connection
        case .pausing(let timer):
            timer.cancel()
            current = nil
        case .idle, .closed: current = nil
        }
        state = .closed
        current?.close("the client is closed")
        let exchanges = waiting
        waiting = []
        for exchange in exchanges { end(exchange, Self.closed) }
    }

    // MARK: Passwords

    /// Whatever comes meanwhile waits.
    private func renewToken(_ connection: MemberConnection) {
        guard case .ready(let current) = state, current === connection else { return }
        token = nil
        let timer = loop.scheduleTask(in: configuration.connectTimeout) {
            self.leave(connection, "it did not take the password in time")
        }
        state = .authenticating(connection, timer)
        authenticate(connection)
    }

    private func authenticate(_ connection: MemberConnection) {
        guard let credentials = configuration.credentials else { return }
        NIOSingletons.posixBlockingThreadPool.runIfActive(eventLoop: eventLoop) { try credentials.read() }
            .assumeIsolated().whenComplete { result in
                switch result {
                case .success(let request): self.authenticate(connection, request)
                case .failure(let error): self.leave(connection, "\(error)")
                }
            }
    }

    private func authenticate(_ connection: MemberConnection, _ request: AuthenticateRequest) {
        guard isCurrent(connection) else { return }
        let exchange = Exchange.call(
            AuthenticateRequest.self, GRPCMessageBuffer.frame(request.encode),
            eventLoop.now + configuration.connectTimeout,
            check: error(ofAnswerFrom:)
        ) { self.authenticated(connection, $0) }
        _ = connection.begin(
            exchange.path, exchange.message, token: nil, timeout: configuration.connectTimeout, isWatch: false
        ) { output in
            switch output {
            case .message(let message):
                if let error = exchange.onMessage(message) { self.leave(connection, error.message) }
            case .end(let error): exchange.onEnd(error)
            }
        }
    }

    private func authenticated(_ connection: MemberConnection, _ result: Result<AuthenticateResponse, EtcdError>) {
        guard case .authenticating(let current, let timer) = state, current === connection else { return }
        switch result {
        case .success(let response): token = response.token
        // As etcd's own clients have it: a client that can't ask for a token needs none.
        case .failure(let error) where error.code == .failedPrecondition: token = ""
        case .failure(let error): return refuse(connection, error)
        }
        timer.cancel()
        use(connection)
    }

    /// A password that is refused is refused by all members: no request waits for another to take it.
    private func refuse(_ connection: MemberConnection, _ error: EtcdError) {
        leave(connection, error.message)
        guard error.code.isRefusal else { return }
        let exchanges = waiting
        waiting = []
        for exchange in exchanges {
            end(exchange, EtcdError(.unauthenticated, error.message, mayHaveBeenApplied: false))
        }
    }
}

import EtcdClient
import Ledger
import NIOCore
import Synchronization

extension EtcdLog {
    /// Seconds for which a server is there after its last sign.
    static let leaseSeconds: Int64 = 10

    /// The outcome of an attempt to register.
    enum Registering: Sendable {
        case done(Registration)
        /// The name is taken by an unknown server: another is to be tried.
        case taken
        /// A restore fills the prefix.
        case restoring
    }

    /// Registers for the first time. Blocks.
    func register() throws(LedgerError) {
        let deadline = NIODeadline.now() + .seconds(10)
        while true {
            switch Waiting.result({ self.register(as: Self.newID(), then: $0) }) {
            case .success(.done(let registration)): return state.withLock { $0.register(registration) }
            case .success(.restoring): throw settings.unfinishedRestore
            case .success(.taken):
                guard .now() < deadline else { throw LedgerError(.locked, "etcd says that every name is taken") }
            case .failure(let error):
                guard error.isTransient, .now() < deadline else { throw LedgerError(error) }
            }
        }
    }

    private static func newID() -> String {
        String(UInt64.random(in: .min ... .max), radix: 16).padded(to: 16)
    }

    /// A lease, and a key of it; on the client's event loop. Nothing that fails half-way outlives the lease.
    func register(
        as id: String, then done: @escaping @Sendable (Result<Registering, EtcdError>) -> Void
    ) {
        client.call(LeaseGrantRequest(timeToLive: Self.leaseSeconds), deadline: .now() + .seconds(3)) { result in
            switch result {
            case .failure(let error): done(.failure(error))
            case .success(let grant):
                let (key, restoring) = (self.keys.server(id), self.keys.restoring)
                let request = TxnRequest(
                    compare: [Compare(key, .createRevision(0)), Compare(restoring, .createRevision(0))],
                    success: [.put(PutRequest(key, self.serverRecord, lease: grant.id))],
                    failure: [.range(RangeRequest(restoring))])
                self.client.call(request, deadline: .now() + .seconds(3)) { result in
                    done(
                        result.map { response in
                            if response.isSucceeded { return .done(Registration(id: id, lease: grant.id)) }
                            return response.responses.first?.onlyKeyValue == nil ? .taken : .restoring
                        })
                }
            }
        }
    }

    /// Registers anew, as the lease is over; then sends the waiting entries.
    func registerAgain() {
        let begins = state.withLock { state in
            guard !state.isRegistering, !state.isClosed, state.end == nil else { return false }
            state.isRegistering = true
            return true
        }
        guard begins else { return }
        register(as: Self.newID()) { result in
            switch result {
            case .success(.done(let registration)):
                let sends = self.state.withLock { state in
                    state.isRegistering = false
                    state.register(registration)
                    return state.flight != nil
                }
                self.noteAnswer()
                if sends { self.send() }
            case .success(.restoring): self.end(self.settings.unfinishedRestore.asUnknown)
            case .success(.taken): self.registerLater()
            case .failure(let error):
                self.noteSilence(error)
                self.registerLater()
            }
        }
    }

    private func registerLater() {
        state.withLock { $0.isRegistering = false }
        after(.milliseconds(500)) { $0.registerAgain() }
    }

    // MARK: Upkeep

    /// Periodic work: signs of life, the progress that others wait for, and a check for overdue events.
    func beginUpkeep() {
        askStatus()
        after(.seconds(1)) { $0.upkeep(1) }
    }

    private func upkeep(_ second: Int) {
        guard state.withLock({ !$0.isClosed && $0.end == nil }) else { return }
        if second % 3 == 0 { keepAlive() }
        askHead()
        publishProgress()
        leaveSilentMember()
        if second % 5 == 0 { askStatus() }
        after(.seconds(1)) { $0.upkeep(second + 1) }
    }

    private func keepAlive() {
        guard let registration = state.withLock({ $0.registration }) else { return registerAgain() }
        client.call(LeaseKeepAliveRequest(id: registration.lease), deadline: .now() + .seconds(2)) { result in
            switch result {
            case .success(let response):
                self.noteAnswer()
                if response.timeToLive <= 0 { self.leaseIsOver(registration.id) }
            case .failure(let error):
                self.noteSilence(error)
                if error.code == .notFound { self.leaseIsOver(registration.id) }
            }
        }
    }

    /// Where a group is in flight, its outcome must be known first.
    func leaseIsOver(_ id: String) {
        let begins = state.withLock { state in
            guard state.registration?.id == id, state.flight == nil else { return false }
            state.registration = nil
            return true
        }
        if begins { registerAgain() }
    }

    /// Whether etcd answers: it does, and does not since.
    func noteAnswer() { state.withLock { $0.silence = nil } }

    func noteSilence(_ error: EtcdError) {
        state.withLock { state in state.silence = (state.silence?.since ?? .now(), error) }
    }

    // MARK: Asking

    /// Runs `body` later, on the client's event loop, while the log is there.
    func after(_ time: TimeAmount, _ body: @escaping @Sendable (EtcdLog) -> Void) {
        eventLoop.scheduleTask(in: time) { [weak self] in
            if let self { body(self) }
        }
    }

    /// Asks once and waits. Blocks: for a start, and for the end.
    func ask<Request: EtcdRequest>(
        _ request: Request, within time: TimeAmount
    ) throws(EtcdError) -> Request.Response {
        try client.ask(request, within: time)
    }

    /// Asks until there is an answer or ten seconds are over; for requests that may be repeated. Blocks.
    func askPersistently<Request: EtcdRequest>(_ request: Request) throws(LedgerError) -> Request.Response {
        try client.askPersistently(request)
    }
}

extension EtcdLog.State {
    fileprivate mutating func register(_ registration: Registration) {
        self.registration = registration
        ownIDs.insert(registration.id)
    }
}

extension ResponseOperation {
    /// Of a transaction within one: the answers to its operations.
    var parts: [ResponseOperation] {
        if case .txn(let response) = self { response.responses } else { [] }
    }

    /// Of a range that is one key: its value, nil where it is missing.
    var onlyKeyValue: KeyValue? {
        if case .range(let range) = self { range.keyValues.first } else { nil }
    }
}

extension EtcdError {
    /// Another try, or another member, may do better.
    var isTransient: Bool {
        switch code {
        case .unavailable, .deadlineExceeded, .unknown, .cancelled, .aborted: true
        case .resourceExhausted: message.contains("too many requests")
        default: false
        }
    }

    /// etcd's quota is reached.
    var isSpaceExceeded: Bool { message.contains("space exceeded") }
}

extension LedgerError {
    /// The same, where a group may be in flight.
    fileprivate var asUnknown: LedgerError { LedgerError(code, message, outcome: .unknown) }

    /// Of a request that surely changed nothing, unless `outcome` says else.
    init(_ error: EtcdError, outcome: Outcome = .notCommitted) {
        switch error.code {
        case .permissionDenied, .unauthenticated:
            self.init(.forbidden, "etcd refuses this server: \(error.message)", outcome: outcome)
        case .resourceExhausted where error.isSpaceExceeded:
            self.init(
                .full,
                "etcd has no room left (\(error.message)): compact it, defragment each member, then `etcdctl alarm disarm`, or raise "
                    + "--quota-backend-bytes",
                outcome: outcome)
        case .resourceExhausted: self.init(.tooLarge, "etcd: \(error.message)", outcome: outcome)
        case .outOfRange, .otherCluster: self.init(.leftBehind, error.message, outcome: outcome)
        default: self.init(.unreachable, "etcd: \(error.message)", outcome: outcome)
        }
    }
}

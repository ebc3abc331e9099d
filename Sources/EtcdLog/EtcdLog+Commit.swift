import EtcdClient
public import Ledger
import Measures
import NIOCore
import Synchronization

extension EtcdLog {
    /// For one try: a member that has no leader would keep it for seven seconds.
    private static let tryTime = TimeAmount.seconds(1)
    /// For a group that surely was not taken, until its callers are told.
    private static let patience = TimeAmount.seconds(2)

    public func append(_ group: [Proposal]) {
        guard !group.isEmpty else { return probe() }
        let value = ByteBuffer(bytes: EntryCoding.encode(group[...]))
        if let refusal = refusal(value) { return notice(.failed(refusal)) }
        let isRegistered = state.withLock { state in
            state.flight = Flight(value: value)
            (state.tidying.isIdle, state.tidying.appended) = (false, .now())
            return state.registration != nil
        }
        if isRegistered { send() } else { registerAgain() }
    }

    private func refusal(_ value: ByteBuffer) -> LedgerError? {
        if value.readableBytes > Self.maximumEntryBytes {
            return LedgerError(.tooLarge, "a change of \(value.readableBytes) bytes is more than etcd takes at once")
        }
        return state.withLock { state in
            if let fault = state.end ?? state.configurationFault { return fault }
            guard state.tidying.use(of: settings.quotaBytes) >= Self.fullShare else { return nil }
            return LedgerError(.full, "\(fullness(state)): nothing but folds goes into it; \(Self.roomCure)")
        }
    }

    /// Whether etcd takes writes may be told from whether it answers for all.
    private func probe() {
        client.call(RangeRequest(keys.head), deadline: .now() + Self.tryTime) { result in
            switch result {
            case .success:
                self.noteAnswer()
                self.notice(.landed)
            case .failure(let error):
                self.noteSilence(error)
                self.notice(.failed(LedgerError(error)))
            }
        }
    }

    func notice(_ event: LogEvent) {
        change { state in
            state.notices.append(event)
            return true
        }
    }

    // MARK: Sending

    /// Sends the group in flight, for the first time or once more: the same count, so that it lands once.
    func send() {
        let request: (TxnRequest, String, Int64)? = state.withLock { state in
            guard let registration = state.registration, state.flight?.phase == .asking, var flight = state.flight,
                state.end == nil
            else { return nil }
            if flight.id != registration.id {
                // The first time, or the request under the registration before can't land any more.
                (flight.id, flight.number, flight.isUncertain) = (registration.id, registration.count, false)
            }
            if flight.attempts > 0 { state.counts.resends += 1 }
            flight.attempts += 1
            state.flight = flight
            let (server, configuration) = (keys.server(flight.id), keys.configuration)
            let request = TxnRequest(
                compare: [
                    Compare(server, .version(flight.number)), Compare(configuration, .modRevision(state.configuration)),
                ],
                success: [
                    .put(PutRequest(keys.entry(flight.id, flight.number), flight.value)),
                    .put(PutRequest(keys.head, ByteBuffer())),
                    .put(PutRequest(server, serverRecord, lease: registration.lease)),
                ],
                failure: [.range(RangeRequest(server)), .range(RangeRequest(configuration))])
            return (request, flight.id, flight.number)
        }
        guard let (request, id, number) = request else { return }
        client.call(request, deadline: .now() + Self.tryTime) { result in self.settle(result, id, number) }
    }

    private enum Step {
        case nothing
        case again(TimeAmount)
        case check
    }

    private func settle(_ result: Result<TxnResponse, EtcdError>, _ id: String, _ number: Int64) {
        if case .failure(let error) = result { noteSilence(error) } else { noteAnswer() }
        var rouse: (@Sendable () -> Void)?
        let step: Step = state.withLock { state in
            guard var flight = state.flight, flight.id == id, flight.number == number, flight.phase == .asking else {
                return .nothing
            }
            defer { if state.flight != nil { state.flight = flight } }
            func fail(_ error: LedgerError) -> Step {
                state.flight = nil
                state.notices.append(.failed(error))
                rouse = state.rouse
                return .nothing
            }
            func end(_ error: LedgerError) -> Step {
                state.end = error
                rouse = state.rouse
                return .nothing
            }
            switch result {
            case .success(let response):
                if response.isSucceeded {
                    flight.phase = .landed
                    return .nothing
                }
                let found = response.responses.map(\.onlyKeyValue)
                guard found.count == 2 else {
                    return end(LedgerError(.corrupt, "etcd's answer does not fit the question", outcome: .unknown))
                }
                guard let server = found[0] else { return .check }
                if server.version == number + 1 {
                    // Sent before, and landed then.
                    state.counts.landedBefore += 1
                    flight.phase = .landed
                    return .nothing
                }
                guard server.version == number, found[1]?.modRevision != state.configuration else {
                    return end(
                        LedgerError(
                            .corrupt, "etcd counts \(server.version) entries of this server where there are \(number)",
                            outcome: .unknown))
                }
                let difference = found[1].flatMap { self.difference(from: $0.value) } ?? "the configuration is gone"
                let fault = LedgerError(
                    .configurationChanged,
                    "the flags of all servers were changed: \(difference); start this one with the same")
                state.configurationFault = fault
                return fail(fault)
            case .failure(let error):
                if error.mayHaveBeenApplied { flight.isUncertain = true }
                if !flight.isUncertain, !error.isTransient || .now() - flight.since > Self.patience {
                    return fail(LedgerError(error))
                }
                if error.code == .otherCluster { return end(LedgerError(error, outcome: .unknown)) }
                return .again(.milliseconds(Int64(min(500, 50 << min(flight.attempts, 4)))))
            }
        }
        rouse?()
        switch step {
        case .nothing: break
        case .again(let time): after(time) { $0.send() }
        case .check: check()
        }
    }

    // MARK: A lease that was over

    /// The entry landed before the lease was over, or never will: the entries received once all that etcd has now is received tell which.
    private func check() {
        client.call(RangeRequest(keys.head), deadline: .now() + Self.tryTime) { result in
            switch result {
            case .failure(let error):
                self.noteSilence(error)
                self.after(.milliseconds(200)) { $0.check() }
            case .success(let response):
                self.noteAnswer()
                self.state.withLock { state in
                    guard state.flight?.phase == .asking else { return }
                    state.flight?.phase = .checking(response.keyValues.first?.modRevision ?? 0)
                    state.registration = nil
                }
                self.endCheck()
            }
        }
    }

    /// Also whenever something has come.
    func endCheck() {
        let isOver = state.withLock { state in
            guard case .checking(let revision)? = state.flight?.phase, state.arrived >= revision else { return false }
            state.flight?.phase = .asking
            return true
        }
        if isOver { registerAgain() }
    }

    // MARK: Fences

    public func fence() {
        state.withLock { $0.fence = .asking }
        askFence()
    }

    /// Until etcd has answered: the journal itself ends the wait of calls whose time is over.
    private func askFence() {
        let start = Moment.now()
        client.call(RangeRequest(keys.head, isKeysOnly: true), deadline: .now() + Self.tryTime) { result in
            switch result {
            case .success(let response):
                let revision = response.keyValues.first?.modRevision ?? 0
                self.noteHead(revision)
                self.fenceTimes.observe(Moment.now().since(start))
                self.change { state in
                    state.fence = .waiting(revision)
                    return revision <= state.handled || !state.arrivals.isEmpty
                }
            case .failure(let error):
                self.noteSilence(error)
                self.after(.milliseconds(100)) { log in
                    if log.state.withLock({ !$0.isClosed && $0.end == nil }) { log.askFence() }
                }
            }
        }
    }
}

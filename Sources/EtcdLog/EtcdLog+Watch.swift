import EtcdClient
import Ledger
import NIOCore
import Synchronization

/// The entries and folds of all servers, as etcd sends them.
extension EtcdLog {
    /// The time to wait for an event until another member is asked.
    private static let silenceLimit = TimeAmount.seconds(2)

    func beginWatch() {
        let start = state.withLock { state in
            state.isClosed || state.end != nil ? nil : state.arrived + 1
        }
        guard let start else { return }
        let watch = client.watch(
            WatchRequest(keys.journal.start, to: keys.journal.end, startRevision: start), deadline: .now() + .seconds(5)
        ) { [weak self] update in self?.take(update) }
        state.withLock { state in
            state.watch = watch
            state.isPaused = false
        }
    }

    private func take(_ update: WatchUpdate) {
        switch update {
        case .began(_, let connection):
            state.withLock { state in
                state.watchConnection = connection
                state.heard = .now()
            }
        case .changed(let revision, let events):
            let problem = state.withLock { state -> LedgerError? in
                state.heard = .now()
                do throws(LedgerError) {
                    try receive(events, of: revision, &state)
                    return nil
                } catch {
                    return error
                }
            }
            if let problem { return end(problem) }
            noteAnswer()
            pauseWatch()
            state.withLock { $0.rouse }()
            endCheck()
        case .ended(let error):
            if let revision = error.compactRevision {
                return end(
                    LedgerError(
                        .leftBehind,
                        "etcd has dropped changes that this server has not seen yet (its oldest revision is \(revision)): start it again",
                        outcome: .unknown))
            }
            if error.code == .otherCluster { return end(LedgerError(error, outcome: .unknown)) }
            guard state.withLock({ !$0.isClosed }) else { return }
            noteSilence(error)
            state.withLock { $0.counts.watchRestarts += 1 }
            after(.milliseconds(200)) { $0.beginWatch() }
        }
    }

    /// All that one revision changed. O(events).
    private func receive(_ events: [WatchEvent], of revision: Int64, _ state: inout State) throws(LedgerError) {
        var arrival = Arrival(revision: revision)
        for event in events {
            let key = event.keyValue.key
            if key == keys.head {
                guard !event.isDeletion, event.keyValue.version == state.place + 1 else {
                    throw LedgerError(
                        .corrupt,
                        "the journal in etcd has a gap behind place \(state.place): were its keys changed by hand?",
                        outcome: .unknown)
                }
                state.place += 1
                arrival.place = state.place
            } else if let name = keys.name(of: key, in: keys.servers) {
                state.servers[name] = event.isDeletion ? nil : event.keyValue.value
            } else if let name = keys.name(of: key, in: keys.progressMarks) {
                state.progress[name] = event.isDeletion ? nil : ProgressMark(event.keyValue.value)
            } else if key == keys.folded {
                guard !event.isDeletion, let mark = FoldedMark(event.keyValue.value) else {
                    throw LedgerError(.corrupt, "the key journal/folded in etcd is damaged", outcome: .unknown)
                }
                arrival.folded = (mark, revision)
            } else if event.isDeletion {
                continue
            } else if let entry = ArrivedEntry(event.keyValue, keys) {
                arrival.entry = entry
                if state.flight?.id == entry.id, state.flight?.number == entry.number { state.flight?.phase = .landed }
                if state.registration?.id == entry.id { state.registration?.count = entry.number + 1 }
            } else if key == keys.configuration, event.keyValue.modRevision != state.configuration {
                if let difference = difference(from: event.keyValue.value) {
                    state.configurationFault = LedgerError(
                        .configurationChanged,
                        "the flags of all servers were changed: \(difference); start this one with the same")
                } else {
                    // Another start wrote the same.
                    state.configuration = event.keyValue.modRevision
                    state.configurationFault = nil
                }
            }
        }
        if arrival.entry != nil || arrival.folded != nil, arrival.place == nil {
            throw LedgerError(.corrupt, "revision \(revision) in etcd is none that a server made", outcome: .unknown)
        }
        state.arrived = revision
        state.arrivalBytes += arrival.bytes
        state.arrivals.append(arrival)
    }

    // MARK: Too much, or too little

    private func pauseWatch() {
        let watch: EtcdWatch? = state.withLock { state in
            guard !state.isPaused, state.arrivalBytes > Self.maximumArrivalBytes else { return nil }
            state.isPaused = true
            return state.watch
        }
        watch?.pause()
    }

    func resumeWatch() {
        let watch: EtcdWatch? = state.withLock { state in
            guard state.isPaused, state.arrivalBytes < Self.maximumArrivalBytes / 2 else { return nil }
            state.isPaused = false
            return state.watch
        }
        watch?.resume()
    }

    /// A member that lost its leader, or was stopped, may keep a watch and say nothing.
    func leaveSilentMember() {
        let connection: EtcdConnectionID? = state.withLock { state in
            guard let connection = state.watchConnection, !state.isPaused, .now() - state.heard > Self.silenceLimit
            else {
                return nil
            }
            let waits =
                switch (state.flight?.phase, state.fence) {
                case (.landed, _), (.checking, _): true
                case (_, .waiting(let revision)): revision > state.arrived
                default:
                    state.ahead.map { $0.revision > state.arrived && .now() - $0.since > Self.silenceLimit } ?? false
                }
            guard waits else { return nil }
            state.watchConnection = nil
            return connection
        }
        if let connection { client.leave(connection) }
    }
}

import EtcdClient
public import Ledger
import NIOCore
import Synchronization

extension EtcdLog {
    /// One of a server's needs over etcd.
    public struct Check: Sendable {
        public var name: String
        /// Why it can't; nil where all is well.
        public var fault: String?
        /// A note, though it can serve.
        public var note: String?
    }

    /// `etcd`: it reports its last entry, within the time of the settings; `watch`: entries up to that are received and applied; `configuration`:
    /// the flags are those of all servers, or changes are refused; `books`: they are those of the others. Any thread; never waits.
    public var checks: [Check] {
        state.withLock { state in
            [
                Check(name: "etcd", fault: silenceFault(state)),
                Check(name: "watch", fault: state.end?.message ?? watchFault(state)),
                Check(name: "configuration", note: state.configurationFault?.message),
                Check(name: "books", fault: booksFault(state)),
            ]
        }
    }

    public var trouble: LedgerError? {
        state.withLock { state in
            if let error = state.end { return error }
            if let fault = booksFault(state) { return LedgerError(.corrupt, fault) }
            return (silenceFault(state) ?? watchFault(state)).map { LedgerError(.unreachable, $0) }
        }
    }

    private func booksFault(_ state: State) -> String? {
        state.hasDisagreement ? "servers that applied the same entries have different books: see the log" : nil
    }

    private func silenceFault(_ state: State) -> String? {
        guard let (since, error) = state.silence, isLate(since) else { return nil }
        return "etcd does not answer: \(error.message)"
    }

    private func watchFault(_ state: State) -> String? {
        guard let (since, revision) = state.ahead, state.handled < revision, isLate(since) else { return nil }
        return "revision \(revision) of etcd has not come, or is not applied: this server is at \(state.handled)"
    }

    private func isLate(_ since: NIODeadline) -> Bool { .now() - since > .seconds(Int64(settings.healthSeconds)) }

    /// A fence without a call, so that it is known whether etcd answers, and whether the watch brings its changes, in idle times.
    func askHead() {
        client.call(RangeRequest(keys.head, isKeysOnly: true), deadline: .now() + .seconds(1)) { result in
            switch result {
            case .success(let response): self.noteHead(response.keyValues.first?.modRevision ?? 0)
            case .failure(let error): self.noteSilence(error)
            }
        }
    }

    /// The current state of etcd.
    func noteHead(_ revision: Int64) {
        noteAnswer()
        state.withLock { state in
            if state.handled >= revision {
                state.ahead = nil
            } else if state.ahead.map({ $0.revision <= state.handled }) ?? true {
                state.ahead = (.now(), revision)
            }
        }
    }
}

import Addressing
import Ledger
import Synchronization
import TandemAPI

/// Which pods a release is about.
enum ReleasedPods: Sendable {
    /// Every incarnation of a name; with a uid, that one.
    case named(ObjectMeta)
    /// A container's pod for one interface, or for all.
    case attached(origin: String, ifName: String?)
}

extension Engine {
    /// The caller holds the turn of the name or of the container.
    func releasePods(_ pods: ReleasedPods, for caller: Caller) {
        let release = PodRelease(pods, of: self, for: caller)
        Pieces(on: caller.executor, release.releaseNext).start()
    }
}

/// The release of some pods, which may be many, in pieces: each of one node's pods, in one change, under the node's turn, which
/// others can have between two pieces.
///
/// A piece of one pod shares its node's turn, and has its container's; a larger one has the node's alone. So nobody else changes
/// a pod meanwhile. One piece runs at a time.
private final class PodRelease: Sendable {
    private struct State {
        /// The last pod that was looked at, and whether there is none behind it.
        var last: StoredPod?
        var hasSeenAll = false
        /// What was looked at and is not released yet: each of one node.
        var pieces: ArraySlice<[StoredPod]> = []
        var released = ReleasedSoFar()
    }

    private let pods: ReleasedPods
    private let engine: Engine
    private let caller: Caller
    private let state = Mutex(State())

    /// Pods looked at in one go.
    private static let looks = 512

    init(_ pods: ReleasedPods, of engine: Engine, for caller: Caller) {
        self.pods = pods
        self.engine = engine
        self.caller = caller
    }

    @Sendable
    func releaseNext(_ pieces: Pieces) {
        let piece = state.withLock { state in
            if state.pieces.isEmpty { look(&state) }
            return state.pieces.popFirst() ?? []
        }
        release(piece) { result in
            if case .failure(let error) = result { return self.caller.fail(error) }
            let end = self.state.withLock { state in
                state.hasSeenAll && state.pieces.isEmpty ? state.released : nil
            }
            if let end { end.answer(self.caller) } else { pieces.next() }
        }
    }

    /// Looks at the next pods, and makes pieces of those that are wanted.
    private func look(_ state: inout State) {
        let seen = look(after: state.last)
        state.last = seen.last
        state.hasSeenAll = seen.count < Self.looks
        let byNode = Dictionary(grouping: seen.filter(isWanted)) { $0.node.name }
        // In the order of the pods, whatever that of the dictionary.
        let groups = byNode.values.sorted { $0[0].version < $1[0].version }
        for group in groups {
            var rest = group[...]
            while !rest.isEmpty {
                var room = ReleasePiece(maximumRecords: engine.recordsPerPiece)
                let piece = rest.prefix { room.add($0) }
                state.pieces.append(Array(piece))
                rest = rest.dropFirst(piece.count)
            }
        }
    }

    private func look(after last: StoredPod?) -> [StoredPod] {
        switch pods {
        case .named(let metadata):
            engine.registry.pods(named: metadata, after: last?.version ?? 0, limit: Self.looks)
        case .attached(let origin, nil): engine.registry.pods(origin: origin, after: last, limit: Self.looks)
        case .attached(let origin, let ifName?):
            [engine.registry.pod(PodIdentity(origin: origin, ifName: ifName))].compactMap { $0 }
        }
    }

    /// To a node's agent the pods of other nodes are not there.
    private func isWanted(_ pod: StoredPod) -> Bool {
        if let onlyNode = caller.onlyNode, pod.node.name != onlyNode { return false }
        if case .named(let metadata) = pods, let uid = metadata.uid { return uid == pod.uid }
        return true
    }

    // MARK: A piece

    private typealias Done = @Sendable (Result<Void, APIError>) -> Void

    private func release(_ piece: [StoredPod], _ done: @escaping Done) {
        guard let pod = piece.first else { return done(.success(())) }
        guard case .named = pods, piece.count == 1, pod.identity.isAttached else { return takeNode(piece, done) }
        engine.podTurns.take(pod.identity.origin, on: caller.executor) { turn in
            self.takeNode(piece) { result in
                turn.giveBack()
                done(result)
            }
        }
    }

    private func takeNode(_ piece: [StoredPod], _ done: @escaping Done) {
        engine.nodeTurns.take(piece[0].node.name, shared: piece.count == 1, on: caller.executor) { turn in
            self.commit(piece) { result in
                turn.giveBack()
                done(result)
            }
        }
    }

    /// They are looked up again, since they may be gone by now.
    private func commit(_ piece: [StoredPod], _ done: @escaping Done) {
        let registry = engine.registry
        let pods = piece.filter { pod in registry.pod(pod.identity).map { $0 === pod } ?? false }
        let note = { @Sendable in
            self.state.withLock { state in
                for pod in pods { state.released.add(pod) }
            }
        }
        guard !pods.isEmpty, !caller.isDryRun else {
            note()
            return done(.success(()))
        }
        engine.commit(engine.removal(of: pods, version: engine.nextVersion())) { outcome in
            switch outcome {
            case .kept:
                note()
                done(.success(()))
            case .refused: done(.failure(.refusedTooOften))
            case .failed(let error): done(.failure(error))
            }
        }
    }
}

extension Engine {
    /// Pods that go, and their addresses, which cool.
    func removal(of pods: [StoredPod], version: UInt64) -> Change {
        let registry = registry
        var change = Change(
            records: [],
            apply: {
                for pod in pods { registry.remove(pod) }
            })
        for pod in pods {
            let cooled = cool(pod.addresses, on: pod.node, version: version)
            change.records.append(pod.removal(version: version))
            change.records += cooled.records
            change.freed += cooled.freed
        }
        return change
    }
}

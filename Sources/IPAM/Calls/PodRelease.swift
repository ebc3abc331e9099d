import Addressing
import Ledger
import Synchronization
import TandemAPI

/// Which pods a release is about.
struct ReleasedPods: Sendable {
    enum Choice: Sendable {
        /// Every incarnation of a name; with a uid, that one.
        case named(ObjectMeta)
        /// A container's pod for one interface, or for all.
        case attached(origin: String, ifName: String?)
        /// The incarnation of a name that has the uid and no attachment.
        case unattached(ObjectMeta)
    }

    let choice: Choice
    /// Of this node alone, where the caller has the turn of the name or of the container; nil for all that have such pods.
    let node: String?

    init(_ choice: Choice, on node: String?) {
        self.choice = choice
        self.node = node
    }

    fileprivate func contains(_ pod: StoredPod) -> Bool {
        if let node, pod.node.name != node { return false }
        switch choice {
        case .named(let metadata): return metadata.uid == nil || metadata.uid == pod.uid
        case .unattached(let metadata): return metadata.uid == pod.uid && !pod.identity.isAttached
        case .attached(_, let ifName): return ifName == nil || ifName == pod.identity.ifName
        }
    }
}

extension Engine {
    func releasePods(_ pods: ReleasedPods, for caller: Caller) {
        let release = PodRelease(pods, of: self, for: caller)
        Pieces(on: caller.executor, release.releaseNext).start()
    }
}

/// The release of some pods, which may be many, in pieces: each of one node's pods, in one change, under the node's turn, which
/// others can have between two pieces.
///
/// A piece has the turn of its name or container on that node. One of one pod shares its node's turn, and has its container's; a larger
/// one has the node's alone. So no other call changes a pod meanwhile. One piece runs at a time.
private final class PodRelease: Sendable {
    private struct State {
        /// The last pod that was looked at, and whether there is none behind it.
        var last: StoredPod?
        var hasSeenAll = false
        /// Allocations that were read and are not released yet: each of one node.
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
            if let end { self.caller.succeed(end.result) } else { pieces.next() }
        }
    }

    /// Looks at the next pods, and makes pieces of those that are wanted.
    private func look(_ state: inout State) {
        let seen = look(after: state.last)
        state.last = seen.last
        state.hasSeenAll = seen.count < Self.looks
        let byNode = Dictionary(grouping: seen.filter(pods.contains)) { $0.node.name }
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
        switch pods.choice {
        case .named(let metadata), .unattached(let metadata):
            engine.books.pods(named: metadata, after: last?.version ?? 0, limit: Self.looks)
        case .attached(let origin, nil): engine.books.pods(origin: origin, after: last, limit: Self.looks)
        case .attached(let origin, let ifName?):
            pods.node.map { node in
                last == nil
                    ? engine.books.pod(PodIdentity(origin: origin, ifName: ifName), on: node).map { [$0] } ?? [] : []
            } ?? engine.books.pods(PodIdentity(origin: origin, ifName: ifName), after: last, limit: Self.looks)
        }
    }

    // MARK: A piece

    private typealias Done = @Sendable (Result<Void, APIError>) -> Void

    private func release(_ piece: [StoredPod], _ done: @escaping Done) {
        guard let pod = piece.first else { return done(.success(())) }
        guard pods.node == nil else { return takeContainer(piece, done) }
        let name =
            switch pods.choice {
            case .named(let metadata), .unattached(let metadata): PodTurn.name(metadata)
            case .attached(let origin, _): origin
            }
        take(name, on: pod.node.name, done) { self.takeContainer(piece, $0) }
    }

    private func takeContainer(_ piece: [StoredPod], _ done: @escaping Done) {
        let (pod, identity) = (piece[0], piece[0].identity)
        guard case .named = pods.choice, piece.count == 1, identity.isAttached else { return takeNode(piece, done) }
        take(identity.origin, on: pod.node.name, done) { self.takeNode(piece, $0) }
    }

    /// Runs `body` with a turn in hand, which goes back when that is done.
    private func take(
        _ name: String, on node: String, _ done: @escaping Done, _ body: @escaping @Sendable (@escaping Done) -> Void
    ) {
        engine.podTurns.take(PodTurn.text(name, on: node), on: caller.executor) { turn in
            body { result in
                turn.giveBack()
                done(result)
            }
        }
    }

    private func takeNode(_ piece: [StoredPod], _ done: @escaping Done) {
        engine.nodeTurns.take(piece[0].node.name, shared: piece.count == 1, on: caller.executor) { turn in
            self.commit(piece, attempts: Engine.attempts) { result in
                turn.giveBack()
                done(result)
            }
        }
    }

    /// They are looked up again, since they may be gone by now.
    private func commit(_ piece: [StoredPod], attempts: Int, _ done: @escaping Done) {
        let books = engine.books
        let pods = piece.filter { pod in books.pod(pod.identity, on: pod.node.name).map { $0 === pod } ?? false }
        let note = { @Sendable in
            self.state.withLock { state in
                for pod in pods { state.released.add(pod) }
            }
        }
        guard !pods.isEmpty, !caller.isDryRun else {
            note()
            return done(.success(()))
        }
        engine.commit(Intent(engine.removal(of: pods)), for: caller) { outcome in
            switch outcome {
            case .kept:
                note()
                done(.success(()))
            // Another server released some of them first.
            case .refused where attempts > 1: self.commit(piece, attempts: attempts - 1, done)
            case .refused: done(.failure(.refusedTooOften))
            case .failed(let error): done(.failure(error))
            }
        }
    }
}

extension Engine {
    /// Pods that go, and their addresses, which cool.
    func removal(of pods: [StoredPod]) -> Proposal {
        var proposal = Proposal()
        let cools = cluster.podIPReuseDelaySeconds > 0
        let now = environment.now()
        for pod in pods {
            let key = ObjectKey(.pod, pod.key)
            proposal.expectations.append(.unchanged(key, version: pod.version))
            proposal.changes.append(.delete(key))
            guard cools else { continue }
            for address in pod.addresses {
                proposal.changes.append(.cool(CIDR(address), node: pod.node.name, since: now))
            }
        }
        return proposal
    }
}

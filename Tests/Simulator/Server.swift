import FaultyLog
import IPAM
import Ledger
import Measures
import TandemAPI

/// One server from its start to its end: an engine, its end of the log, and the calls that it has not answered. One that starts again is
/// another.
///
/// Proof of `@unchecked Sendable`: the simulation runs in one thread.
final class Server: @unchecked Sendable {
    /// Which of the servers it is; whatever replaces it has the same.
    let slot: Int
    let cluster: ClusterConfiguration
    let executor = HandExecutor()
    let log: WatchedLog
    private(set) var engine: Engine!
    private(set) var thaw: Thaw!
    /// Killed: nothing that it does reaches the log, and nothing that it says reaches a client.
    var isDead = false
    /// It was told that the outcome of a group is unknown.
    var hasLost = false
    /// It was stopped in good order.
    var isEnding = false
    /// A group that its calls learn nothing more of may still land.
    var keepsAsked = false
    /// By their numbers: calls that may still change something, and those that have no answer.
    var asked: [Int: ClientCall] = [:]
    var unanswered: Set<Int> = []

    init(
        slot: Int, _ cluster: ClusterConfiguration, _ log: WatchedLog, _ environment: Environment, recordsPerPiece: Int
    ) throws {
        self.slot = slot
        self.cluster = cluster
        self.log = log
        log.server = self
        engine = try Engine(
            cluster: cluster, log: log, environment: environment, stepsByHand: true, recordsPerPiece: recordsPerPiece)
        thaw = Thaw(engine)
    }

    /// Whether a call in flight may have written, released or marked this.
    func isAsked(_ isCause: (ClientCall) -> Bool) -> Bool {
        asked.values.contains { !$0.call.isDryRun && isCause($0) }
    }

    var isIdle: Bool { unanswered.isEmpty && executor.isEmpty && engine.storage.queued == 0 }

    /// Ends it; the answers to its calls are known when this returns.
    func stop() {
        engine.stop()
        while executor.run(.max) > 0 {}
    }
}

/// One server's end of the log, under the eyes of the simulation: each verdict is tested against the slow books', and the digest against those of the
/// other servers that have applied as much.
///
/// Proof of `@unchecked Sendable`: the simulation runs in one thread.
final class WatchedLog: Log, @unchecked Sendable {
    unowned let simulation: Simulation
    unowned var server: Server!
    /// The end over the shared list; nil where the server is the only one.
    let member: SharedLog.Member?
    private let inner: any Log
    /// Proposals that are judged: of the whole log, from its beginning.
    private(set) var place = 0
    /// The group in flight.
    private var flight: [Proposal]?
    /// The group that was handed on last.
    private(set) var group: [Proposal] = []
    private var arriving = 0
    private var refused: Set<Int> = []

    init(_ simulation: Simulation, alone disk: FaultyLog.Disk) {
        self.simulation = simulation
        member = nil
        let fault = Box()
        inner = FaultyLog(disk: disk) { _ in fault.next }
        self.fault = fault
    }

    init(_ simulation: Simulation, _ store: SharedLog.Store) {
        self.simulation = simulation
        let member = SharedLog.Member(store)
        (self.member, inner, fault) = (member, member, Box())
    }

    /// The fault of the next group of a single server.
    private final class Box: @unchecked Sendable {
        var next: FaultyLog.Fault?
    }
    private let fault: Box

    var isShared: Bool { inner.isShared }
    var backlog: Int { inner.backlog }

    // MARK: A start

    func load(_ body: @Sendable (StoredObject) throws -> Void) throws -> UInt64 {
        place = simulation.foldedProposals
        return try inner.load(body)
    }

    func replay(_ body: (Proposal) throws -> Bool) throws {
        if isShared { simulation.goOnMeanwhile() }
        try inner.replay { proposal in
            let isKept = try body(proposal)
            simulation.hold(verdict: isKept, at: place)
            place += 1
            return isKept
        }
    }

    // MARK: The log

    func append(_ group: [Proposal]) {
        flight = group
        guard !server.isDead else { return }
        guard isShared else {
            fault.next = simulation.fate(of: group, by: server)
            return inner.append(group)
        }
        // Killed before or behind the request.
        let kill = simulation.mayKill(server, oneIn: 512)
        if kill != .before {
            self.group = group
            inner.append(group)
        }
        if kill != .not { server.isDead = true }
    }

    func next() -> LogEvent? {
        finish()
        if isShared, !server.isDead, simulation.mayKill(server, oneIn: 4_096) != .not { server.isDead = true }
        guard !server.isDead else {
            guard flight.take() != nil else { return nil }
            return .failed(LedgerError(.stopped, "the simulated server is dead", outcome: .unknown))
        }
        guard let event = inner.next() else { return nil }
        switch event {
        case .landed: arriving = flight.take()?.count ?? 0
        case .foreign(let proposals): arriving = proposals.count
        case .failed(let error):
            flight = nil
            if error.outcome == .unknown { server.hasLost = true }
        case .fenced, .tidied: break
        case .ended: server.hasLost = true
        }
        return event
    }

    func noteRefused(_ index: Int) {
        refused.insert(index)
        if !server.isDead { inner.noteRefused(index) }
    }

    /// The entry that came last is applied.
    private func finish() {
        defer { (arriving, refused) = (0, []) }
        guard arriving > 0, !server.isDead else { return }
        for index in 0..<arriving { simulation.hold(verdict: !refused.contains(index), at: place + index) }
        place += arriving
        simulation.hold(digest: server.engine.digest, at: place)
    }

    func fence() { inner.fence() }

    func start(_ rouse: @escaping @Sendable () -> Void) { inner.start(rouse) }

    func maintain(isIdle: Bool) throws(LedgerError) -> Bool {
        server.isDead ? false : try inner.maintain(isIdle: isIdle)
    }

    func close() { inner.close() }
}

import Addressing
import FaultyLog
import IPAM
import Ledger
import Measures
import TandemAPI
import TestSupport

/// One to three engines with their journals, clients, a log that fails, delays and loses, crashes, flags that change and clocks that jump,
/// all driven by one seed in one thread: the same seed takes the same way every time.
///
/// After every step every invariant is tested on the objects touched by the step; whenever nothing is in flight, on the books as a whole. The expected
/// state is known from the log alone: the slow books judge each proposal as it lands.
///
/// Proof of `@unchecked Sendable`: one thread calls `run`, and the engines' closures run inside those calls.
public final class Simulation: @unchecked Sendable {
    /// A broken promise.
    public struct Failure: Error, CustomStringConvertible {
        public var seed: UInt64
        public var step: Int
        public var servers: Int
        public var message: String

        public var description: String {
            "seed \(seed), step \(step), \(servers) servers: \(message)\n"
                + "again: make simulate SEED=\(seed) STEPS=\(step) SERVERS=\(servers)"
        }
    }

    public let seed: UInt64
    /// 1 to 3.
    public let serverCount: Int
    public internal(set) var tally = Tally()
    /// The same for the same seed, number of servers and of steps.
    public internal(set) var fingerprint: UInt64 = 0xcbf2_9ce4_8422_2325

    var generator: SeededGenerator
    private let disk = FaultyLog.Disk()
    private let store = SharedLog.Store()
    var servers: [Server] = []
    /// Servers that are gone, whose last group may still get its place.
    private var gone: [Server] = []
    var truth = Truth()
    /// By place: how many proposals the log had.
    private var digests: [Int: UInt64] = [:]
    private var complaint: String?

    private var flags = 0
    // By slot: a clock that jumps, and one that goes forward only.
    private var secondsSince1970 = (0..<3).map { 1_800_000_000 + $0 * 10_000 }
    private var uptimes = [1_000, 2_000, 3_000]
    private var nanoseconds: UInt64 = 1_000_000_000

    private static let clientCount = 24
    /// The call that a client waits for.
    private var waits = [Int?](repeating: nil, count: clientCount)
    private var calls = 0
    private var uids: [ObjectKey: String] = [:]
    private var isRestless = true

    /// `servers` is 1 to 3; without it the seed decides.
    public init(seed: UInt64, servers count: Int? = nil) throws {
        self.seed = seed
        generator = SeededGenerator(seed: seed)
        let chosen = Int(generator.next() % 3) + 1
        serverCount = count ?? chosen
        for slot in 0..<serverCount { servers.append(try start(slot)) }
    }

    private var isShared: Bool { serverCount > 1 }

    public func run(steps: Int) throws {
        for _ in 0..<steps {
            tally.steps += 1
            try step()
            try check()
        }
    }

    /// Lets all calls in flight end, compares all states, and ends all servers in good order.
    public func finish() throws {
        try settle()
        try check()
        for server in servers { server.stop() }
        try check()
    }

    // MARK: Steps

    func chance(_ limit: Int) -> Int { Int(generator.next() >> 32 % UInt64(limit)) }

    private func step() throws {
        // A millisecond or less: two seconds are some thousand steps.
        nanoseconds += 1_000_000
        let server = servers[chance(serverCount)]
        if server.engine.fault != nil, chance(8) == 0 { return try crash(server) }
        switch chance(1_024) {
        case 0: try crash(server)
        case 1: try restart(server)
        case 2...4: secondsSince1970[server.slot] += chance(200_000) - 100_000
        case 5...8: uptimes[server.slot] += chance(20)
        case 9...16: server.thaw.step()
        case 17...26: waits[chance(Self.clientCount)] = nil
        case 27: nanoseconds += 2_100_000_000
        case 28: try settle()
        case 29...40: flags = chance(3) == 0 ? chance(ClientCall.clusters.count) : 0
        case 41...120: server.executor.run(1 + chance(8))
        case 121...620:
            if !isShared { server.engine.step() }
            for _ in 0..<(isShared ? 4 : 0) { move(servers[chance(serverCount)]) }
        default: ask(server)
        }
    }

    /// Acts of the store and the network of several servers.
    private func move(_ server: Server) {
        guard let member = server.log.member else { return }
        switch chance(100) {
        case 0: fold(by: server, chance(64))
        case 1: lose(server)
        case 2: if chance(8) == 0 { forget(server) }
        case 3...4: lateGroup()
        case 5...24: land(server)
        case 25...54: member.deliver(1 + chance(4))
        case 55...74: member.answerFence()
        default: server.engine.step()
        }
    }

    private func fold(by server: Server, _ limit: Int) {
        if store.fold(limit, by: server.log.member!) > 0 { tally.folds += 1 }
    }

    private func land(_ server: Server) {
        guard let member = server.log.member, member.hasInFlight else { return }
        store.land(member)
        enter(server.log.group, by: server)
    }

    private func lose(_ server: Server) {
        guard let member = server.log.member, member.hasInFlight else { return }
        tally.storageFaults += 1
        store.loseAppend(member)
    }

    /// The outcome of the server's group stays unknown to it; the group may land all the same.
    private func forget(_ server: Server) {
        guard let member = server.log.member, member.hasInFlight else { return }
        tally.storageFaults += 1
        // Its proposals may be applied all the same.
        server.keepsAsked = true
        store.forget(member)
        if chance(2) == 0 { land(server) }
    }

    /// The last group of a server that is gone lands, or never will.
    private func lateGroup() {
        guard !gone.isEmpty else { return }
        let server = gone.remove(at: chance(gone.count))
        if chance(2) == 0 {
            land(server)
            tally.lateGroups += 1
        }
        server.asked = [:]
    }

    /// Between the two halves of a start.
    func goOnMeanwhile() {
        guard servers.count == serverCount else { return }
        for server in servers where chance(2) == 0 {
            land(server)
            if !server.isDead, chance(4) == 0 { fold(by: server, chance(16)) }
        }
    }

    // MARK: The log's entries

    /// The fault of a group of the only server.
    func fate(of group: [Proposal], by server: Server) -> FaultyLog.Fault? {
        let isKept = chance(2) == 0
        let fault: FaultyLog.Fault?
        switch chance(512) {
        case 0...9: fault = .notCommitted
        case 10...19: fault = isKept ? .unknownButKept : .unknownAndLost
        case 20...21: fault = isKept ? .unresolvableButKept : .unresolvable
        case 22:
            // Killed inside the append, which is there when the next process looks, or is not.
            server.isDead = true
            fault = isKept ? nil : .unknownAndLost
        default: fault = nil
        }
        if fault != nil { tally.storageFaults += 1 }
        switch fault {
        case nil, .unknownButKept, .unresolvableButKept: enter(group, by: server)
        case .notCommitted, .unknownAndLost, .unresolvable: break
        }
        return fault
    }

    enum Kill { case not, before, behind }

    func mayKill(_ server: Server, oneIn count: Int) -> Kill {
        guard isRestless, chance(count) == 0 else { return .not }
        return chance(2) == 0 ? .before : .behind
    }

    private func enter(_ group: [Proposal], by server: Server) {
        for proposal in group {
            tally.proposals += 1
            let before = truth.books
            let isKept = truth.enter(proposal)
            fingerprint = (fingerprint ^ truth.books.tables.version ^ (isKept ? 1 << 63 : 0)) &* 0x0000_0100_0000_01b3
            guard isKept else {
                tally.refused += 1
                continue
            }
            hold(proposal, by: server, before)
        }
        truth.endEntry()
    }

    /// Proposals in the folded form.
    var foldedProposals: Int {
        isShared ? truth.place(ofEntry: store.folded) : truth.verdicts.count - disk.unfolded
    }

    // MARK: Starts and ends

    private func start(_ slot: Int) throws -> Server {
        var cluster = ClientCall.clusters[flags]
        // Half of the seeds let addresses released by pods cool, with every server or with some.
        cluster.podIPReuseDelaySeconds = seed & 1 == 0 ? 0 : seed & 4 == 0 ? 60 : chance(2) * 60
        return try makeServer(slot, cluster)
    }

    private func makeServer(_ slot: Int, _ cluster: ClusterConfiguration) throws -> Server {
        let environment = Environment(
            random: { [unowned self] in generator.next() }, now: { [unowned self] in secondsSince1970[slot] },
            uptime: { [unowned self] in uptimes[slot] },
            moment: { [unowned self] in Moment(nanoseconds: nanoseconds) })
        let log = isShared ? WatchedLog(self, store) : WatchedLog(self, alone: disk)
        let server = try Server(
            slot: slot, cluster, log, environment, recordsPerPiece: seed & 2 == 0 ? 512 : 8)
        hold(digest: server.engine.digest, at: log.place)
        return server
    }

    /// `kill -9`: the queue is gone, no answer reaches a client, and a new process reads the stored state.
    private func crash(_ server: Server) throws {
        tally.crashes += 1
        server.isDead = true
        try replace(server)
    }

    private func restart(_ server: Server) throws {
        tally.restarts += 1
        if chance(2) == 0 { try settle() }
        server.keepsAsked = true
        server.isEnding = true
        server.stop()
        if !server.unanswered.isEmpty, !server.isDead {
            complain("\(server.unanswered.count) calls have no answer after a stop")
        }
        try replace(server)
    }

    private func replace(_ server: Server) throws {
        for client in waits.indices where waits[client].map({ server.unanswered.contains($0) }) ?? false {
            waits[client] = nil
        }
        server.isDead = true
        // Frees the state of the old process; nothing of it is kept or told.
        if !server.isEnding { server.stop() }
        if server.log.member?.hasInFlight ?? false { gone.append(server) }
        servers[server.slot] = try start(server.slot)
    }

    // MARK: Clients

    private func ask(_ server: Server) {
        let client = chance(Self.clientCount)
        guard waits[client] == nil else {
            server.engine.step()
            return
        }
        let call = ask(server, ClientCall.random(&generator) { uids[$0] })
        if server.unanswered.contains(call) { waits[client] = call }
    }

    @discardableResult
    private func ask(_ server: Server, _ asked: ClientCall) -> Int {
        calls += 1
        tally.calls += 1
        let (number, start) = (calls, truth.verdicts.count)
        server.asked[number] = asked
        server.unanswered.insert(number)
        let executor = chance(2) == 0 ? server.executor : nil
        server.engine.perform(asked.call, on: executor) { [unowned self, unowned server] result in
            guard !server.isDead else { return }
            if server.unanswered.remove(number) == nil { complain("a call was answered twice: \(asked.object.key)") }
            if !server.keepsAsked { server.asked[number] = nil }
            for client in waits.indices where waits[client] == number { waits[client] = nil }
            hold(result, to: asked, since: start, by: server)
        }
        return number
    }

    // MARK: Invariants

    func complain(_ message: String) {
        if complaint == nil { complaint = message }
    }

    func note(uid: String, of key: ObjectKey) { uids[key] = uid }

    func hold(verdict isKept: Bool, at place: Int) {
        if truth.verdicts[place] != isKept {
            complain(
                "proposal \(place) was \(isKept ? "kept" : "refused") by a server, against the rules: \(truth.proposals[place].short)"
            )
        }
    }

    /// Servers that have applied the same are equal.
    func hold(digest: UInt64, at place: Int) {
        guard let other = digests[place] else {
            digests[place] = digest
            return
        }
        if other != digest { complain("two servers differ that have applied the same \(place) proposals") }
    }

    private func check() throws {
        for server in servers where server.isDead { try crash(server) }
        if !isShared, let server = servers.first, server.executor.isEmpty, server.engine.storage.queued == 0,
            server.engine.fault == nil, !server.unanswered.isEmpty
        {
            complain("\(server.unanswered.count) calls wait for nothing")
        }
        if let complaint {
            throw Failure(seed: seed, step: tally.steps, servers: serverCount, message: complaint)
        }
    }

    // MARK: When nothing is in flight

    /// Everything lands, is delivered and answered; then all states are compared.
    private func settle() throws {
        isRestless = false
        defer { isRestless = true }
        while !gone.isEmpty { lateGroup() }
        drive(servers)
        tally.settlements += 1
        for server in servers where !server.isDead {
            guard server.unanswered.isEmpty else {
                return complain("\(server.unanswered.count) calls wait for nothing")
            }
            if isWell(server), server.log.place != truth.verdicts.count {
                complain("a server is behind, and nothing is on its way")
            }
        }
        for fault in truth.books.contradictions { complain(fault) }
        guard complaint == nil else { return }
        let server = servers[chance(serverCount)]
        guard isWell(server) else { return }
        audit(server)
        lookAtAll(server)
        if chance(2) == 0 { try compareFresh() }
        if isShared, chance(2) == 0 { compareFold(by: server) }
    }

    private func drive(_ servers: [Server]) {
        // Work that one round begins may show in the next.
        var quietRounds = 0
        while quietRounds < 3, complaint == nil {
            var isMoving = false
            for server in servers where !server.isDead {
                if let member = server.log.member {
                    if member.hasInFlight {
                        land(server)
                        isMoving = true
                    }
                    if member.deliver(64) > 0 { isMoving = true }
                    if member.asksFence {
                        member.answerFence()
                        isMoving = true
                    }
                }
                if server.engine.step() { isMoving = true }
                if server.executor.run(.max) > 0 { isMoving = true }
                if server.engine.fault == nil, server.engine.storage.queued > 0 { isMoving = true }
            }
            quietRounds = isMoving ? 0 : quietRounds + 1
        }
    }

    /// The marks in the pools are the addresses that are held or cool, one for one.
    private func audit(_ server: Server) {
        let audit = Audit(server.engine)
        while complaint == nil, isWell(server) {
            let step = audit.step()
            for fault in step.newFaults { complain(fault) }
            if step.endsPass { return }
            drive([server])
        }
    }

    /// Every object that is kept is shown, and no other.
    private func lookAtAll(_ server: Server) {
        for key in ClientCall.all {
            if let look = ClientCall.look(at: key) { ask(server, look) }
        }
        for record in truth.books.tables.records.values where record.kind == .service || record.kind == .pod {
            for address in record.form.holdings.compactMap(\.address) { lookUp(address, of: record, server) }
        }
        drive([server])
        if isWell(server), !server.unanswered.isEmpty { complain("looks wait for nothing") }
    }

    /// It names the holder, whatever the flags are.
    private func lookUp(_ address: IPAddress, of record: StoredRecord, _ server: Server) {
        server.engine.perform(Call(.lookupIP, .lookupIP(address))) { [unowned self] result in
            guard case .success(let result) = result else { return }
            if !Self.names(record, result) { complain("a look-up of \(address) does not name \(record.key.key)") }
        }
    }

    private func isWell(_ server: Server) -> Bool { server.engine.fault == nil && !server.isDead }

    /// A server that starts now, with any flags, makes the others' state of the folded form and the entries behind it.
    private func compareFresh() throws {
        tally.freshStarts += 1
        let fresh = try makeServer(chance(serverCount), ClientCall.clusters[chance(ClientCall.clusters.count)])
        if fresh.log.place != truth.verdicts.count { complain("a start has not read everything") }
        audit(fresh)
        lookAtAll(fresh)
        fresh.stop()
    }

    /// The folded form is the same as the slow books.
    private func compareFold(by server: Server) {
        fold(by: server, store.count)
        guard store.folded == store.count else { return }
        if store.tables != truth.books.tables { complain("the folded form is not what was kept") }
    }
}

import Addressing
import Glibc
import IPAM
import Ledger
import TandemAPI
import TestSupport

/// The engine, its journal, clients, a store that fails, crashes and a clock that jumps, all driven by one seed in one
/// thread: the same seed takes the same way every time.
///
/// After every step every invariant is held to what the step touched; whenever nothing is under way, the books as a whole.
///
/// Proof of `@unchecked Sendable`: one thread calls `run`, and the engine's closures run inside those calls.
public final class Simulation: @unchecked Sendable {
    /// A broken promise.
    public struct Failure: Error, CustomStringConvertible {
        public var seed: UInt64
        public var step: Int
        public var message: String

        public var description: String {
            "seed \(seed), step \(step): \(message)\nagain: make simulate SEED=\(seed) STEPS=\(step)"
        }
    }

    public let seed: UInt64
    public internal(set) var tally = Tally()
    /// The same for the same seed and number of steps.
    public private(set) var fingerprint: UInt64 = 0xcbf2_9ce4_8422_2325

    private var generator: SeededGenerator
    private let disk = FaultyLedger()
    private var engine: Engine!
    /// The process: answers of one that was killed reach nobody.
    private var process = 0
    private var isKilled = false
    private var secondsSince1970 = 1_800_000_000
    private var uptimeSeconds = 1_000
    private var complaint: String?

    private static let clientCount = 24
    private var isWaiting = [Bool](repeating: false, count: clientCount)
    /// Counted up when a client gives up on its call.
    private var turns = [Int](repeating: 0, count: clientCount)

    /// What is stored, as the transactions said: the slow, obvious books.
    private var stored: [ObjectKey: LedgerRecord] = [:]
    private var owners: [Holding: ObjectKey] = [:]
    /// Addresses that nobody holds, and nobody may get yet.
    private var cooling: Set<String> = []
    /// Calls under way by what they may do to which object.
    private var writers: [ObjectKey: Int] = [:]
    private var releasers: [ObjectKey: Int] = [:]
    private var unanswered: Set<Int> = []
    private var nextCall = 0

    public init(seed: UInt64) throws {
        self.seed = seed
        generator = SeededGenerator(seed: seed)
        try start()
    }

    public func run(steps: Int) throws {
        for _ in 0..<steps {
            tally.steps += 1
            try step()
            try check()
        }
    }

    /// Ends the process in good order.
    public func finish() throws {
        engine.journal.stop()
        try check()
    }

    // MARK: Steps

    private func step() throws {
        let chance = generator.next()
        if engine.journal.hasFailed, chance >> 32 & 7 == 0 { return try crash() }
        switch chance % 1024 {
        case 0: try crash()
        case 1: try restart()
        case 2...4: secondsSince1970 += Int(chance >> 32 % 200_000) - 100_000
        case 5...8: uptimeSeconds += Int(chance >> 32 % 20)
        case 21...30: Thaw(engine).step()
        case 9...20: giveUp(Int(chance >> 32 % UInt64(Self.clientCount)))
        case 31...340: engine.journal.step()
        default: ask(Int(chance >> 32 % UInt64(Self.clientCount)))
        }
    }

    /// What the store does with a group. Once the process is killed nothing it does reaches the disk.
    func fate(of transactions: [LedgerTransaction]) -> SimulatedStore.Fate {
        if isKilled { return .notCommitted }
        let chance = generator.next()
        let isKept = chance >> 32 & 1 == 0
        let fate: SimulatedStore.Fate
        switch chance % 512 {
        case 0...9: fate = .notCommitted
        case 10...19: fate = .unknown(isKept: isKept)
        case 20...21: fate = .unresolvable(isKept: isKept)
        case 22...29: fate = .refused
        case 30:
            // Killed inside the commit, which is there when the next process looks, or is not.
            if isKept { for transaction in transactions { keep(transaction) } }
            isKilled = true
            tally.crashes += 1
            fate = .notCommitted
        default: return .kept
        }
        tally.storageFaults += 1
        return fate
    }

    private func keep(_ transaction: LedgerTransaction) {
        stores(transaction)
        _ = try? disk.commit([transaction])
    }

    private func start() throws {
        isKilled = false
        process += 1
        isWaiting = isWaiting.map { _ in false }
        writers = [:]
        releasers = [:]
        unanswered = []
        let environment = Environment(
            random: { [unowned self] in generator.next() }, now: { [unowned self] in secondsSince1970 },
            uptime: { [unowned self] in uptimeSeconds })
        var cluster = ClientCall.cluster
        // Half of the seeds let what pods gave back cool.
        cluster.podIPReuseDelaySeconds = seed & 1 == 0 ? 0 : 60
        engine = try Engine(
            cluster: cluster, store: SimulatedStore(disk: disk, simulation: self), environment: environment,
            stepsByHand: true, recordsPerPiece: seed & 2 == 0 ? 512 : 8)
    }

    /// `kill -9`: the queue is gone, no answer reaches anybody, and a new process reads what is stored.
    private func crash() throws {
        if !isKilled { tally.crashes += 1 }
        isKilled = true
        process += 1
        // Lets go of what the old process held; nothing of it is kept or told.
        engine.journal.stop()
        try start()
    }

    private func restart() throws {
        tally.restarts += 1
        engine.journal.stop()
        if !unanswered.isEmpty, !isKilled { complain("\(unanswered.count) calls have no answer after a stop") }
        try start()
    }

    // MARK: Clients

    private func ask(_ client: Int) {
        guard !isWaiting[client] else {
            engine.journal.step()
            return
        }
        let asked = ClientCall.random(&generator)
        tally.calls += 1
        isWaiting[client] = true
        count(asked, 1)
        let (process, turn, engine) = (process, turns[client], engine!)
        let call = nextCall
        nextCall += 1
        unanswered.insert(call)
        engine.perform(asked.call) { [unowned self] result in
            guard process == self.process, !isKilled else { return }
            if unanswered.remove(call) == nil { complain("a call was answered twice: \(asked.object.key)") }
            hold(engine.confirmed(result), to: asked)
            count(asked, -1)
            if turns[client] == turn { isWaiting[client] = false }
        }
    }

    /// A time-out or a lost connection: the call goes on, its answer reaches nobody, and the client asks anew.
    private func giveUp(_ client: Int) {
        guard isWaiting[client] else { return }
        turns[client] += 1
        isWaiting[client] = false
    }

    private func count(_ asked: ClientCall, _ step: Int) {
        switch asked.act {
        case .allocate, .update:
            writers[asked.object, default: 0] += step
            if let node = asked.node { writers[node, default: 0] += step }
        case .release: releasers[asked.object, default: 0] += step
        case .look: break
        }
    }

    // MARK: What must hold

    private func complain(_ message: String) {
        if complaint == nil { complaint = message }
    }

    /// An answer: it says what is stored at this moment, neither more nor less.
    private func hold(_ result: Result<CallResult, APIError>, to asked: ClientCall) {
        let kept = stored[asked.object]
        switch result {
        case .success(let result):
            tally.acknowledged += 1
            fingerprint = (fingerprint ^ UInt64(result.json.count)) &* 0x0000_0100_0000_01b3
            switch (asked.act, kept?.change) {
            case (.release, nil): break
            case (.release, _): complain("\(asked.object.key) was released, and is stored")
            case (.look, _) where (releasers[asked.object] ?? 0) + (writers[asked.object] ?? 0) > 0: break
            case (_, .put(let document, _, _)?):
                guard Self.shows(result.json, document) else {
                    return complain("\(asked.object.key) was acknowledged, and something else is stored")
                }
            default: complain("\(asked.object.key) was acknowledged, and is not stored")
            }
        case .failure(let error):
            switch error.status {
            case .unavailable, .resourceExhausted: break
            case .failedPrecondition where asked.act == .release && asked.object.kind == .node: break
            case .notFound where asked.act == .look || asked.act == .update:
                if kept != nil, asked.act == .update { complain("\(asked.object.key) is stored, and was not found") }
            default: complain("\(asked.object.key): \(error.message)")
            }
        }
    }

    /// Whether a result shows an object: `{"service":{…}` and what comes after.
    private static func shows(_ json: [UInt8], _ document: [UInt8]) -> Bool {
        guard let colon = json.firstIndex(of: UInt8(ascii: ":")), json.count > colon + document.count else {
            return false
        }
        return json.withUnsafeBytes { json in
            document.withUnsafeBytes { document in
                guard let text = json.baseAddress, let wanted = document.baseAddress else { return false }
                return memcmp(text + colon + 1, wanted, document.count) == 0
            }
        }
    }

    /// A transaction reaches the disk: somebody asked for each change, and no address gets a second owner.
    func stores(_ transaction: LedgerTransaction) {
        tally.transactions += 1
        for record in transaction.records {
            if record.kind == .cooling {
                if record.change == .delete { cooling.remove(record.key) } else { cooling.insert(record.key) }
                continue
            }
            let object = ObjectKey(kind: record.kind, key: record.key)
            fingerprint = (fingerprint ^ record.version) &* 0x0000_0100_0000_01b3
            if case .put(_, _, let holdings)? = stored[object]?.change {
                for holding in holdings { owners[holding] = nil }
            }
            guard case .put(_, _, let holdings) = record.change else {
                let isAsked = (releasers[object] ?? 0) > 0
                let node = record.kind == .pod ? ClientCall.node(ofPod: record.key) : nil
                if !isAsked, node.map({ (releasers[$0] ?? 0) == 0 }) ?? true {
                    complain("\(record.key) was removed, and nobody asked for it")
                }
                stored[object] = nil
                continue
            }
            if (writers[object] ?? 0) == 0 { complain("\(record.key) was written, and nobody asked for it") }
            holdShape(record, holdings)
            for holding in holdings {
                if let other = owners.updateValue(object, forKey: holding), other != object {
                    complain("\(holding.range) has two owners, \(other.key) and \(record.key)")
                }
            }
            stored[object] = record
        }
        for case .put(_, _, let holdings) in transaction.records.map(\.change) {
            for holding in holdings where holding.pool == .podIP {
                guard let address = holding.address, cooling.contains(address.description) else { continue }
                complain("\(address) is held, and cools")
            }
        }
    }

    /// All or nothing: as many addresses as the policy says, of different families.
    private func holdShape(_ record: LedgerRecord, _ holdings: [Holding]) {
        let main = holdings.filter { $0.pool != .loadBalancerIP }
        let count = record.kind == .service ? ClientCall.clusterIPs(of: record.key) : 2
        let families = Set(main.map(\.range.network.family))
        let extra = holdings.count - main.count
        if main.count != count || families.count != count || (extra != 0 && extra != count) {
            complain("\(record.key) holds \(holdings.map(\.range)), and should hold \(count) in each pool")
        }
    }

    private func check() throws {
        if isKilled { try crash() }
        if engine.journal.statistics.queued == 0, !engine.journal.hasFailed {
            if !unanswered.isEmpty { complain("\(unanswered.count) calls wait for nothing") }
            if tally.steps & 7 == 0 { holdBooks() }
        }
        if let complaint { throw Failure(seed: seed, step: tally.steps, message: complaint) }
    }

    /// Nothing is under way: what is taken in the pools is what is stored, one for one.
    private func holdBooks() {
        var taken: UInt128 = 0
        let pools = engine.poolStatuses()
        for pool in pools { taken += pool.allocated }
        let inPods = pools.filter { $0.kind == .pod }.reduce(0) { $0 + Int($1.allocated) }
        let counted = engine.podUsage.reduce(0) { $0 + $1.allocated }
        if inPods != counted { complain("pods hold \(inPods) addresses, and \(counted) are counted") }
        if taken != UInt128(owners.count) { complain("\(taken) addresses are taken, and \(owners.count) are stored") }
    }
}

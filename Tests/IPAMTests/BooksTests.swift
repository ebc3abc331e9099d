import Addressing
import Allocation
import FaultyLog
import Ledger
import TandemAPI
import TestSupport
import Testing

@testable import IPAM

/// The one function that changes the books: which proposals it keeps and refuses, and that the same proposals make the same books.
@Suite("Books")
struct BooksTests {
    struct Case: Sendable, CustomStringConvertible {
        var description: String
        var proposal: Proposal
        var refusal: Refusal?

        init(_ name: String, _ expectations: [Ledger.Expectation] = [], _ changes: Change..., refusal: Refusal? = nil) {
            description = name
            proposal = Proposal(expecting: expectations, changes)
            self.refusal = refusal
        }
    }

    /// The state that every case begins with. The versions: n1 1, n2 2, p1 3, s1 4, n3 5, p3 6.
    private static let beginning: [Proposal] = [
        Proposal([.put(node: "n1", ["10.0.0.0/24", "fd00::/64"]), .put(node: "n2", ["10.0.1.0/24"])]),
        Proposal([
            .put(pod: "p1", on: "n1", ["10.0.0.2", "fd00::2"]), .put(service: "s1", ["10.96.0.1"], ports: [30_000]),
        ]),
        Proposal([
            .cool(CIDR("10.0.0.9/32")!, node: "n1", since: 7), .cool(CIDR("10.0.9.0/24")!, node: "n9", since: 7),
        ]),
        Proposal([
            .put(node: "n3", ["10.0.3.0/24"]), .put(pod: "p3", on: "n3", ["10.0.3.2"]), .markReleasing(node: "n3"),
        ]),
    ]
    private static let (n1, s1) = (ObjectKey(.node, "n1"), ObjectKey(.service, "default/s1"))
    private static let p1 = ObjectKey.pod("p1", on: "n1")
    private static func range(_ text: String) -> CIDR { CIDR(text) ?? CIDR(IPAddress(text)!) }

    static let cases: [Case] = [
        // Rule 1.
        Case("absent", [.absent(s1)], .put(service: "s1", ["10.96.0.1"]), refusal: .changed(s1)),
        Case("absent, and so it is", [.absent(ObjectKey(.service, "default/s2"))], .put(service: "s2", ["10.96.0.2"])),
        Case(
            "an absent pod", [.absent(p1)], .put(pod: "p1", on: "n1", ["10.0.0.2", "fd00::2"]), refusal: .changed(p1)),
        Case("an absent node", [.absent(n1)], .put(node: "n4", ["10.0.4.0/24"]), refusal: .changed(n1)),
        Case("unchanged", [.unchanged(s1, version: 3)], .delete(s1), refusal: .changed(s1)),
        Case("unchanged, and so it is", [.unchanged(s1, version: 4)], .delete(s1)),
        Case(
            "unchanged, and gone", [.unchanged(.pod("p2", on: "n1"), version: 0)],
            refusal: .changed(.pod("p2", on: "n1"))),
        Case(
            "incarnation", [.incarnation(node: "n1", created: 2)], .put(pod: "p2", on: "n1", ["10.0.0.3"]),
            refusal: .changed(n1)),
        Case(
            "incarnation, and so it is", [.incarnation(node: "n1", created: 1)], .put(pod: "p2", on: "n1", ["10.0.0.3"])
        ),
        Case("a node that is empty", [.nodeEmpty("n1")], refusal: .nodeInUse("n1")),
        Case("a node that is empty, and so it is", [.nodeEmpty("n2"), .nodeEmpty("n8")]),
        // Rule 2.
        Case("a Service's address", [], .put(service: "s2", ["10.96.0.1"]), refusal: .taken(range("10.96.0.1"))),
        Case("a pod's address", [], .put(service: "s2", ["10.0.0.2"]), refusal: .misplaced(range("10.0.0.2"))),
        Case(
            "an address in a node's CIDR", [], .put(service: "s2", ["10.0.0.77"]),
            refusal: .misplaced(range("10.0.0.77"))),
        Case("an address that cools", [], .put(service: "s2", ["10.0.0.9"]), refusal: .taken(range("10.0.0.9"))),
        Case(
            "an address in a CIDR that cools", [], .put(service: "s2", ["10.0.9.1"]), refusal: .taken(range("10.0.9.1"))
        ),
        Case(
            "an address in the CIDR of a node of the same proposal", [], .put(node: "n4", ["10.0.4.0/24"]),
            .put(service: "s2", ["10.0.4.1"]), refusal: .misplaced(range("10.0.4.1"))),
        Case(
            "a port", [], .put(service: "s2", ["10.96.0.2"], ports: [30_000]), refusal: .portTaken(.port(.tcp, 30_000))),
        Case(
            "a port over another protocol", [], .put(service: "s2", ["10.96.0.2"], ports: [30_000], over: [.udp]),
            refusal: .portTaken(.port(.udp, 30_000))),
        Case(
            "a Service's port over further protocols", [],
            .put(service: "s1", ["10.96.0.1"], ports: [30_000], over: [.udp, .sctp])),
        Case(
            "a port that the proposal frees over one protocol, and not over the other", [],
            .put(service: "s1", ["10.96.0.1"], ports: [30_000], over: [.udp]),
            .put(service: "s2", ["10.96.0.2"], ports: [30_000]), refusal: .portTaken(.port(.tcp, 30_000))),
        Case("a port that the Service has already", [], .put(service: "s1", ["10.96.0.1"], ports: [30_000])),
        Case(
            "two Services of one proposal, one address", [], .put(service: "s2", ["10.96.0.2"]),
            .put(service: "s3", ["10.96.0.2"]), refusal: .taken(range("10.96.0.2"))),
        Case(
            "an address that the proposal frees", [], .delete(s1), .put(service: "s2", ["10.96.0.1"], ports: [30_000])),
        // Rule 3.
        Case(
            "a CIDR in another node's", [], .put(node: "n4", ["10.0.0.128/25"]), refusal: .taken(range("10.0.0.0/24"))),
        Case(
            "a CIDR around another node's", [], .put(node: "n4", ["10.0.0.0/23"]), refusal: .taken(range("10.0.0.0/24"))
        ),
        Case(
            "a CIDR with a Service's address", [], .put(node: "n4", ["10.96.0.0/24"]),
            refusal: .taken(range("10.96.0.1"))),
        Case("a CIDR that cools", [], .put(node: "n4", ["10.0.9.0/24"]), refusal: .taken(range("10.0.9.0/24"))),
        Case("a CIDR in one that cools", [], .put(node: "n4", ["10.0.9.0/25"]), refusal: .taken(range("10.0.9.0/24"))),
        Case("a CIDR that is thawed", [], .thaw(range("10.0.9.0/24"), version: 4), .put(node: "n4", ["10.0.9.0/24"])),
        Case(
            "a CIDR with the address of a Service of the same proposal", [], .put(service: "s2", ["10.0.4.1"]),
            .put(node: "n4", ["10.0.4.0/24"]), refusal: .taken(range("10.0.4.0/24"))),
        Case("a node grows", [], .put(node: "n2", ["10.0.1.0/24", "fd00:1::/64"])),
        Case("a node loses a CIDR", [], .put(node: "n1", ["10.0.0.0/24"]), refusal: .malformed(n1)),
        // Rule 4.
        Case("a pod outside", [], .put(pod: "p2", on: "n1", ["10.0.1.2"]), refusal: .misplaced(range("10.0.1.2"))),
        Case("a pod at another one's", [], .put(pod: "p2", on: "n1", ["10.0.0.2"]), refusal: .taken(range("10.0.0.2"))),
        Case(
            "a pod at a cooling address", [], .put(pod: "p2", on: "n1", ["10.0.0.9"]),
            refusal: .taken(range("10.0.0.9"))),
        Case(
            "a pod at a thawed address", [], .thaw(range("10.0.0.9/32"), version: 4),
            .put(pod: "p2", on: "n1", ["10.0.0.9"])),
        Case(
            "a thaw at another version", [], .thaw(range("10.0.0.9/32"), version: 3),
            .put(pod: "p2", on: "n1", ["10.0.0.9"]), refusal: .changed(ObjectKey(.cooling, "10.0.0.9"))),
        Case(
            "the first pod of a node that gets a CIDR out of cooling", [], .thaw(range("10.0.9.0/24"), version: 4),
            .put(node: "n4", ["10.0.9.0/24"]), .put(pod: "p2", on: "n4", ["10.0.9.2"])),
        Case(
            "a pod in a CIDR that its node gets", [], .put(node: "n2", ["10.0.1.0/24", "fd00:1::/64"]),
            .put(pod: "p2", on: "n2", ["10.0.1.2", "fd00:1::2"])),
        // Rule 5.
        Case("a pod without node", [], .put(pod: "p2", on: "n8", ["10.0.8.2"]), refusal: .nodeGone("n8")),
        Case("a pod of a node that goes", [], .put(pod: "p2", on: "n3", ["10.0.3.3"]), refusal: .nodeGone("n3")),
        Case(
            "a pod of a node that the proposal marks", [], .markReleasing(node: "n2"),
            .put(pod: "p2", on: "n2", ["10.0.1.2"]), refusal: .nodeGone("n2")),
        Case("a node with a pod", [], .delete(ObjectKey(.node, "n3")), refusal: .nodeInUse("n3")),
        Case(
            "a node of which something cools", [], .delete(p1), .delete(n1), refusal: .nodeInUse("n1")),
        Case(
            "a node with its last pod and a cooling address", [], .delete(p1), .thaw(range("10.0.0.9/32"), version: 4),
            .delete(n1), .cool(range("10.0.0.0/24"), node: "n1", since: 9)),
        Case(
            "a node twice", [], .delete(ObjectKey(.node, "n2")), .delete(ObjectKey(.node, "n2")),
            refusal: .changed(ObjectKey(.node, "n2"))),
        // Cooling.
        Case(
            "an address that is held cools", [], .cool(range("10.0.0.2/32"), node: "n1", since: 9),
            refusal: .taken(range("10.0.0.2"))),
        Case(
            "an address that cools, again", [], .cool(range("10.0.0.9/32"), node: "n1", since: 9),
            refusal: .taken(range("10.0.0.9"))),
        Case(
            "a CIDR that is held cools", [], .cool(range("10.0.1.0/24"), node: "n2", since: 9),
            refusal: .taken(range("10.0.1.0/24"))),
        Case(
            "a CIDR that the proposal lets cool", [], .cool(range("10.0.8.0/24"), node: "n8", since: 9),
            .put(node: "n8", ["10.0.8.0/25"]), refusal: .taken(range("10.0.8.0/25"))),
        Case(
            "a CIDR in one that is held cools", [], .cool(range("10.0.1.0/25"), node: "n2", since: 9),
            refusal: .taken(range("10.0.1.0/25"))),
        Case(
            "a CIDR with a Service's address cools", [], .cool(range("10.96.0.0/24"), node: "n2", since: 9),
            refusal: .taken(range("10.96.0.1"))),
        Case(
            "a CIDR cools in which the proposal gives a Service an address", [], .put(service: "s2", ["10.0.7.1"]),
            .cool(range("10.0.7.0/24"), node: "n7", since: 9), refusal: .taken(range("10.0.7.0/24"))),
        Case(
            "an address of no node cools", [], .cool(range("10.7.0.1/32"), node: "n1", since: 9),
            refusal: .misplaced(range("10.7.0.1"))),
    ]

    @Test("the five rules", arguments: cases)
    func followsTheRules(_ rule: Case) throws {
        let books = Books(.small)
        var slow = SlowBooks()
        for proposal in Self.beginning {
            #expect(books.apply(proposal) == nil)
            let isKept = slow.apply(proposal)
            #expect(isKept)
        }
        let (version, digest) = (books.version, books.digest)
        #expect(books.apply(rule.proposal) == rule.refusal)
        let isKept = slow.apply(rule.proposal)
        #expect(isKept == (rule.refusal == nil), "the slow books")
        if rule.refusal != nil { #expect((books.version, books.digest) == (version, digest)) }
        #expect(slow.contradictions == [])
        #expect(try books.lines == Books(.small(0), loading: StoredLog(tables: slow.tables)).lines)
    }

    @Test("versions go by the order of changes; cooling and thawing take none; a mark is of one incarnation")
    func givesVersions() {
        let books = Books(.small)
        for proposal in Self.beginning { #expect(books.apply(proposal) == nil) }
        #expect(books.version == 6)
        let n3 = ObjectKey(.node, "n3")
        let again = Proposal([
            .delete(.pod("p3", on: "n3")), .delete(n3), .cool(CIDR("10.0.3.0/24")!, node: "n3", since: 9),
            .put(node: "n3", ["10.0.5.0/24"]), .put(pod: "p3", on: "n3", ["10.0.5.2"]),
        ])
        #expect(books.apply(again) == nil)
        #expect(books.version == 10)
        #expect(books.coolingCIDR(CIDR("10.0.3.0/24")!)?.version == 8)
        #expect(books.nodes["n3"]?.created == 9)
        #expect(books.nodes["n3"]?.isReleasing == false)
        #expect(books.apply(Proposal([.put(node: "n3", ["10.0.5.0/24", "fd00:5::/64"])])) == nil)
        #expect(books.nodes["n3"]?.created == 9 && books.nodes["n3"]?.record.version == 11)
        #expect(books.apply(Proposal(expecting: [.incarnation(node: "n3", created: 11)], [])) != nil)
        #expect(books.apply(Proposal(expecting: [.incarnation(node: "n3", created: 9)], [])) == nil)
    }

    @Test("a mark stays while the books know a holder, or a cooling range")
    func keepsMarks() throws {
        let books = Books(.small)
        let pool = books.pools.clusterIP[0]
        let (first, second) = (IPAddress("10.96.0.1")!, IPAddress("10.96.0.2")!)
        #expect(books.apply(Proposal([.put(service: "a", ["10.96.0.1", "10.96.0.2"])])) == nil)
        #expect(books.apply(Proposal([.put(service: "a", ["10.96.0.1"])])) == nil)
        #expect(pool.state(of: first) == .allocated && pool.state(of: second) == .free)
        books.clear(first)
        #expect(pool.state(of: first) == .allocated)
        #expect(
            books.apply(Proposal([.put(node: "n", ["10.244.0.0/28"]), .put(pod: "p", on: "n", ["10.244.0.2"])])) == nil)
        let node = try #require(books.nodes["n"])
        let address = IPAddress("10.244.0.2")!
        books.clear(address, on: node)
        #expect(node.pool(.ipv4)?.state(of: address) == .allocated)
        books.clear(CIDR("10.244.0.0/28")!)
        #expect(books.pools.nodeCIDR[0].state(of: CIDR("10.244.0.0/28")!) == .allocated)
        #expect(
            books.apply(Proposal([.delete(.pod("p", on: "n")), .cool(CIDR(address), node: "n", since: 0)])) == nil)
        books.clear(address, on: node)
        #expect(node.pool(.ipv4)?.state(of: address) == .allocated)
        // A call that comes to nothing gives back an address that another call got meanwhile.
        books.giveBack(.address(pool, first))
        #expect(pool.state(of: first) == .allocated)
    }

    @Test("a node's CIDR does not cool where another node's overlaps it, as earlier releases allowed")
    func leavesOverlapsInUse() async throws {
        let log = FaultyLog()
        for change in [
            Change.put(node: "n", ["10.244.0.0/27"]), .put(node: "m", ["10.244.0.0/28"]),
            .put(pod: "p", on: "n", ["10.244.0.20"]),
        ] { log.append([Proposal([change])]) }
        log.fold()
        var cluster = ClusterConfiguration.small
        cluster.podIPReuseDelaySeconds = 60
        cluster.clusterCIDRs.removeLast()
        let harness = try EngineHarness(FaultyLog(disk: log.disk), cluster)
        _ = try await harness.call(.release, ["node": ["metadata": ["name": "n"]], "force": true]).get()
        let pod: JSONValue = ["metadata": ["name": "q"], "spec": ["nodeName": "m"]]
        _ = try await harness.call(.allocatePodIPs, ["pod": pod]).get()
        _ = try await harness.call(.release, ["pod": ["metadata": ["name": "q"]]]).get()
        #expect(faults(harness.engine, isStepped: false) == [])
        harness.stop()
    }

    @Test("a start from the folded form of any books, and of any part of the log, makes the same", arguments: seeds)
    func loadsWhatItHad(_ seed: UInt64) throws {
        var source = RandomProposals(seed: seed)
        let books = Books(.small)
        var (tables, kept) = (StoredTables(), [Proposal]())
        var log: [Proposal] = []
        for step in 0..<400 {
            let proposal = source.next(tables)
            log.append(proposal)
            if books.apply(proposal) == nil {
                tables.apply(proposal)
                kept.append(proposal)
            }
            guard step % 20 == 19 else { continue }
            #expect(try books.lines == Books(.small(2), loading: StoredLog(tables: tables)).lines, "step \(step)")
            // Folded up to anywhere: the changes kept by then, and all proposals behind them, refused ones as well.
            let end = source.number(log.count)
            var folded = StoredTables()
            let before = Books(.small)
            for proposal in log[..<end] where before.apply(proposal) == nil { folded.apply(proposal) }
            let start = StoredLog(tables: folded, tail: Array(log[end...]))
            #expect(try books.lines == Books(.small(1), loading: start).lines, "step \(step), folded to \(end)")
        }
        #expect(kept.count > 40)
    }

    @Test(
        "arbitrary proposals are kept or refused alike, whatever the flags, and leave nothing contradictory",
        arguments: seeds)
    func takesAnything(_ seed: UInt64) throws {
        var source = RandomProposals(seed: seed)
        let store = SharedLog.Store()
        let proposer = SharedLog.Member(store)
        var other = ClusterConfiguration.small(0)
        other.clusterCIDRs = [CIDR("10.0.0.0/22")!]
        let members = (0..<2).map { _ in SharedLog.Member(store) }
        let engines = try zip([.small, other], members).map {
            try Engine(cluster: $0, log: $1, environment: .system, stepsByHand: true)
        }
        let books = Books(.small)
        var tables = StoredTables()
        var keptCount = 0
        for step in 0..<300 {
            let proposal = source.next(tables)
            proposer.append([proposal])
            store.land(proposer)
            for (member, engine) in zip(members, engines) {
                member.deliver(1)
                engine.journal.step()
            }
            let isKept = books.apply(proposal) == nil
            if isKept { tables.apply(proposal) }
            #expect(engines.map(\.digest) == [books.digest, books.digest], "seed \(seed), step \(step): \(proposal)")
            #expect(engines.map(\.books.version) == [tables.version, tables.version], "seed \(seed), step \(step)")
            guard isKept else { continue }
            keptCount += 1
            #expect(SlowBooks(tables).contradictions == [], "seed \(seed), step \(step): \(proposal)")
            for engine in engines { #expect(faults(engine) == [], "seed \(seed), step \(step): \(proposal)") }
        }
        #expect(keptCount > 30)
        for engine in engines { engine.journal.stop() }
    }

    @Test("an address that another server had and gave back while this one claimed it is marked once it is held")
    func marksWhatWasClearedMeanwhile() throws {
        let store = SharedLog.Store()
        let (member, other) = (SharedLog.Member(store), SharedLog.Member(store))
        let engine = try Engine(cluster: .small, log: member, environment: .system, stepsByHand: true)
        let wanted = IPAddress("10.96.0.5")!
        var service = Service(metadata: ObjectMeta(namespace: "default", name: "a"))
        service.spec.clusterIP = .value(wanted)
        let answers = Noted<Bool>()
        engine.perform(Call(.allocateServiceIPs, .allocateServiceIPs(service))) { result in
            answers.add((try? result.get()) != nil)
        }
        engine.step()
        member.answerFence()
        engine.step()
        #expect(member.hasInFlight)
        for change in [Change.put(service: "b", [wanted.description]), .delete(ObjectKey(.service, "default/b"))] {
            other.append([Proposal([change])])
            store.land(other)
        }
        store.land(member)
        member.deliver(.max)
        engine.step()
        #expect(answers.all == [true])
        #expect(engine.pools.clusterIP[0].state(of: wanted) == .allocated)
        engine.stop()
    }

    private func faults(_ engine: Engine, isStepped: Bool = true) -> [String] {
        let audit = Audit(engine)
        var found: [String] = []
        while true {
            let step = audit.step()
            found += step.newFaults
            if step.endsPass { return found }
            if isStepped { engine.journal.step() }
        }
    }
}

/// Proposals of every kind: such as a server makes, and such as none does.
struct RandomProposals {
    private var generator: SeededGenerator

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    mutating func number(_ limit: Int) -> Int { Int.random(in: 0..<limit, using: &generator) }

    private mutating func pick<T>(_ all: [T]) -> T { all[number(all.count)] }

    /// `tables` are the objects kept so far.
    mutating func next(_ tables: StoredTables) -> Proposal {
        let count = number(40) == 0 ? 300 : pick([0, 1, 1, 1, 2, 2, 3, 4])
        let expectations = (0..<pick([0, 0, 0, 1, 2])).map { _ in expectation(tables) }
        return Proposal(expecting: expectations, (0..<count).map { _ in change(tables) })
    }

    private mutating func expectation(_ tables: StoredTables) -> Ledger.Expectation {
        let key = key(tables)
        let record = tables.records[key]
        switch number(4) {
        case 0: return .absent(key)
        case 1: return .unchanged(key, version: number(3) == 0 ? UInt64(number(50)) : record?.version ?? 0)
        case 2: return .incarnation(node: key.key, created: number(3) == 0 ? UInt64(number(50)) : record?.created ?? 0)
        default: return .nodeEmpty(key.key)
        }
    }

    private mutating func key(_ tables: StoredTables) -> ObjectKey {
        let all = tables.sorted
        if number(2) == 0, let record = all.isEmpty ? nil : pick(all) { return record.key }
        switch number(4) {
        case 0: return ObjectKey(.service, pick(["default/s0", "default/s1", "default/s2", "s", "", "/", "default/"]))
        case 1: return ObjectKey(.node, pick(["n0", "n1", "n2", ""]))
        case 2: return .pod("c\(number(6))", on: "n\(number(3))")
        default:
            let texts = [
                "@n0", "@", "", "@n0/", "container/c/eth0", "@/a/b", "@n0/container/c", "@n9/pod/default/x//eth0",
            ]
            return ObjectKey(pick(RecordKind.allCases), pick(texts))
        }
    }

    private mutating func address() -> String {
        switch number(5) {
        case 0: "10.96.0.\(number(16))"
        case 1: "fd00:\(number(3))::\(number(9))"
        default: "10.0.\(number(3)).\(number(16))"
        }
    }

    private mutating func cidr() -> String {
        if number(4) == 0 { return "fd00:\(number(3))::/\(pick([64, 64, 65, 126]))" }
        let length = pick([24, 24, 24, 25, 28, 23, 30])
        return CIDR(containing: IPAddress("10.0.\(number(3)).\(number(64))")!, prefixLength: length).description
    }

    private mutating func range(_ tables: StoredTables) -> CIDR {
        let cooling = tables.sorted.filter { $0.kind == .cooling }
        if number(2) == 0, !cooling.isEmpty {
            let key = pick(cooling).key.key
            return CIDR(key) ?? CIDR(IPAddress(key)!)
        }
        return number(2) == 0 ? CIDR(IPAddress(address())!) : CIDR(cidr())!
    }

    private mutating func change(_ tables: StoredTables) -> Change {
        switch number(16) {
        case 0...1:
            return .put(
                service: "s\(number(3))", [address()], ports: number(2) == 0 ? [UInt16(30_000 + number(3))] : [],
                over: pick([[.tcp], [.udp], [.tcp, .udp]]))
        case 2...3: return .put(node: "n\(number(3))", number(3) == 0 ? [cidr(), cidr()] : [cidr()])
        case 4...7:
            let node = number(3)
            return .put(pod: "c\(number(6))", on: "n\(node)", ["10.0.\(node).\(number(16))"])
        case 8...9: return .delete(key(tables))
        case 10:
            let node = "n\(number(3))"
            return .cool(range(tables), node: node, since: number(100) - 50)
        case 11...12:
            let range = range(tables)
            let version = tables.records[StoredTables.coolingKey(range)]?.version
            return .thaw(range, version: number(4) == 0 ? UInt64(number(9)) : version ?? .max)
        case 13: return number(4) == 0 ? .markReleasing(node: "n\(number(4))") : .delete(key(tables))
        case 14:
            // The right form under another key, or with holdings that do not fit it.
            guard case .put(let key, var form) = change(tables) else { return .delete(key(tables)) }
            if number(2) == 0 { return .put(self.key(tables), form) }
            for _ in 0..<pick([0, 1, 2, 60]) { form.holdings.append(holding()) }
            return .put(key, form)
        default:
            let documents = [
                "", "{", "null", "[]", #"{"metadata":{"name":"n0"}}"#, String(repeating: "[", count: 5_000),
            ]
            let form = StoredForm(
                document: Array(pick(documents).utf8), context: Array(pick(["", "[", "[1,2]", "{}"]).utf8),
                holdings: (0..<number(3)).map { _ in holding() })
            return .put(key(tables), form)
        }
    }

    private mutating func holding() -> Holding {
        if number(5) == 0 { return .port(pick(TransportProtocol.allCases), UInt16(number(3))) }
        let pool = pick(Holding.Pool.allCases)
        if number(2) == 0 { return Holding(pool: pool, address: IPAddress(address())!) }
        return Holding(pool: pool, range: CIDR(pick(["0.0.0.0/0", "::/0", "10.0.0.0/8", cidr()]))!)
    }
}

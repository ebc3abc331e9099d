import Addressing
import FaultyLog
import Ledger
import Synchronization
import TandemAPI
import TestSupport
import Testing

@testable import IPAM

@Suite("Addresses that pods gave back")
struct CoolingTests {
    /// The time of day, and the clock that only goes forward: both as the test says.
    private final class Clock: Sendable {
        let seconds = Atomic<Int>(1_000_000)

        func pass(_ seconds: Int) { self.seconds.wrappingAdd(seconds, ordering: .relaxed) }

        /// `offset` is the jump of the time of day over a restart.
        func environment(offset: Int = 0) -> Environment {
            Environment(
                random: { .random(in: .min ... .max) }, now: { self.seconds.load(ordering: .relaxed) + offset },
                uptime: { self.seconds.load(ordering: .relaxed) })
        }
    }

    private let directory = ScratchDirectory()
    private let clock = Clock()

    private var cluster: ClusterConfiguration {
        var cluster = ClusterConfiguration.small
        cluster.podIPReuseDelaySeconds = 60
        return cluster
    }

    private func start(offset: Int = 0) throws -> EngineHarness {
        try EngineHarness(
            SQLiteLog(directory: directory.path), cluster, environment: clock.environment(offset: offset))
    }

    private func add(_ harness: EngineHarness, _ name: String, asking ips: [String] = []) async throws -> [String] {
        var pod: JSONValue = ["metadata": ["name": .string(name)], "spec": ["nodeName": "n1"]]
        if !ips.isEmpty { pod["status"] = ["podIPs": .array(ips.map { ["ip": .string($0)] })] }
        let answer = try await harness.call(.allocatePodIPs, ["pod": pod]).get()
        return (answer["pod"]?["status"]?["podIPs"]?.arrayValue ?? []).compactMap { $0["ip"]?.stringValue }
    }

    private func remove(_ harness: EngineHarness, _ name: String) async throws {
        _ = try await harness.call(.release, ["pod": ["metadata": ["name": .string(name)]]]).get()
    }

    private func state(_ harness: EngineHarness, _ address: String) -> AddressStatus.State {
        harness.engine.lookup(IPAddress(address)!).state
    }

    /// All 13 addresses of the IPv4 CIDR once, each given back a second after the one before, but for the last.
    private func goAround(_ harness: EngineHarness) async throws -> [String] {
        var given: [String] = []
        for index in 0..<13 {
            given.append(try await add(harness, "p\(index)")[0])
            guard index < 12 else { break }
            try await remove(harness, "p\(index)")
            clock.pass(1)
        }
        return given
    }

    @Test("are not given out again before their time, unless nothing else is left; then the one that waited longest is")
    func waits() async throws {
        let harness = try start()
        defer { harness.stop() }
        _ = try await add(harness, "first")
        try await remove(harness, "first")
        #expect(state(harness, "10.244.0.2") == .coolingDown)
        clock.pass(30)
        var given: [String] = []
        for index in 0..<12 {
            given.append(try await add(harness, "p\(index)")[0])
            try await remove(harness, "p\(index)")
        }
        #expect(Set(given).count == 12 && !given.contains("10.244.0.2"))
        #expect(try await harness.faults() == [])
        // Everything cools now: the one that was given back first is the one to take.
        #expect(try await add(harness, "full")[0] == "10.244.0.2")
        #expect(state(harness, "10.244.0.2") == .allocated)
        #expect(try await harness.faults() == [])
        clock.pass(60)
        await thawOnce(harness)
        #expect(try await add(harness, "later")[0] == given[0])
        #expect(state(harness, given[5]) == .free)
        #expect(try await harness.faults() == [])
    }

    @Test("are given at once to a pod that requests them, and to no other meanwhile")
    func yields() async throws {
        let harness = try start()
        defer { harness.stop() }
        let addresses = try await add(harness, "old")
        try await remove(harness, "old")
        #expect(try await add(harness, "new", asking: addresses) == addresses)
        #expect(state(harness, addresses[0]) == .allocated)
        let pod: JSONValue = [
            "metadata": ["name": "third"], "spec": ["nodeName": "n1"],
            "status": ["podIPs": [["ip": .string(addresses[0])]]],
        ]
        #expect((await harness.call(.allocatePodIPs, ["pod": pod])).error?.status == .invalidArgument)
        // A dry run takes nothing away.
        try await remove(harness, "new")
        _ = try await harness.call(.allocatePodIPs, ["pod": pod, "dryRun": true]).get()
        #expect(state(harness, addresses[0]) == .coolingDown)
        #expect(try await harness.faults() == [])
    }

    @Test("cool on over a restart, for as long as was left, and no longer than at first if the clock jumped")
    func survivesRestart() async throws {
        var harness = try start()
        let given = try await goAround(harness)
        // 12 seconds have passed since the first was given back.
        clock.pass(20)
        harness.stop()

        harness = try start()
        #expect(state(harness, given[0]) == .coolingDown)
        #expect(try await add(harness, "next")[0] == given[0])
        clock.pass(30)
        await thawOnce(harness)
        #expect(try await add(harness, "thaws")[0] == given[1])
        #expect(state(harness, given[2]) == .free)
        #expect(state(harness, given[3]) == .coolingDown)
        try await remove(harness, "thaws")
        harness.stop()

        // The time of day is an hour back: cooling addresses cool for a minute, and thawed ones are free.
        harness = try start(offset: -3_600)
        #expect(state(harness, given[2]) == .free)
        #expect(state(harness, given[1]) == .coolingDown)
        #expect(state(harness, given[3]) == .coolingDown)
        clock.pass(60)
        _ = try await add(harness, "again")
        #expect(try await harness.faults() == [])
        harness.stop()
        harness = try start()
        #expect(try await harness.faults() == [])
        harness.stop()
    }

    @Test("go with their node: the next node with its CIDR finds no trace of them, then or after a restart")
    func goesWithNode() async throws {
        var harness = try start()
        _ = try await goAround(harness)
        _ = try await harness.call(.release, ["node": ["metadata": ["name": "n1"]], "force": true]).get()
        let node: JSONValue = ["metadata": ["name": "n1"], "spec": ["podCIDRs": ["10.244.0.0/28"]]]
        _ = try await harness.call(.allocateNodeCIDRs, ["node": node]).get()
        #expect(state(harness, "10.244.0.5") == .free)
        harness.stop()
        harness = try start()
        #expect(state(harness, "10.244.0.5") == .free)
        #expect(try await harness.faults() == [])
        harness.stop()
    }

    /// Looks at every node once, and waits for the resulting commits.
    private func thawOnce(_ harness: EngineHarness) async {
        let thaw = Thaw(harness.engine)
        while !thaw.step() {}
        for _ in 0..<3 { await withCheckedContinuation { done in harness.engine.journal.flush { done.resume() } } }
    }

    @Test("are free once their time is over, though their node gets no pod, and not before")
    func thawsIdleNodes() async throws {
        let harness = try start()
        defer { harness.stop() }
        let addresses = try await add(harness, "p")
        try await remove(harness, "p")
        clock.pass(59)
        await thawOnce(harness)
        #expect(addresses.allSatisfy { state(harness, $0) == .coolingDown })
        clock.pass(1)
        await thawOnce(harness)
        #expect(addresses.allSatisfy { state(harness, $0) == .free })
        #expect(try await harness.faults() == [])
        let commits = harness.engine.journal.statistics.proposals
        await thawOnce(harness)
        #expect(harness.engine.journal.statistics.proposals == commits, "nothing is written where nothing is ready")
    }

    @Test("go on cooling where the change that frees them is not kept, and are freed the next time")
    func thawsAgain() async throws {
        let isFailing = Atomic<Bool>(false)
        let store = FaultyLog { _ in isFailing.load(ordering: .relaxed) ? .notCommitted : nil }
        let harness = try EngineHarness(store, cluster, environment: clock.environment())
        defer { harness.stop() }
        let address = try await add(harness, "p")[0]
        try await remove(harness, "p")
        clock.pass(60)
        isFailing.store(true, ordering: .relaxed)
        await thawOnce(harness)
        #expect(state(harness, address) == .coolingDown)
        isFailing.store(false, ordering: .relaxed)
        await thawOnce(harness)
        #expect(state(harness, address) == .free)
        #expect(store.stored.allSatisfy { $0.kind == .node })
    }

    @Test("of many nodes each step looks at some, and several steps at all")
    func thawsAllNodes() async throws {
        var cluster = cluster
        cluster.clusterCIDRs = [CIDR("10.128.0.0/9")!, CIDR("fd00:10:244::/48")!]
        let harness = try EngineHarness(FaultyLog(), cluster, environment: clock.environment())
        defer { harness.stop() }
        let count = Thaw.nodesPerStep * 2 + 3
        for index in 0..<count {
            let pod: JSONValue = [
                "metadata": ["name": .string("p\(index)")], "spec": ["nodeName": .string("n\(index)")],
            ]
            _ = try await harness.call(.allocatePodIPs, ["pod": pod]).get()
            try await remove(harness, "p\(index)")
        }
        func cooling() -> Int { harness.engine.poolStatuses().reduce(0) { $0 + Int($1.coolingDown) } }
        #expect(cooling() == count * 2)
        clock.pass(60)
        let thaw = Thaw(harness.engine)
        #expect(!thaw.step() && !thaw.step() && thaw.step())
        await withCheckedContinuation { done in harness.engine.journal.flush { done.resume() } }
        #expect(cooling() == 0)
        #expect(try await harness.faults() == [])
    }

    @Test("a pod that gets no address of one family gives back the one of the other")
    func isAllOrNone() async throws {
        let harness = try start()
        defer { harness.stop() }
        _ = try await add(harness, "p")
        let pod: JSONValue = [
            "metadata": ["name": "q"], "spec": ["nodeName": "n1"], "status": ["podIPs": [["ip": "fd00:10:244::2"]]],
        ]
        #expect((await harness.call(.allocatePodIPs, ["pod": pod])).error?.status == .invalidArgument)
        #expect(try await harness.faults() == [])
    }

    @Test(
        "many pods that come and go at once, while time passes: no address has two owners, and none is lost",
        arguments: seeds)
    func comesAndGoes(_ seed: UInt64) async throws {
        var harness = try start()
        for round in 0..<3 {
            await withTaskGroup(of: Void.self) { tasks in
                for worker in 0..<6 {
                    let harness = harness
                    tasks.addTask {
                        var random = SeededGenerator(seed: seed &+ UInt64(round * 6 + worker))
                        for _ in 0..<60 {
                            let name = "pod-\(worker)-\(Int.random(in: 0..<3, using: &random))"
                            // A full node refuses; that is as it should be.
                            if Bool.random(using: &random) {
                                _ = try? await add(harness, name)
                            } else {
                                try? await remove(harness, name)
                            }
                            if Int.random(in: 0..<4, using: &random) == 0 {
                                clock.pass(Int.random(in: 1..<30, using: &random))
                            }
                        }
                    }
                }
            }
            #expect(try await harness.faults() == [])
            harness.stop()
            harness = try start(offset: [0, -500, 500][round])
            #expect(try await harness.faults() == [])
        }
        // Once all are gone and have cooled, a node's every address can be had.
        for pod in try await harness.items(.listPods) {
            try await remove(harness, pod["metadata"]?["name"]?.stringValue ?? "")
        }
        clock.pass(60)
        var given: Set<String> = []
        for index in 0..<13 { given.insert(try await add(harness, "last-\(index)")[0]) }
        #expect(given.count == 13)
        #expect(try await harness.faults() == [])
        harness.stop()
    }
}

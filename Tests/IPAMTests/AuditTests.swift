import Addressing
import Allocation
import FaultyLog
import Ledger
import Synchronization
import TandemAPI
import TestSupport
import Testing

@testable import IPAM

/// Contradictions planted in the books of an engine that runs, and the audit that must find each.
@Suite("The background audit")
struct AuditTests {
    /// A cluster with two Services and a pod, at addresses that are asked for.
    private func makeCluster() async throws -> EngineHarness {
        let harness = try EngineHarness(FaultyLog())
        for (name, last) in [("a", 1), ("b", 2)] {
            _ = try await harness.call(
                .allocateServiceIPs,
                [
                    "service": [
                        "metadata": ["name": .string(name)], "spec": ["clusterIP": .string("10.96.0.\(last)")],
                    ]
                ]
            ).get()
        }
        _ = try await harness.call(
            .allocatePodIPs, ["pod": ["metadata": ["name": "p"], "spec": ["nodeName": "n1"]]]
        ).get()
        return harness
    }

    /// Goes through everything twice; the faults known then. Gives calls in flight the time to end.
    private func faults(_ audit: Audit) async -> [String] {
        var found: [String] = []
        var passes = 0
        while passes < 2 {
            let step = audit.step()
            found += step.newFaults
            if step.endsPass { passes += 1 }
            await Task.yield()
        }
        return found
    }

    @Test("finds nothing where nothing is wrong")
    func findsNothing() async throws {
        let harness = try await makeCluster()
        #expect(await faults(Audit(harness.engine)) == [])
        harness.stop()
    }

    @Test("an address that cools is no fault, and a pod that holds one is")
    func knowsWhatCools() async throws {
        var cluster = ClusterConfiguration.small
        cluster.podIPReuseDelaySeconds = 60
        let harness = try EngineHarness(FaultyLog(), cluster)
        for name in ["p", "q"] {
            let pod: JSONValue = ["metadata": ["name": .string(name)], "spec": ["nodeName": "n1"]]
            _ = try await harness.call(.allocatePodIPs, ["pod": pod]).get()
        }
        _ = try await harness.call(.release, ["pod": ["metadata": ["name": "p"]]]).get()
        #expect(harness.engine.poolStatuses().contains { $0.coolingDown == 1 })
        let audit = Audit(harness.engine)
        #expect(await faults(audit) == [])
        let node = try #require(harness.engine.books.nodes["n1"])
        let pod = try #require(node.pods(after: nil as StoredPod?, limit: 1).first)
        node.cooling.add(CoolingAddress(end: 0, address: pod.addresses[0], version: 1))
        #expect(await faults(audit) == ["\(pod.addresses[0]) of Pod \(pod.key) cools, but the pod holds it"])
        harness.stop()
    }

    @Test("of very many contradictions some are told of and counted, and memory holds no more")
    func tellsOfFew() async throws {
        let cluster = ClusterConfiguration(serviceRanges: [CIDR("10.96.0.0/16")!])
        let harness = try EngineHarness(FaultyLog(), cluster)
        let pool = harness.engine.pools.clusterIP[0]
        for _ in 0..<5_000 { _ = pool.claim(startingAt: .random(in: .min ... .max)) }
        let audit = Audit(harness.engine)
        let found = await faults(audit)
        #expect(found.count == 2 * (Audit.maximumLines + 1) || found.count == Audit.maximumLines + 1)
        #expect(found.last?.hasPrefix("and more than 32") == true)
        var step = audit.step()
        while !step.endsPass { step = audit.step() }
        #expect(step.faults == Audit.maximumFaults)
        harness.stop()
    }

    @Test("finds each planted contradiction, and tells of it once", arguments: 0..<8)
    func findsContradictions(_ index: Int) async throws {
        let harness = try await makeCluster()
        let engine = harness.engine
        let service = try #require(engine.books.services["default/a"])
        let second = try #require(engine.books.services["default/b"])
        let node = try #require(engine.books.nodes["n1"])
        let pod = try #require(node.pods(after: nil as StoredPod?, limit: 1).first)
        let (own, other) = (IPAddress("10.96.0.1")!, IPAddress("10.96.0.5")!)
        let planted: [(expected: String, plant: () throws -> Void)] = [
            ("10.96.0.5 is marked as taken, but no object holds it", { _ = engine.pools.clusterIP[0].claim(other) }),
            (
                "10.244.0.48/28 is marked as taken, but no object holds it",
                { _ = engine.pools.nodeCIDR[0].claim(CIDR("10.244.0.48/28")!) }
            ),
            (
                "10.96.0.1 of Service default/a is not marked as taken",
                { _ = engine.pools.clusterIP[0].release(own) }
            ),
            (
                "10.96.0.1 has two owners: Service default/a and Service default/b",
                { engine.books.withHeld { $0.addresses[own] = second } }
            ),
            (
                "10.96.0.1 of Service default/a does not lead back to it",
                { engine.books.withHeld { $0.addresses[own] = nil } }
            ),
            (
                "\(pod.addresses[0]) of Pod \(pod.key) is not marked as taken",
                { _ = node.pool(.ipv4)?.release(pod.addresses[0]) }
            ),
            (
                "10.244.0.9 of Node n1 is marked as taken, but no pod holds it",
                { _ = node.pool(.ipv4)?.claim(IPAddress("10.244.0.9")!) }
            ),
            (
                "10.9.9.9 of Pod @n1/default/x lies in no pod CIDR of Node n1",
                {
                    let outside = try StoredPod(
                        PodIdentity(origin: "default", ifName: "x"), on: node, addresses: [IPAddress("10.9.9.9")!],
                        version: 99, document: pod.document)
                    engine.books.show(outside)
                }
            ),
        ]
        #expect(service.key == "default/a")
        try planted[index].plant()
        let found = await faults(Audit(engine))
        #expect(found.contains(planted[index].expected), "\(found)")
        // A port that does not lead back to its Service is marked without an object as well.
        #expect(found.count == (index == 4 ? 2 : 1), "\(found)")
        harness.stop()
    }

    @Test("two pods with one address, and a pod whose node has no CIDR")
    func findsPods() async throws {
        let harness = try await makeCluster()
        let node = try #require(harness.engine.books.nodes["n1"])
        let pod = try #require(node.pods(after: nil as StoredPod?, limit: 1).first)
        harness.engine.books.show(
            try StoredPod(
                PodIdentity(origin: "twin", ifName: "eth0"), on: node, addresses: [pod.addresses[0]], version: 99,
                document: pod.document))
        #expect(
            await faults(Audit(harness.engine)).contains { $0.hasPrefix("\(pod.addresses[0]) has two owners: Pod ") })
        let bare = StoredNode("bare", [], version: 100)
        harness.engine.books.nodes["bare"] = bare
        harness.engine.books.show(
            try StoredPod(
                PodIdentity(origin: "lost", ifName: "eth0"), on: bare, addresses: [IPAddress("10.9.9.9")!],
                version: 101,
                document: pod.document))
        #expect(
            await faults(Audit(harness.engine)).contains("10.9.9.9 of Pod @bare/lost/eth0: Node bare has no pod CIDR"))
        harness.stop()
    }

    @Test("a fault that goes away is no longer counted")
    func forgets() async throws {
        let harness = try await makeCluster()
        let audit = Audit(harness.engine)
        let pool = harness.engine.pools.clusterIP[0]
        _ = pool.claim(IPAddress("10.96.0.5")!)
        #expect(await faults(audit).count == 1)
        pool.release(IPAddress("10.96.0.5")!)
        #expect(await faults(audit) == [])
        var step = audit.step()
        while !step.endsPass { step = audit.step() }
        #expect(step.faults == 0)
        harness.stop()
    }

    @Test("a mark of a call that stands still before its commit is no fault, however long; one that stays behind it is")
    func waitsForCalls() async throws {
        let harness = try await makeCluster()
        let audit = Audit(harness.engine)
        let pool = harness.engine.pools.clusterIP[0]
        let round = harness.engine.claimingCalls.enter()
        _ = pool.claim(IPAddress("10.96.0.5")!)
        for _ in 0..<1_000 {
            let step = audit.step()
            #expect(step.newFaults == [] && !step.endsPass)
            _ = await harness.call(.getPools, [:])
        }
        harness.engine.claimingCalls.leave(round)
        #expect(await faults(audit) == ["10.96.0.5 is marked as taken, but no object holds it"])
        harness.stop()
    }

    private final class Flag: Sendable {
        private let state = Mutex(false)
        var isSet: Bool { state.withLock { $0 } }
        func set() { state.withLock { $0 = true } }
    }

    @Test("calls that are half-way through are no faults, whether or not addresses cool", arguments: [0, 60])
    func raisesNoFalseAlarm(_ cooling: Int) async throws {
        var cluster = ClusterConfiguration.small
        cluster.podIPReuseDelaySeconds = cooling
        let harness = try EngineHarness(FaultyLog(), cluster)
        let isDone = Flag()
        await withTaskGroup(of: Void.self) { tasks in
            for worker in 0..<4 {
                tasks.addTask {
                    for round in 0..<300 {
                        let name: JSONValue = .string("s\(worker)-\(round % 3)")
                        let pod: JSONValue = [
                            "metadata": ["name": name], "spec": ["nodeName": .string("n\(round % 2)")],
                        ]
                        _ = await harness.call(
                            .allocateServiceIPs, ["service": ["metadata": ["name": name], "spec": [:]]])
                        _ = await harness.call(.allocatePodIPs, ["pod": pod])
                        _ = await harness.call(.release, ["service": ["metadata": ["name": name]]])
                        _ = await harness.call(.release, ["pod": ["metadata": ["name": name]]])
                    }
                }
            }
            tasks.addTask {
                let audit = Audit(harness.engine)
                var passes = 0
                while !isDone.isSet || passes < 3 {
                    let step = audit.step()
                    #expect(step.newFaults == [])
                    if step.endsPass { passes += 1 }
                    await Task.yield()
                }
            }
            for _ in 0..<4 { await tasks.next() }
            isDone.set()
        }
        harness.stop()
    }
}

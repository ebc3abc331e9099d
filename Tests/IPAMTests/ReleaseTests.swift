import Addressing
import FaultyLog
import Foundation
import Ledger
import Synchronization
import TandemAPI
import TestSupport
import Testing

@testable import IPAM

@Suite("Large releases, and releases that come close behind an allocation")
struct ReleaseTests {
    /// One node may have more pods than an answer names.
    private static func cluster(cooling seconds: Int) -> ClusterConfiguration {
        ClusterConfiguration(
            serviceRanges: [CIDR("192.0.2.0/28")!], clusterCIDRs: [CIDR("10.0.0.0/8")!, CIDR("fd00:10:244::/48")!],
            nodeMaskSizeIPv4: 16, nodeMaskSizeIPv6: 64, podIPReuseDelaySeconds: seconds)
    }

    private func harness(cooling seconds: Int, _ store: any Log = FaultyLog()) throws -> EngineHarness {
        try EngineHarness(store, Self.cluster(cooling: seconds))
    }

    private func pod(_ name: String, node: String = "n1", uid: String? = nil) -> Call {
        let pod = Pod(
            metadata: ObjectMeta(namespace: "default", name: name, uid: uid.map { Written($0) }), nodeName: node)
        return Call(.allocatePodIPs, .allocatePodIPs(PodRequest(pod: pod)))
    }

    /// Returns when all of them are answered. A few at a time, as the journal refuses calls that would wait for long.
    private func perform(_ calls: [Call], _ engine: Engine) async {
        for start in stride(from: 0, to: calls.count, by: 100) {
            let some = calls[start..<min(start + 100, calls.count)]
            await withCheckedContinuation { continuation in
                let counter = Counter(left: some.count) { continuation.resume() }
                for call in some { engine.perform(call) { _ in counter.count() } }
            }
        }
    }

    private final class Counter: Sendable {
        private let left: Atomic<Int>
        private let done: @Sendable () -> Void

        init(left: Int, _ done: @escaping @Sendable () -> Void) {
            self.left = Atomic(left)
            self.done = done
        }

        func count() {
            if left.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue == 0 { done() }
        }
    }

    @Test(
        "20,000 incarnations of a name go in a few hundred changes, a dry run in none, and the answer names 10,000 addresses",
        arguments: [0, 60])
    func releasesIncarnations(_ cooling: Int) async throws {
        let harness = try harness(cooling: cooling)
        let engine = harness.engine
        await perform((0..<20_000).map { pod("web", node: "n\($0 % 2)", uid: "u\($0)") }, engine)
        await perform([pod("other", uid: "u")], engine)
        let name: JSONValue = ["pod": ["metadata": ["name": "web"]]]
        let changes = engine.journal.statistics.proposals
        let dry = try await harness.call(.release, ["pod": ["metadata": ["name": "web"]], "dryRun": true]).get()
        #expect(dry["released"]?.arrayValue?.count == 10_000)
        #expect(dry["more"]?.intValue == 30_000)
        #expect(engine.journal.statistics.proposals == changes)
        let one = try await harness.call(.release, ["pod": ["metadata": ["name": "web", "uid": "u17000"]]]).get()
        #expect(one["released"]?.arrayValue?.count == 2 && one["more"] == nil)
        let released = try await harness.call(.release, name).get()
        #expect(released["released"]?.arrayValue?.count == 10_000)
        #expect(released["more"]?.intValue == 29_998)
        #expect(engine.journal.statistics.proposals - changes <= 200)
        #expect(try await harness.call(.release, name).get() == ["released": []])
        #expect(try await harness.items(.listPods).count == 1)
        let status = engine.poolStatuses().filter { $0.kind == .pod }
        #expect(status.reduce(0) { $0 + Int($1.allocated) } == 2)
        #expect(status.reduce(0) { $0 + Int($1.coolingDown) } == (cooling == 0 ? 0 : 40_000))
        harness.stop()
    }

    @Test("incarnations on one node go by the hundred")
    func releasesInPieces() async throws {
        let harness = try harness(cooling: 60)
        await perform((0..<3_000).map { pod("web", uid: "u\($0)") }, harness.engine)
        let changes = harness.engine.journal.statistics.proposals
        _ = try await harness.call(.release, ["pod": ["metadata": ["name": "web"]]]).get()
        // Each pod is three records.
        let pieces = harness.engine.journal.statistics.proposals - changes
        #expect((9_000 / 512 + 1...9_000 / 512 + 8).contains(Int(pieces)), "\(pieces)")
        #expect(try await harness.items(.listPods) == [])
        harness.stop()
    }

    @Test("a node with thousands of pods, of which some cool, goes in pieces, and leaves nothing", arguments: [0, 60])
    func releasesNodes(_ cooling: Int) async throws {
        let store = FaultyLog()
        var harness = try harness(cooling: cooling, store)
        let engine = harness.engine
        await perform((0..<4_000).map { pod("p\($0)") }, engine)
        for index in 0..<1_000 {
            let metadata = ObjectMeta(namespace: "default", name: "p\(index)")
            await perform([Call(.release, .release(.pod(metadata, nodeName: nil)))], engine)
        }
        let node: JSONValue = ["metadata": ["name": "n1"]]
        #expect((await harness.call(.release, ["node": node])).error?.reason == "NodeHasPods")
        let dry = try await harness.call(.release, ["node": node, "force": true, "dryRun": true]).get()
        #expect(dry["released"]?.arrayValue?.count == 6_002)
        let changes = engine.journal.statistics.proposals
        let released = try await harness.call(.release, ["node": node, "force": true]).get()
        #expect(released["released"] == dry["released"])
        #expect((2...60).contains(Int(engine.journal.statistics.proposals - changes)))
        // The node's CIDRs cool in the place of its pods' addresses.
        #expect(store.stored.allSatisfy { $0.kind == .cooling && $0.key.key.contains("/") })
        #expect(engine.poolStatuses().allSatisfy { $0.allocated == 0 })
        harness.stop()
        harness = try self.harness(cooling: cooling, store)
        await perform([pod("next")], harness.engine)
        #expect(try await harness.faults() == [])
        harness.stop()
    }

    @Test("where a piece fails the caller is told, and a retry goes on with the others", arguments: [0, 60])
    func goesOn(_ cooling: Int) async throws {
        let isFailing = Atomic<Int>(0)
        let store = FaultyLog { _ in
            // The third group from now on.
            isFailing.load(ordering: .relaxed) > 0 && isFailing.wrappingSubtract(1, ordering: .relaxed).newValue == 1
                ? .notCommitted : nil
        }
        let harness = try harness(cooling: cooling, store)
        await perform((0..<2_000).map { pod("web", uid: "u\($0)") }, harness.engine)
        isFailing.store(4, ordering: .relaxed)
        let name: JSONValue = ["pod": ["metadata": ["name": "web"]]]
        #expect((await harness.call(.release, name)).error?.status == .unavailable)
        let left = try await harness.items(.listPods).count
        #expect(left > 0 && left < 2_000)
        #expect(try await harness.faults() == [])
        let rest = try await harness.call(.release, name).get()
        #expect(rest["released"]?.arrayValue?.count == left * 2)
        #expect(try await harness.items(.listPods) == [])
        harness.stop()
    }

    // MARK: Behind an allocation

    private func add(_ container: String, _ name: String, node: String) -> Call {
        let pod = Pod(metadata: ObjectMeta(namespace: "default", name: name), nodeName: node)
        let attachment = Attachment(containerID: container)
        return Call(.allocatePodIPs, .allocatePodIPs(PodRequest(pod: pod, attachment: attachment)))
    }

    @Test(
        "on a new node ADD, ADD, DEL leave the first pod alone, whether or not the release names an interface, or the pod"
    )
    func comesBehind() throws {
        for target in [
            Release.attachment(ReleasedAttachment(containerID: "c2", ifName: "eth0")),
            .attachment(ReleasedAttachment(containerID: "c2")),
            .pod(ObjectMeta(namespace: "default", name: "p2"), nodeName: nil),
        ] {
            let engine = try Engine(cluster: .small, log: FaultyLog(), stepsByHand: true)
            let answers = Noted<String>()
            for (call, name) in [
                (add("c1", "p1", node: "n1"), "add 1"), (add("c2", "p2", node: "n1"), "add 2"),
                (Call(.release, .release(target)), "release"),
            ] {
                engine.perform(call) { result in
                    let count = (try? result.get().json).flatMap { try? JSONValue(parsing: $0) }?["released"]?
                        .arrayValue
                    answers.add(name + (count.map { " \($0.count)" } ?? ""))
                }
            }
            for _ in 0..<6 { engine.journal.step() }
            #expect(answers.all == ["add 1", "add 2", "release 2"])
            #expect(engine.books.newestPod(named: ObjectMeta(namespace: "default", name: "p1")) != nil)
            #expect(engine.books.newestPod(named: ObjectMeta(namespace: "default", name: "p2")) == nil)
            engine.journal.stop()
        }
    }

    /// As kubelet does where an answer is late: another sandbox for the pod of the same name, and then the release of it.
    @Test(
        "a DEL comes behind its ADD also where that waits for another one of the same name", arguments: [true, false])
    func comesBehindName(_ hasInterfaces: Bool) throws {
        let engine = try Engine(cluster: .small, log: FaultyLog(), stepsByHand: true)
        func add(_ container: String, _ interface: String) -> Call {
            let pod = Pod(metadata: ObjectMeta(namespace: "default", name: "p"), nodeName: "n1")
            let attachment = Attachment(containerID: container, ifName: interface)
            return Call(.allocatePodIPs, .allocatePodIPs(PodRequest(pod: pod, attachment: attachment)))
        }
        let answers = Noted<Int>()
        engine.perform(add(hasInterfaces ? "c2" : "c1", "eth0")) { _ in answers.add(0) }
        engine.perform(add("c2", hasInterfaces ? "net1" : "eth0")) { _ in answers.add(0) }
        engine.perform(Call(.release, .release(.attachment(ReleasedAttachment(containerID: "c2"))))) { result in
            let json = (try? result.get().json).flatMap { try? JSONValue(parsing: $0) }
            answers.add(json?["released"]?.arrayValue?.count ?? -1)
        }
        for _ in 0..<8 { engine.journal.step() }
        #expect(answers.all == [0, 0, hasInterfaces ? 4 : 2])
        #expect(engine.books.pods(origin: "container/c2", after: nil, limit: 9).isEmpty)
        #expect(engine.podArrivals.words("n1/container/c2").isEmpty && engine.podNodes.words("container/c2").isEmpty)
        engine.journal.stop()
    }

    @Test("a node's release does not overtake a pod that found its node gone")
    func keepsNodesInOrder() throws {
        let engine = try Engine(cluster: .small, log: FaultyLog(), stepsByHand: true)
        let node = ObjectMeta(name: "n1")
        engine.perform(Call(.allocateNodeCIDRs, .allocateNodeCIDRs(Node(metadata: node)))) { _ in }
        engine.journal.step()
        let released = Noted<Int>()
        func release() {
            engine.perform(Call(.release, .release(.node(node, force: true)))) { result in
                let json = (try? result.get().json).flatMap { try? JSONValue(parsing: $0) }
                released.add(json?["released"]?.arrayValue?.count ?? -1)
            }
        }
        release()
        engine.perform(pod("p", node: "n1")) { _ in }
        release()
        for _ in 0..<8 { engine.journal.step() }
        // Two CIDRs; then two CIDRs and the pod's two addresses.
        #expect(released.all == [2, 4])
        #expect(engine.books.nodes["n1"] == nil)
        engine.journal.stop()
    }

    @Test("pairs of ADD and DEL without a wait between them leave no pod behind, on nodes that come and go")
    func races() async throws {
        let pairs = ProcessInfo.processInfo.environment["TANDEM_PAIRS"].flatMap(Int.init) ?? 8_000
        var cluster = ClusterConfiguration.small
        cluster.podIPReuseDelaySeconds = 0
        let engine = try Engine(cluster: cluster, log: FaultyLog())
        let threads = 4
        await withTaskGroup(of: Void.self) { tasks in
            for thread in 0..<threads {
                tasks.addTask {
                    var generator = SeededGenerator(seed: UInt64(thread))
                    for pair in 0..<pairs / threads {
                        let container = "c\(thread)-\(pair)"
                        // Some names are other threads' as well.
                        let name = "p\(pair % 5 == 0 ? 0 : thread)-\(pair % 7)"
                        let node = "n\(Int.random(in: 0..<4, using: &generator))"
                        let byName = Int.random(in: 0..<4, using: &generator) == 0
                        let release: Release =
                            byName
                            ? .pod(ObjectMeta(namespace: "default", name: name), nodeName: nil)
                            : .attachment(ReleasedAttachment(containerID: container, ifName: "eth0"))
                        await withCheckedContinuation { continuation in
                            let counter = Counter(left: 2) { continuation.resume() }
                            engine.perform(self.add(container, name, node: node)) { _ in counter.count() }
                            engine.perform(Call(.release, .release(release))) { _ in counter.count() }
                        }
                        if pair % 64 == 0 {
                            let metadata = ObjectMeta(name: node)
                            await self.perform([Call(.release, .release(.node(metadata, force: false)))], engine)
                        }
                    }
                }
            }
        }
        let left = engine.books.pods(after: nil, limit: 10, namespace: nil).items.map(\.key)
        #expect(left == [])
        #expect(engine.poolStatuses().filter { $0.kind == .pod }.allSatisfy { $0.allocated == 0 })
        engine.journal.stop()
    }
}

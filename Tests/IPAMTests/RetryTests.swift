import Addressing
import Dispatch
import FaultyLog
import Ledger
import Synchronization
import TandemAPI
import TestSupport
import Testing

@testable import IPAM

/// Clients that ask again, race one another, or go away; and clocks that jump.
@Suite("Retries and time")
struct RetryTests {
    /// Lets the test decide when a commit goes on.
    private final class GatedLog: Log {
        let inner = FaultyLog()
        let entered = DispatchSemaphore(value: 0)
        let gate = DispatchSemaphore(value: 0)
        func load(_ body: @Sendable (StoredObject) throws -> Void) throws -> UInt64 { try inner.load(body) }
        func replay(_ body: (Proposal) throws -> Bool) throws { try inner.replay(body) }
        func append(_ group: [Proposal]) {
            entered.signal()
            gate.wait()
            inner.append(group)
        }
        func next() -> LogEvent? { inner.next() }
        func noteRefused(_ index: Int) { inner.noteRefused(index) }
        func maintain(isIdle: Bool) throws(LedgerError) -> Bool { false }
        func close() {}
    }

    private let web: JSONValue = [
        "service": ["metadata": ["name": "web"], "spec": ["ipFamilyPolicy": "RequireDualStack"]]
    ]

    @Test(
        "a retry while the first call still waits for its commit gets the answer of that call, and takes nothing more")
    func retriesBeforeTheCommit() async throws {
        let store = GatedLog()
        let harness = try EngineHarness(store)
        let answers = Mutex<[Result<JSONValue, APIError>]>([])
        let all = DispatchSemaphore(value: 0)
        for _ in 0..<5 {
            harness.begin(.allocateServiceIPs, web) { answer in
                answers.withLock { $0.append(answer) }
                all.signal()
            }
        }
        try #require(store.entered.wait(timeout: .now() + 30) == .success)
        #expect(answers.withLock { $0.isEmpty })
        store.gate.signal()
        let areAnswered = await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                continuation.resume(
                    returning: (0..<5).allSatisfy { _ in all.wait(timeout: .now() + 30) == .success })
            }
        }
        // Each commit that no call should ask for would wait here for ever.
        for _ in 0..<5 { store.gate.signal() }
        #expect(areAnswered)
        let results = try answers.withLock { $0 }.map { try $0.get() }
        #expect(Set(results.compactMap { $0["service"]?.text }).count == 1)
        #expect(results.map { $0["replayed"] == true } == [false, true, true, true, true])
        #expect(try await harness.faults() == [])
        harness.stop()
    }

    @Test(
        "a call whose client has gone before its commit leaves the whole allocation, which a retry finds after a restart"
    )
    func retriesAfterTheCommit() async throws {
        let store = GatedLog()
        var harness = try EngineHarness(store)
        harness.begin(.allocateServiceIPs, web) { _ in }
        try #require(store.entered.wait(timeout: .now() + 30) == .success)
        store.gate.signal()
        harness.stop()
        store.gate.signal()
        harness = try EngineHarness(store)
        let answer = try await harness.call(.allocateServiceIPs, web).get()
        #expect(answer["replayed"] == true)
        #expect(answer["service"]?["spec"]?["clusterIPs"]?.arrayValue?.count == 2)
        #expect(try await harness.faults() == [])
        harness.stop()
    }

    @Test(
        "clients that race for one name: one wins, the same request gets the same answer, all others a refusal",
        arguments: seeds)
    func racesForOneName(_ seed: UInt64) async throws {
        let harness = try EngineHarness(FaultyLog())
        for round in 0..<30 {
            let results = await withTaskGroup(of: (Int, Result<JSONValue, APIError>).self) { tasks in
                for client in 0..<8 {
                    tasks.addTask {
                        let policy: JSONValue = client % 2 == 0 ? "SingleStack" : "RequireDualStack"
                        return (
                            client % 2,
                            await harness.call(
                                .allocateServiceIPs,
                                [
                                    "service": [
                                        "metadata": ["name": .string("s\(round)")], "spec": ["ipFamilyPolicy": policy],
                                    ]
                                ])
                        )
                    }
                }
                return await tasks.reduce(into: []) { $0.append($1) }
            }
            let winners = results.compactMap { kind, result in (try? result.get()).map { (kind, $0) } }
            #expect(winners.count == 4)
            #expect(Set(winners.map(\.0)).count == 1)
            #expect(Set(winners.compactMap { $0.1["service"]?.text }).count == 1)
            #expect(winners.count { $0.1["replayed"] != true } == 1)
            for (_, result) in results {
                if case .failure(let error) = result { #expect(error.status == .alreadyExists) }
            }
            #expect(try await harness.faults() == [])
            _ = await harness.call(.release, ["service": ["metadata": ["name": .string("s\(round)")]]])
        }
        harness.stop()
    }

    @Test("a clock that jumps, either way, changes the shown time of creation, and nothing else")
    func survivesClockJumps() async throws {
        let store = FaultyLog()
        let times = [
            (1_700_000_000, "2023-11-14T22:13:20Z"), (4_000_000_000, "2096-10-02T07:06:40Z"),
            (0, "1970-01-01T00:00:00Z"),
            // Before 1970 the first second there is.
            (1_500_000_000, "2017-07-14T02:40:00Z"), (-5, "1970-01-01T00:00:00Z"),
        ]
        var versions: [Int] = []
        for (round, (time, text)) in times.enumerated() {
            let environment = Environment(random: Environment.system.random, now: { time })
            let engine = try Engine(cluster: .small, log: store, environment: environment)
            let harness = EngineHarness(engine)
            let created = try await harness.call(
                .allocateServiceIPs, ["service": ["metadata": ["name": .string("s\(round)")], "spec": [:]]]
            ).get()
            let pod = try await harness.call(
                .allocatePodIPs, ["pod": ["metadata": ["name": .string("p\(round)")], "spec": ["nodeName": "n"]]]
            ).get()
            for object in [created["service"], pod["pod"]] {
                #expect(object?["metadata"]?["creationTimestamp"]?.stringValue == text)
                versions.append(object?["metadata"]?["resourceVersion"]?.stringValue.flatMap { Int($0) } ?? 0)
            }
            for earlier in 0..<round {
                let again = try await harness.call(
                    .allocateServiceIPs, ["service": ["metadata": ["name": .string("s\(earlier)")], "spec": [:]]]
                ).get()
                #expect(again["replayed"] == true)
            }
            #expect(try await harness.faults() == [])
            harness.stop()
        }
        #expect(versions == versions.sorted() && Set(versions).count == versions.count)
    }
}

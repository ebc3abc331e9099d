import EngineSupport
import FaultyLog
import Ledger
import Synchronization
import TandemAPI
import TestSupport
import Testing

@testable import IPAM

/// How much one client may have stored, so that others have room.
@Suite("Quotas")
struct QuotaTests {
    private func harness(
        _ quotas: Quotas = Quotas(), log: any Log = FaultyLog(), environment: Environment = .system,
        stepsByHand: Bool = false
    ) throws -> EngineHarness {
        EngineHarness(
            try Engine(
                cluster: .small, log: log, quotas: quotas, environment: environment, stepsByHand: stepsByHand))
    }

    private func pod(_ index: Int, families: String = #"["IPv6"]"#, others: String = "") throws -> JSONValue {
        try JSONValue(
            parsing:
                #"{"pod":{"metadata":{"name":"p\#(index)","uid":"u\#(index)"\#(others)},"spec":{"nodeName":"n1"}},"ipFamilies":\#(families)}"#
        )
    }

    private func service(_ name: String, namespace: String = "shop", annotation bytes: Int = 0) throws -> JSONValue {
        let text = String(repeating: "x", count: bytes)
        return try JSONValue(
            parsing:
                #"{"service":{"metadata":{"name":"\#(name)","namespace":"\#(namespace)","annotations":{"a":"\#(text)"}}}}"#
        )
    }

    @Test("a node has as many pods as its IPv4 pod CIDR holds addresses, where the flag says nothing")
    func countsPods() async throws {
        let harness = try harness()
        // 10.244.0.0/28 has 13 addresses for pods.
        for index in 0..<13 { _ = try await harness.call(.allocatePodIPs, try pod(index)).get() }
        let refusal = try #require(await harness.call(.allocatePodIPs, try pod(13)).error)
        #expect(refusal.status == .resourceExhausted && refusal.reason == "TooManyPods")
        #expect(refusal.message.contains(#"node "n1" has 13 pods, as many as its IPv4 pod CIDR holds"#))
        // One that is there is answered again, and one that has an IPv4 address is one of the 13 by itself.
        _ = try await harness.call(.allocatePodIPs, try pod(12)).get()
        _ = try await harness.call(.allocatePodIPs, try pod(14, families: #"["IPv4","IPv6"]"#)).get()
        _ = try await harness.call(
            .release, try JSONValue(parsing: #"{"pod":{"metadata":{"name":"p0"}}}"#)
        ).get()
        _ = try await harness.call(
            .release, try JSONValue(parsing: #"{"pod":{"metadata":{"name":"p1"}}}"#)
        ).get()
        _ = try await harness.call(.allocatePodIPs, try pod(13)).get()
        #expect((await harness.call(.allocatePodIPs, try pod(15))).error?.reason == "TooManyPods")
        #expect(try await harness.faults().isEmpty)
        harness.stop()
    }

    @Test("calls at once do not pass --max-pods-per-node together; failed calls and dry runs make no difference")
    func countsArrivals() throws {
        let log = FaultyLog { $0 == 1 ? .notCommitted : nil }
        let harness = try harness(Quotas(podsPerNode: 3), log: log, stepsByHand: true)
        let engine = harness.engine
        let answers = Noted<String>()
        func begin(_ index: Int, dryRun: Bool = false) throws {
            var params = try pod(index, families: #"["IPv4","IPv6"]"#)
            if dryRun { params["dryRun"] = true }
            harness.begin(.allocatePodIPs, params) { result in answers.add(result.error?.reason ?? "OK") }
        }
        try begin(0)
        while engine.journal.step() {}
        for index in 1..<6 { try begin(index) }
        #expect(answers.all == ["OK", "TooManyPods", "TooManyPods", "TooManyPods"])
        while engine.journal.step() {}
        #expect(answers.all.suffix(2) == ["StorageUnavailable", "StorageUnavailable"])
        for _ in 0..<4 { try begin(9, dryRun: true) }
        #expect(answers.all.suffix(4) == ["OK", "OK", "OK", "OK"])
        for index in 1..<4 { try begin(index) }
        while engine.journal.step() {}
        #expect(answers.all.suffix(3) == ["TooManyPods", "OK", "OK"])
        #expect(engine.books.nodes["n1"]?.podCount == 3)
        harness.stop()
    }

    @Test("an object as stored has at most --max-object-bytes; a larger one that is stored may shrink, not grow")
    func limitsObjects() async throws {
        let disk = FaultyLog.Disk()
        var harness = try harness(Quotas(objectBytes: 8_192), log: FaultyLog(disk: disk))
        _ = try await harness.call(.allocateServiceIPs, try service("large", annotation: 6_000)).get()
        for (method, params) in [
            (TandemAPI.Method.allocateServiceIPs, try service("web", annotation: 9_000)),
            (.updateServiceIPs, try service("large", annotation: 9_000)),
            (
                .allocatePodIPs,
                try pod(1, others: #","annotations":{"a":"\#(String(repeating: "x", count: 9_000))"}"#)
            ),
            (
                .allocateNodeCIDRs,
                try JSONValue(
                    parsing:
                        #"{"node":{"metadata":{"name":"n2","labels":{"a":"\#(String(repeating: "x", count: 9_000))"}}}}"#
                )
            ),
        ] {
            let error = try #require(await harness.call(method, params).error, "\(method)")
            #expect(error.status == .resourceExhausted && error.reason == "ObjectTooLarge")
            #expect(error.message.contains("--max-object-bytes lets it have 8192"), "\(error.message)")
            #expect(!error.isRetryable)
        }
        // Nothing of them is left: neither address nor CIDR.
        #expect(try await harness.faults().isEmpty)
        #expect(harness.engine.books.nodes["n2"] == nil && harness.engine.books.nodes["n1"] == nil)
        harness.stop()
        harness = try self.harness(Quotas(objectBytes: 1_024), log: FaultyLog(disk: disk))
        for (bytes, isTaken) in [(6_001, false), (5_000, true), (5_001, false), (10, true), (2_000, false)] {
            let result = await harness.call(.updateServiceIPs, try service("large", annotation: bytes))
            #expect(result.error?.reason == (isTaken ? nil : "ObjectTooLarge"), "\(bytes)")
        }
        harness.stop()
    }

    @Test("a namespace has at most --max-objects-per-namespace Services, those on their way among them")
    func limitsNamespaces() async throws {
        let harness = try harness(Quotas(servicesPerNamespace: 2), stepsByHand: true)
        let answers = Noted<String>()
        for name in ["a", "b", "c"] {
            harness.begin(.allocateServiceIPs, try service(name)) { answers.add($0.error?.reason ?? "OK") }
        }
        #expect(answers.all == ["TooManyObjects"])
        while harness.engine.journal.step() {}
        #expect(answers.all == ["TooManyObjects", "OK", "OK"])
        func reason(_ method: TandemAPI.Method, _ params: JSONValue) -> String? {
            harness.begin(method, params) { answers.add($0.error?.reason ?? "OK") }
            while harness.engine.journal.step() {}
            return answers.all.last
        }
        // Names that begin like it are other namespaces; stored objects can be changed and asked for again.
        #expect(reason(.allocateServiceIPs, try service("a", namespace: "shop-2")) == "OK")
        #expect(reason(.allocateServiceIPs, try service("a", namespace: "sho")) == "OK")
        #expect(reason(.allocateServiceIPs, try service("b")) == "OK")
        #expect(reason(.updateServiceIPs, try service("b", annotation: 10)) == "OK")
        #expect(reason(.allocateServiceIPs, try service("c")) == "TooManyObjects")
        let gone = try JSONValue(parsing: #"{"service":{"metadata":{"name":"a","namespace":"shop"}}}"#)
        #expect(reason(.release, gone) == "OK")
        #expect(reason(.allocateServiceIPs, try service("c")) == "OK")
        #expect(reason(.allocateServiceIPs, try service("d")) == "TooManyObjects")
        harness.stop()
    }

    @Test("while memory is short no object is added; existing ones are served, changed to less and released")
    func refusesPastMemory() async throws {
        let shortage = Mutex<MemoryShortage?>(nil)
        var environment = Environment.system
        environment.memoryShortage = { shortage.withLock { $0 } }
        let harness = try harness(environment: environment)
        _ = try await harness.call(.allocateServiceIPs, try service("web", annotation: 100)).get()
        _ = try await harness.call(.allocatePodIPs, try pod(1)).get()
        shortage.withLock { $0 = MemoryShortage(used: 300 << 20, limit: 200 << 20) }
        for (method, params) in [
            (TandemAPI.Method.allocateServiceIPs, try service("more")), (.allocatePodIPs, try pod(2)),
            (.updateServiceIPs, try service("web", annotation: 101)),
            (.allocateNodeCIDRs, try JSONValue(parsing: #"{"node":{"metadata":{"name":"n2"}}}"#)),
        ] {
            let error = try #require(await harness.call(method, params).error, "\(method)")
            #expect(error.status == .resourceExhausted && error.reason == "MemoryLimit" && error.isRetryable)
            #expect(error.message.contains("300 MiB of memory, more than the 200 MiB"))
        }
        _ = try await harness.call(.allocateServiceIPs, try service("web", annotation: 100)).get()
        _ = try await harness.call(.updateServiceIPs, try service("web", annotation: 99)).get()
        _ = try await harness.call(.getService, try service("web")).get()
        _ = try await harness.call(.release, try JSONValue(parsing: #"{"pod":{"metadata":{"name":"p1"}}}"#)).get()
        #expect(try await harness.faults().isEmpty)
        shortage.withLock { $0 = nil }
        _ = try await harness.call(.allocatePodIPs, try pod(2)).get()
        harness.stop()
    }

    @Test("names of a prefix are counted as they are listed", arguments: seeds)
    func countsPrefixes(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let objects = NamedObjects<NamedValue>()
        var twin: Set<String> = []
        let namespaces = ["a", "a-b", "aa", "b", "ab", "é", "0"]
        for step in 0..<3_000 {
            let name =
                "\(namespaces[Int.random(in: 0..<7, using: &random)])/n\(Int.random(in: 0..<400, using: &random))"
            if Int.random(in: 0..<3, using: &random) == 0 {
                objects[name] = nil
                twin.remove(name)
            } else {
                objects[name] = NamedValue(name, step)
                twin.insert(name)
            }
            guard step % 50 == 0 else { continue }
            for namespace in namespaces {
                let prefix = "\(namespace)/"
                #expect(objects.count(prefix: prefix) == twin.count { $0.hasPrefix(prefix) })
            }
        }
    }
}

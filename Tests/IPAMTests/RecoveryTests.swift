import Addressing
import Ledger
import TandemAPI
import TestSupport
import Testing

@testable import IPAM

@Suite("What a start refuses and what it finds again")
struct RecoveryTests {
    private func put(_ kind: ObjectKind, _ key: String, _ version: UInt64, _ document: JSONValue, _ held: [Holding])
        -> LedgerTransaction
    {
        LedgerTransaction(records: [
            LedgerRecord(
                kind: kind, key: key, version: version,
                change: .put(document: document.text.bytes, context: [], holdings: held))
        ])
    }

    private func service(_ name: String, _ version: UInt64, _ address: String) -> LedgerTransaction {
        put(
            .service, "default/\(name)", version, ["metadata": ["namespace": "default", "name": .string(name)]],
            [Holding(pool: .serviceIP, address: IPAddress(address)!)])
    }

    private func node(_ name: String, _ version: UInt64, _ cidr: String) -> LedgerTransaction {
        put(.node, name, version, ["metadata": ["name": .string(name)]], [Holding(pool: .nodeCIDR, range: CIDR(cidr)!)])
    }

    private func pod(_ container: String, _ version: UInt64, node: String, _ address: String) -> LedgerTransaction {
        put(
            .pod, "container/\(container)/eth0", version,
            ["metadata": ["namespace": "default", "name": .string(container)], "spec": ["nodeName": .string(node)]],
            [Holding(pool: .podIP, address: IPAddress(address)!)])
    }

    /// Why an engine does not start on these: the first `folded` of them in the tables, the others in the journal.
    private func refusal(_ transactions: [LedgerTransaction], folded: Int) throws -> String? {
        let directory = ScratchDirectory()
        let store = try SQLiteLedger(directory: directory.path)
        defer { store.close() }
        for transaction in transactions[..<folded] { _ = try store.commit([transaction]) }
        while try store.maintain(isIdle: true) {}
        for transaction in transactions[folded...] { _ = try store.commit([transaction]) }
        let error = #expect(throws: RecoveryFault.self) { try Engine(cluster: .small, store: store) }
        return error?.description
    }

    @Test("two owners of one address, wherever they are stored", arguments: 0...4)
    func refusesTwoOwners(_ folded: Int) throws {
        let nodes = [node("n1", 1, "10.244.0.0/28"), node("n2", 2, "10.244.0.16/28")]
        for (first, second, range) in [
            (service("a", 3, "10.96.0.7"), service("b", 4, "10.96.0.7"), "10.96.0.7"),
            // Of a range that is no longer configured.
            (service("a", 3, "10.97.0.7"), service("b", 4, "10.97.0.7"), "10.97.0.7"),
            (node("a", 3, "10.244.0.32/28"), node("b", 4, "10.244.0.32/28"), "10.244.0.32/28"),
            (node("a", 3, "10.99.0.32/28"), node("b", 4, "10.99.0.32/28"), "10.99.0.32/28"),
            (pod("a", 3, node: "n1", "10.244.0.7"), pod("b", 4, node: "n1", "10.244.0.7"), "10.244.0.7"),
        ] {
            let refusal = try #require(try refusal(nodes + [first, second], folded: folded))
            #expect(refusal.contains("holds \(range), which "), "\(refusal)")
            #expect(refusal.contains("a") && refusal.contains("b"))
        }
    }

    @Test("a pod with an address that is not its node's, or without its node")
    func refusesStrayPods() throws {
        let nodes = [node("n1", 1, "10.244.0.0/28"), node("n2", 2, "10.244.0.16/28")]
        let stray = try refusal(nodes + [pod("a", 3, node: "n2", "10.244.0.7")], folded: 3)
        #expect(stray?.contains("10.244.0.7") == true && stray?.contains("container/a/eth0") == true)
        let lost = try refusal(nodes + [pod("a", 3, node: "n3", "10.244.0.7")], folded: 2)
        #expect(lost?.contains("n3") == true)
    }

    /// Held to the slow, obvious way: what the calls answered before the start.
    @Test("every object is found again as it was, in tables and journal, over several starts", arguments: seeds)
    func findsAllAgain(_ seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        let directory = ScratchDirectory()
        let cluster = ClusterConfiguration(
            serviceRanges: [CIDR("10.96.0.0/20")!, CIDR("fd00:10:96::/112")!],
            clusterCIDRs: [CIDR("10.244.0.0/16")!, CIDR("fd00:10:244::/56")!])
        var pods: [String: JSONValue] = [:]
        for round in 0..<4 {
            let harness = try EngineHarness(SQLiteLedger(directory: directory.path), cluster)
            #expect(try await harness.faults() == [], "seed \(seed)")
            let listed = try await harness.items(.listPods)
            #expect(listed.count == pods.count)
            for pod in listed { #expect(pod == pods[pod["metadata"]?["uid"]?.stringValue ?? ""]) }
            for index in 0..<150 {
                let container = "c\(round)-\(index)"
                var metadata: JSONValue = ["name": .string("p\(index % 50)")]
                if Bool.random(using: &generator) { metadata["labels"] = ["app": "w\"eb"] }
                let params: JSONValue = [
                    "pod": ["metadata": metadata, "spec": ["nodeName": .string("n\(index % 7)")]],
                    "attachment": ["containerID": .string(container)],
                ]
                let pod = try #require(try await harness.call(.allocatePodIPs, params).get()["pod"])
                pods[pod["metadata"]?["uid"]?.stringValue ?? ""] = pod
                guard Int.random(in: 0..<3, using: &generator) == 0 else { continue }
                _ = try await harness.call(.release, ["attachment": ["containerID": .string(container)]]).get()
                pods[pod["metadata"]?["uid"]?.stringValue ?? ""] = nil
            }
            harness.stop()
        }
    }
}

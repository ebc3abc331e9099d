import Addressing
import FaultyLog
import Ledger
import TandemAPI
import TestSupport
import Testing

@testable import IPAM

@Suite("Starts: refusals, and recovered state")
struct RecoveryTests {
    private func put(_ kind: RecordKind, _ key: String, _ document: JSONValue, _ held: [Holding]) -> Proposal {
        Proposal([.put(ObjectKey(kind, key), StoredForm(document: document.text.bytes, holdings: held))])
    }

    private func service(_ name: String, _ address: String) -> Proposal {
        put(
            .service, "default/\(name)", ["metadata": ["namespace": "default", "name": .string(name)]],
            [Holding(pool: .serviceIP, address: IPAddress(address)!)])
    }

    private func node(_ name: String, _ cidr: String) -> Proposal {
        put(.node, name, ["metadata": ["name": .string(name)]], [Holding(pool: .nodeCIDR, range: CIDR(cidr)!)])
    }

    private func pod(_ container: String, node: String, _ address: String) -> Proposal {
        put(
            .pod, "@\(node)/container/\(container)/eth0",
            ["metadata": ["namespace": "default", "name": .string(container)], "spec": ["nodeName": .string(node)]],
            [Holding(pool: .podIP, address: IPAddress(address)!)])
    }

    /// An engine on these, all of them in the tables, whatever the rules say.
    private func start(_ proposals: [Proposal], _ cluster: ClusterConfiguration = .small) throws -> Engine {
        let log = FaultyLog()
        for proposal in proposals {
            log.append([proposal])
            _ = log.next()
        }
        log.fold()
        return try Engine(cluster: cluster, log: log)
    }

    private func refusal(_ proposals: [Proposal]) -> String? {
        #expect(throws: StartFault.self) { try start(proposals) }?.description
    }

    @Test("two owners of one address, wherever it comes from")
    func refusesTwoOwners() throws {
        let nodes = [
            node("n1", "10.244.0.0/28"), node("n2", "10.244.0.16/28"), node("wide", "10.245.0.0/16"),
            node("narrow", "10.245.7.0/24"),
        ]
        for (first, second, range) in [
            (service("a", "10.96.0.7"), service("b", "10.96.0.7"), "10.96.0.7"),
            // Of a range that is no longer configured.
            (service("a", "10.97.0.7"), service("b", "10.97.0.7"), "10.97.0.7"),
            (node("a", "10.244.0.32/28"), node("b", "10.244.0.32/28"), "10.244.0.32/28"),
            (node("a", "10.99.0.32/28"), node("b", "10.99.0.32/28"), "10.99.0.32/28"),
            (pod("a", node: "n1", "10.244.0.7"), pod("b", node: "n1", "10.244.0.7"), "10.244.0.7"),
            (service("a", "10.244.0.7"), pod("b", node: "n1", "10.244.0.7"), "10.244.0.7"),
            (pod("a", node: "wide", "10.245.7.7"), pod("b", node: "narrow", "10.245.7.7"), "10.245.7.7"),
        ] {
            let refusal = try #require(self.refusal(nodes + [first, second]))
            #expect(refusal.contains("holds \(range), which "), "\(refusal)")
            #expect(refusal.contains("a") && refusal.contains("b"))
        }
    }

    @Test("a pod with an address that is not its node's, or without its node")
    func refusesStrayPods() {
        let nodes = [node("n1", "10.244.0.0/28"), node("n2", "10.244.0.16/28")]
        let stray = refusal(nodes + [pod("a", node: "n2", "10.244.0.7")])
        #expect(stray?.contains("10.244.0.7") == true && stray?.contains("container/a/eth0") == true)
        let lost = refusal(nodes + [pod("a", node: "n3", "10.244.0.7")])
        #expect(lost?.contains("n3") == true)
    }

    /// Tested against the slow, obvious twin: the answers to the calls before the start.
    @Test("every object is found again as it was, in tables and journal, over several starts", arguments: seeds)
    func findsAllAgain(_ seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        let directory = ScratchDirectory()
        let cluster = ClusterConfiguration(
            serviceRanges: [CIDR("10.96.0.0/20")!, CIDR("fd00:10:96::/112")!],
            clusterCIDRs: [CIDR("10.244.0.0/16")!, CIDR("fd00:10:244::/56")!])
        var pods: [String: JSONValue] = [:]
        for round in 0..<4 {
            let harness = try EngineHarness(SQLiteLog(directory: directory.path), cluster)
            #expect(try await harness.faults() == [], "seed \(seed)")
            let listed = try await harness.items(.listPods)
            #expect(listed.count == pods.count)
            for var pod in listed {
                #expect(pod["attachment"]?["ifName"] == "eth0")
                pod["attachment"] = nil
                #expect(pod == pods[pod["metadata"]?["uid"]?.stringValue ?? ""])
            }
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

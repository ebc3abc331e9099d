import Addressing
import FaultyLog
import Ledger
import TandemAPI
import TestSupport
import Testing

@testable import IPAM

@Suite("Node CIDRs")
struct NodeRangeTests {
    @Test("nodes without an address left are counted as their pods come and go, and over a restart")
    func countsFullNodes() async throws {
        let store = FaultyLog()
        var harness = try EngineHarness(store)
        func pod(_ index: Int) -> JSONValue {
            ["pod": ["metadata": ["name": .string("p\(index)")], "spec": ["nodeName": "n1"]]]
        }
        for index in 0..<13 {
            #expect(harness.engine.fullNodes(.ipv4) == 0)
            _ = try await harness.call(.allocatePodIPs, pod(index)).get()
        }
        #expect(harness.engine.fullNodes(.ipv4) == 1 && harness.engine.fullNodes(.ipv6) == 0)
        #expect(harness.engine.podUsage.map(\.allocated) == [13, 13])
        harness.stop()
        harness = try EngineHarness(store)
        #expect(harness.engine.fullNodes(.ipv4) == 1 && harness.engine.podUsage.map(\.allocated) == [13, 13])
        _ = try await harness.call(.release, pod(4)).get()
        #expect(harness.engine.fullNodes(.ipv4) == 0 && harness.engine.podUsage.map(\.allocated) == [12, 12])
        _ = try await harness.call(.allocatePodIPs, pod(4)).get()
        _ = try await harness.call(.release, ["node": ["metadata": ["name": "n1"]], "force": true]).get()
        #expect(harness.engine.fullNodes(.ipv4) == 0 && harness.engine.podUsage.map(\.allocated) == [0, 0])
        #expect(harness.engine.podUsage.allSatisfy { $0.capacity == 0 })
        harness.stop()
    }

    @Test("a CIDR that a node asks for and does not get is named, beside its present ones")
    func saysWhatItDoesNotGive() async throws {
        let harness = try EngineHarness(FaultyLog())
        func ask(_ cidr: String) async -> Result<JSONValue, APIError> {
            await harness.call(
                .allocateNodeCIDRs,
                [
                    "node": [
                        "metadata": ["name": "n1"], "spec": ["podCIDR": .string(cidr), "podCIDRs": [.string(cidr)]],
                    ]
                ])
        }
        _ = try await ask("10.244.0.16/28").get()
        guard case .failure(let error) = await ask("10.244.0.32/28") else {
            Issue.record("a node was given a second CIDR of a family")
            return
        }
        #expect(error.status == .alreadyExists)
        #expect(error.message.contains("has 10.244.0.16/28, fd00:10:244::/64, and does not get 10.244.0.32/28"))
        harness.stop()
    }

    private let directory = ScratchDirectory()

    private func start(_ cluster: ClusterConfiguration) throws -> EngineHarness {
        try EngineHarness(SQLiteLog(directory: directory.path), cluster)
    }

    private func add(_ harness: EngineHarness, _ name: String) async throws -> [String] {
        let answer = try await harness.call(.allocateNodeCIDRs, ["node": ["metadata": ["name": .string(name)]]]).get()
        return (answer["node"]?["spec"]?["podCIDRs"]?.arrayValue ?? []).compactMap(\.stringValue)
    }

    private func addPod(_ harness: EngineHarness, on node: String) async throws -> [String] {
        let answer = try await harness.call(
            .allocatePodIPs,
            ["pod": ["metadata": ["name": .string("pod-\(node)")], "spec": ["nodeName": .string(node)]]]
        ).get()
        return (answer["pod"]?["status"]?["podIPs"]?.arrayValue ?? []).compactMap { $0["ip"]?.stringValue }
    }

    @Test("a CIDR that is given again out of cooling counts as given")
    func countsCIDRsOutOfCooling() async throws {
        var cluster = ClusterConfiguration.small
        cluster.podIPReuseDelaySeconds = 60
        let harness = try start(cluster)
        let range = cluster.clusterCIDRs[0]
        let first = try await add(harness, "n1")
        _ = try await addPod(harness, on: "n1")
        _ = try await harness.call(.release, ["node": ["metadata": ["name": "n1"]], "force": true]).get()
        for index in 2...4 { _ = try await add(harness, "n\(index)") }
        #expect(harness.engine.allocations.nodeCIDRs(range, .allocated) == 4)
        #expect(try await add(harness, "n5").first == first.first)
        #expect(harness.engine.allocations.nodeCIDRs(range, .allocated) == 5)
        #expect(harness.engine.allocations.nodeCIDRs(range, .released) == 1)
        harness.stop()
    }

    @Test("every subnet is given once, the ends too, and exhaustion names the family and its range")
    func areExhausted() async throws {
        let harness = try start(.small)
        defer { harness.stop() }
        var given: [[String]] = []
        for index in 0..<4 { given.append(try await add(harness, "n\(index)")) }
        #expect(Set(given.map { $0[0] }) == ["10.244.0.0/28", "10.244.0.16/28", "10.244.0.32/28", "10.244.0.48/28"])
        #expect(
            Set(given.map { $0[1] })
                == ["fd00:10:244::/64", "fd00:10:244:1::/64", "fd00:10:244:2::/64", "fd00:10:244:3::/64"])
        let full = await harness.call(.allocateNodeCIDRs, ["node": ["metadata": ["name": "n4"]]]).error
        #expect(full?.status == .resourceExhausted && full?.reason == "RangeFull")
        #expect(full?.fullRange == AddressRange("10.244.0.0/26"))
        #expect(full?.message.contains("IPv4") == true)
    }

    @Test("nothing limits the bits between the cluster's and a node's mask", arguments: [(8, 30), (16, 24), (12, 30)])
    func haveAnyMask(_ cluster: Int, _ node: Int) async throws {
        let cluster = ClusterConfiguration(
            serviceRanges: [CIDR("192.168.0.0/24")!],
            clusterCIDRs: [
                CIDR(containing: IPAddress("10.0.0.0")!, prefixLength: cluster), CIDR("fd00::/16")!,
            ], nodeMaskSizeIPv4: node, nodeMaskSizeIPv6: 120)
        let harness = try start(cluster)
        defer { harness.stop() }
        let last = cluster.clusterCIDRs.map { CIDR(containing: $0.last, prefixLength: cluster.nodeMaskSize($0.family)) }
        let node: JSONValue = [
            "metadata": ["name": "last"], "spec": ["podCIDRs": .array(last.map { .string($0.description) })],
        ]
        _ = try await harness.call(.allocateNodeCIDRs, ["node": node]).get()
        #expect(try await add(harness, "first") == ["10.0.0.0/\(cluster.nodeMaskSizeIPv4)", "fd00::/120"])
        #expect(try await harness.faults() == [])
    }

    @Test("a node that was released while it had pods gets no CIDR that another has, nor its pods' addresses back")
    func areNeverShared() async throws {
        let harness = try start(.small)
        defer { harness.stop() }
        let before = try await add(harness, "n1")
        _ = try await addPod(harness, on: "n1")
        #expect(
            (await harness.call(.release, ["node": ["metadata": ["name": "n1"]]])).error?.status == .failedPrecondition)
        #expect(try await add(harness, "n1") == before)
        _ = try await harness.call(.release, ["node": ["metadata": ["name": "n1"]], "force": true]).get()
        #expect(try await harness.items(.listPods).isEmpty)
        #expect(try await add(harness, "n1") != before)
        #expect(try await harness.faults() == [])
    }

    @Test("--cluster-cidr grows over a restart, in any order: old nodes keep theirs, new ones find room, all are found")
    func grow() async throws {
        var harness = try start(.small)
        var before: [[String]] = []
        for index in 0..<4 { before.append(try await add(harness, "n\(index)")) }
        let pod = try await addPod(harness, on: "n2")
        harness.stop()

        var cluster = ClusterConfiguration.small
        let more = [CIDR("fd00:20:244::/63")!, CIDR("10.245.0.0/27")!]
        cluster.clusterCIDRs = [more[0]] + cluster.clusterCIDRs + [more[1]]
        #expect(cluster.faults.isEmpty)
        #expect(cluster.podFamilies == [.ipv6, .ipv4])
        harness = try start(cluster)
        for index in 0..<4 { #expect(try await add(harness, "n\(index)") == before[index]) }
        #expect(try await add(harness, "new") == ["fd00:20:244::/64", "10.245.0.0/28"])
        #expect(try await addPod(harness, on: "new") == ["fd00:20:244::2", "10.245.0.2"])
        let asked: JSONValue = [
            "metadata": ["name": "asked"], "spec": ["podCIDRs": ["10.245.0.16/28", "fd00:20:244:1::/64"]],
        ]
        _ = try await harness.call(.allocateNodeCIDRs, ["node": asked]).get()
        let full = await harness.call(.allocateNodeCIDRs, ["node": ["metadata": ["name": "none"]]]).error
        #expect(full?.reason == "RangeFull" && full?.fullRange?.family == .ipv6)
        #expect(
            harness.engine.poolStatuses().filter { $0.kind == .nodeCIDR }.map(\.name)
                == ["nodes-ipv6", "nodes-ipv4", "nodes-ipv6-2", "nodes-ipv4-2"])
        for address in pod { #expect(harness.engine.lookup(IPAddress(address)!).state == .allocated) }
        #expect(try await harness.faults() == [])
        harness.stop()
    }

    @Test("ranges of one flag that overlap are refused")
    func areApart() {
        var cluster = ClusterConfiguration.small
        cluster.clusterCIDRs.append(CIDR("10.244.0.0/16")!)
        #expect(cluster.faults.first?.description.contains("10.244.0.0/16 overlaps 10.244.0.0/26") == true)
    }
}

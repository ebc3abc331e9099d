import Addressing
import FaultyLog
import TandemAPI
import TestSupport
import Testing

@testable import IPAM

/// Pools by blocks, and CIDRs by holders, tested against a look at each address.
@Suite("Maps of pools, and holders by CIDR")
struct PoolMapTests {
    private static var cluster: ClusterConfiguration {
        var cluster = ClusterConfiguration(
            serviceRanges: [CIDR("10.96.0.0/26")!, CIDR("fd00:10:96::/120")!],
            clusterCIDRs: [CIDR("10.244.0.0/24")!, CIDR("fd00:10:244::/118")!],
            loadBalancerRanges: [AddressRange("192.0.2.5-192.0.2.92")!, AddressRange("2001:db8::/124")!],
            nodeMaskSizeIPv4: 28, nodeMaskSizeIPv6: 122, podIPReuseDelaySeconds: 600)
        cluster.nodePortRange = 30000...30099
        return cluster
    }

    /// Services, nodes and pods of a seed, some of them gone again.
    private static func harness(_ seed: UInt64) async throws -> EngineHarness {
        let harness = try EngineHarness(FaultyLog(), cluster)
        var random = SeededGenerator(seed: seed)
        for index in 0..<25 {
            let type = ["ClusterIP", "NodePort", "LoadBalancer"][Int.random(in: 0..<3, using: &random)]
            var spec: JSONValue = ["type": .string(type), "ipFamilyPolicy": "PreferDualStack"]
            if type != "ClusterIP" { spec["ports"] = [["port": 80]] }
            _ = await harness.call(
                .allocateServiceIPs, ["service": ["metadata": ["name": .string("s\(index)")], "spec": spec]])
        }
        for index in 0..<60 {
            let pod: JSONValue = [
                "metadata": ["name": .string("p\(index)")],
                "spec": ["nodeName": .string("n\(Int.random(in: 0..<8, using: &random))")],
            ]
            _ = await harness.call(.allocatePodIPs, ["pod": pod])
        }
        for index in 0..<60 where Int.random(in: 0..<3, using: &random) == 0 {
            _ = await harness.call(.release, ["pod": ["metadata": ["name": .string("p\(index)")]]])
        }
        for index in 0..<2 {
            _ = await harness.call(
                .release, ["node": ["metadata": ["name": .string("n\(index)")]], "force": true])
        }
        return harness
    }

    private static func count(_ block: JSONValue, _ name: String) -> Int {
        block[name]?.stringValue.flatMap { Int($0) } ?? -1
    }

    private static let states = ["allocated", "coolingDown", "reserved", "free"]

    @Test("each block has the counts of its single addresses", arguments: 0..<4 as Range<UInt64>)
    func mapsAddresses(_ seed: UInt64) async throws {
        let harness = try await Self.harness(seed)
        let pools = try await harness.call(.getPools, [:]).get()["pools"]?.arrayValue ?? []
        #expect(pools.count > 10)
        for pool in pools where pool["kind"] != "NodeCIDR" && pool["kind"] != "NodePort" {
            let name = try #require(pool["name"]?.stringValue)
            let range = try #require(pool["cidr"]?.stringValue.flatMap { AddressRange($0) })
            for blocks in [1, 2, 3, 7, 16, 255, 4096] {
                let map = try await harness.call(
                    .getPoolMap, ["pool": .string(name), "blocks": .number("\(blocks)")]
                ).get()
                let shown = map["blocks"]?.arrayValue ?? []
                #expect(!shown.isEmpty && shown.count <= blocks, "\(name)")
                let size = try #require(map["blockSize"]?.stringValue.flatMap { UInt128($0) })
                // The fewest addresses a block with which there are so few.
                #expect(size == 1 || range.last.bits / (size / 2) - range.first.bits / (size / 2) >= UInt128(blocks))
                var expected: [[String: Int]] = []
                var first = range.first.bits
                while true {
                    let end = min(first / size * size + (size - 1), range.last.bits)
                    var counts = Dictionary(uniqueKeysWithValues: Self.states.map { ($0, 0) })
                    for bits in first...end {
                        let status = harness.engine.lookup(IPAddress(family: range.family, bits: bits))
                        counts[status.state.rawValue, default: 0] += 1
                    }
                    expected.append(counts)
                    guard end < range.last.bits else { break }
                    first = end + 1
                }
                let found = shown.map { block in
                    Dictionary(uniqueKeysWithValues: Self.states.map { ($0, Self.count(block, $0)) })
                }
                #expect(found == expected, "\(name) by \(blocks)")
                #expect(shown.first?["first"] == .string(range.first.description))
            }
        }
        harness.stop()
    }

    @Test("the blocks of node CIDRs and of node ports add up to their pool", arguments: 0..<4 as Range<UInt64>)
    func mapsSubnetsAndPorts(_ seed: UInt64) async throws {
        let harness = try await Self.harness(seed)
        let pools = try await harness.call(.getPools, [:]).get()["pools"]?.arrayValue ?? []
        for pool in pools where pool["kind"] == "NodeCIDR" || pool["kind"] == "NodePort" {
            let name = try #require(pool["name"])
            for blocks in [1, 3, 5, 16, 4096] {
                let map = try await harness.call(.getPoolMap, ["pool": name, "blocks": .number("\(blocks)")]).get()
                let shown = map["blocks"]?.arrayValue ?? []
                #expect(!shown.isEmpty && shown.count <= blocks)
                func sum(_ state: String) -> Int { shown.reduce(0) { $0 + Self.count($1, state) } }
                #expect(sum("allocated") == Self.count(pool, "allocated"), "\(name) by \(blocks)")
                #expect(sum("coolingDown") == Self.count(pool, "coolingDown"), "\(name) by \(blocks)")
                #expect(sum("reserved") == 0)
                #expect(
                    sum("allocated") + sum("coolingDown") + sum("free") == Self.count(pool, "capacity"),
                    "\(name) by \(blocks)")
                #expect(
                    shown.first?["first"]
                        == .string(
                            name == "nodeports" ? "30000" : name == "nodes-ipv4" ? "10.244.0.0/28" : "fd00:10:244::/122"
                        ))
            }
        }
        harness.stop()
    }

    @Test("a pool that is not there is told; a range of 2^64 addresses is mapped as quickly as one of few")
    func mapsAnySize() async throws {
        let harness = try await Self.harness(0)
        let refusal = (await harness.call(.getPoolMap, ["pool": "pods-n99-ipv4"])).error
        #expect(refusal?.status == .notFound && refusal?.message.contains("GetPools") == true)
        #expect((await harness.call(.getPoolMap, ["pool": "services-ipv4", "blocks": 0])).error?.code == -32602)
        #expect((await harness.call(.getPoolMap, [:])).error?.message.contains("params.pool") == true)
        harness.stop()

        var cluster = Self.cluster
        cluster.clusterCIDRs = [CIDR("11.0.0.0/8")!, CIDR("fd01::/16")!]
        (cluster.nodeMaskSizeIPv4, cluster.nodeMaskSizeIPv6) = (12, 64)
        let wide = try EngineHarness(FaultyLog(), cluster)
        _ = try await wide.call(
            .allocatePodIPs, ["pod": ["metadata": ["name": "p"], "spec": ["nodeName": "n1"]]]
        ).get()
        for name in ["pods-n1-ipv4", "pods-n1-ipv6", "nodes-ipv4", "nodes-ipv6"] as [JSONValue] {
            let map = try await wide.call(.getPoolMap, ["pool": name, "blocks": 4096]).get()
            let blocks = map["blocks"]?.arrayValue ?? []
            #expect(blocks.count == (name == "nodes-ipv4" ? 16 : 4096))
            #expect(blocks.reduce(0) { $0 + Self.count($1, "allocated") } == 1)
        }
        wide.stop()
    }

    @Test("a CIDR's holders come once each, whatever the page", arguments: 0..<4 as Range<UInt64>)
    func listsHolders(_ seed: UInt64) async throws {
        let harness = try await Self.harness(seed)
        let ranges = [
            "10.96.0.0/26", "10.96.0.16/28", "10.244.0.0/24", "10.244.0.32/28", "10.244.0.36/30", "0.0.0.0/0", "::/0",
            "fd00:10:244::40/122", "192.0.2.0/24", "203.0.113.0/24", "10.244.0.34/32",
        ]
        for text in ranges {
            let range = try #require(CIDR(text))
            var expected: [IPAddress: String] = [:]
            harness.engine.books.services.visit { service in
                for address in service.addresses where range.contains(address) { expected[address] = service.name }
            }
            harness.engine.books.nodes.visit { node in
                node.visitPods { pod in
                    for address in pod.addresses where range.contains(address) { expected[address] = pod.name }
                }
            }
            for limit in [1, 2, 7, 5_000] {
                var found: [IPAddress: String] = [:]
                var params: JSONValue = ["cidr": .string(text), "limit": .number("\(limit)")]
                var pages = 0
                repeat {
                    let page = try await harness.call(.lookupIP, params).get()
                    let items = page["items"]?.arrayValue ?? []
                    #expect(items.count <= limit)
                    for item in items {
                        let address = try #require(item["ip"]?.stringValue.flatMap { IPAddress($0) })
                        let before = found.updateValue(item["owner"]?["name"]?.stringValue ?? "", forKey: address)
                        #expect(before == nil)
                        let status = harness.engine.lookup(address)
                        #expect(item["pool"]?.stringValue == status.pool && item["state"] == "allocated")
                    }
                    params["continue"] = page["continue"]
                    pages += 1
                } while params["continue"] != nil && pages < 1_000
                #expect(found == expected, "\(text) by \(limit)")
            }
        }
        harness.stop()
    }

    @Test("a holder that comes or goes between two pages disturbs no other")
    func listsWhileChanging() async throws {
        let harness = try await Self.harness(1)
        var params: JSONValue = ["cidr": "0.0.0.0/0", "limit": 1]
        var found: Set<String> = []
        let all =
            try await harness.call(.lookupIP, ["cidr": "0.0.0.0/0", "limit": 5000]).get()["items"]?.arrayValue ?? []
        let names = all.compactMap { $0["ip"]?.stringValue }
        repeat {
            let page = try await harness.call(.lookupIP, params).get()
            for item in page["items"]?.arrayValue ?? [] {
                let owner = try #require(item["owner"])
                let isNew = found.insert(item["ip"]?.stringValue ?? "").inserted
                #expect(isNew)
                let isPod = owner["kind"] == "Pod"
                let metadata: JSONValue = ["namespace": owner["namespace"] ?? "", "name": owner["name"] ?? ""]
                // The holder just listed is released, so that its place has none.
                _ = try await harness.call(.release, [isPod ? "pod" : "service": ["metadata": metadata]]).get()
            }
            params["continue"] = page["continue"]
        } while params["continue"] != nil
        // A Service has one address of the family, or two, which go together.
        #expect(found.isSubset(of: names))
        #expect(Set(all.compactMap { $0["owner"]?["uid"]?.stringValue }).count <= found.count)
        harness.stop()
    }

    @Test("a look-up names one address or one CIDR")
    func takesOne() async throws {
        let harness = try await Self.harness(0)
        for (params, part) in [
            ([:], "exactly one"), (["ip": "10.96.0.1", "cidr": "10.96.0.0/24"], "exactly one"),
            (["ip": "10.96.0.1", "limit": 5], "params.limit"), (["cidr": "10.96.0.0"], "params.cidr"),
            (["cidr": "10.96.0.0/24", "limit": 5_001], "params.limit"),
            (["cidr": "10.96.0.0/24", "continue": "x"], "params.continue"),
        ] as [(JSONValue, String)] {
            let refusal = (await harness.call(.lookupIP, params)).error
            #expect(refusal?.code == -32602 && refusal?.message.contains(part) == true, "\(refusal?.message ?? "")")
        }
        harness.stop()
    }
}

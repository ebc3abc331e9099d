import Addressing
import Allocation
import FaultyLog
import Ledger
import TandemAPI
import TestSupport
import Testing

@testable import IPAM

/// Books of a size at which a walk over everything, once for each call, would take many minutes.
@Suite("A large store does not make a call slower")
struct LargeClusterTests {
    /// An engine with pods of one node, of few namespaces, put in as a commit does.
    private func harness(pods: Int) throws -> EngineHarness {
        let cluster = ClusterConfiguration(
            serviceRanges: [CIDR("192.0.2.0/28")!], clusterCIDRs: [CIDR("10.0.0.0/8")!, CIDR("fd00:10:244::/48")!],
            nodeMaskSizeIPv4: 12, nodeMaskSizeIPv6: 64)
        let engine = try Engine(cluster: cluster, log: FaultyLog(), stepsByHand: true)
        engine.perform(Call(.allocateNodeCIDRs, .allocateNodeCIDRs(Node(metadata: ObjectMeta(name: "n1"))))) { _ in }
        engine.journal.step()
        let node = try #require(engine.books.nodes["n1"])
        for index in 0..<pods {
            let addresses: Few = [
                try #require(node.pool(.ipv4)?.claimNext()), try #require(node.pool(.ipv6)?.claimNext()),
            ]
            var pod = Pod(
                metadata: ObjectMeta(namespace: "ns-\(index % 3)", name: "p\(index)", uid: "u"), nodeName: "n1",
                podIPs: addresses)
            pod.metadata.resourceVersion = "\(index + 10)"
            engine.books.show(
                try StoredPod(
                    PodIdentity(Attachment(containerID: "c\(index)")), on: node, addresses: addresses,
                    version: UInt64(index + 10), document: Documents.encode(pod.write)))
        }
        return EngineHarness(engine)
    }

    @Test("look-ups and pages among 100,000 pods of one node")
    func looksUp() async throws {
        let count = 100_000
        let harness = try harness(pods: count)
        let node = try #require(harness.engine.books.nodes["n1"])
        let cidr = node.podCIDRs[0]
        for index in 0..<20_000 {
            let address = try #require(cidr.address(at: UInt128(2 + index * 4)))
            let status = harness.engine.lookup(address)
            #expect(status.state == .allocated && status.owner?.name == "p\(index * 4)")
        }
        // A page of one, from anywhere.
        var token: JSONValue?
        for index in 0..<2_000 {
            var params: JSONValue = ["nodeName": "n1", "limit": 1]
            params["continue"] = token
            let page = try await harness.call(.listPods, params).get()
            #expect(page["items"]?.arrayValue?.first?["metadata"]?["name"] == .string("p\(index)"))
            token = page["continue"]
        }
        harness.stop()
    }

    @Test("a list by namespace, by node, by both, or of all shows each pod once", arguments: [1_000, 5_000])
    func lists(_ limit: Int) async throws {
        let count = 30_000
        let harness = try harness(pods: count)
        for (namespace, node) in [
            (nil, nil), ("ns-1", nil), (nil, "n1"), ("ns-2", "n1"), ("ns-9", nil), ("ns-9", "n1"),
        ] {
            var params: JSONValue = ["limit": .number("\(limit)")]
            params["namespace"] = namespace.map { .string($0) }
            params["nodeName"] = node.map { .string($0) }
            var names: Set<String> = []
            var shown = 0
            repeat {
                let page = try await harness.call(.listPods, params).get()
                let items = page["items"]?.arrayValue ?? []
                #expect(items.count <= limit)
                shown += items.count
                for item in items {
                    names.insert(item["metadata"]?["name"]?.stringValue ?? "")
                    if let namespace { #expect(item["metadata"]?["namespace"] == .string(namespace)) }
                }
                params["continue"] = page["continue"]
            } while params["continue"] != nil
            let expected = namespace == nil ? count : namespace == "ns-9" ? 0 : count / 3
            #expect(shown == expected && names.count == expected)
        }
        harness.stop()
    }

    @Test("pools come by pages, by kind and by node; all of them once", arguments: [1, 3, 4, 1_000])
    func pagesPools(_ limit: Int) async throws {
        var cluster = ClusterConfiguration.small
        cluster.clusterCIDRs = [CIDR("10.128.0.0/20")!, CIDR("fd00:10:244::/56")!]
        let harness = try EngineHarness(FaultyLog(), cluster)
        for index in 0..<10 {
            _ = try await harness.call(.allocateNodeCIDRs, ["node": ["metadata": ["name": .string("n\(index)")]]]).get()
        }
        func names(_ params: JSONValue) async throws -> [String] {
            var params = params
            params["limit"] = .number("\(limit)")
            var names: [String] = []
            repeat {
                let page = try await harness.call(.getPools, params).get()
                let pools = page["pools"]?.arrayValue ?? []
                // A node's pools are not parted.
                #expect(pools.count <= limit + 1)
                names += pools.compactMap { $0["name"]?.stringValue }
                params["continue"] = page["continue"]
            } while params["continue"] != nil
            return names
        }
        let ranges = [
            "services-ipv4", "services-ipv6", "loadbalancers-ipv4", "loadbalancers-ipv6", "nodes-ipv4", "nodes-ipv6",
        ]
        let pods = (0..<10).flatMap { ["pods-n\($0)-ipv4", "pods-n\($0)-ipv6"] }
        #expect(try await names([:]) == ranges + pods)
        #expect(try await names(["kind": "Service"]) == ["services-ipv4", "services-ipv6"])
        #expect(try await names(["kind": "LoadBalancer"]) == ["loadbalancers-ipv4", "loadbalancers-ipv6"])
        #expect(try await names(["kind": "NodeCIDR"]) == ["nodes-ipv4", "nodes-ipv6"])
        #expect(try await names(["kind": "Pod"]) == pods)
        #expect(try await names(["nodeName": "n7"]) == ["pods-n7-ipv4", "pods-n7-ipv6"])
        #expect(try await names(["nodeName": "n7", "kind": "Service"]) == [])
        #expect(try await names(["nodeName": "n99"]) == [])
        let refusal = (await harness.call(.getPools, ["kind": "Pods"])).error
        #expect(refusal?.code == -32602 && refusal?.message.contains("params.kind") == true)
        harness.stop()
    }

    @Test("a token at the edge, or of another list, is refused or is behind everything, and harms no other call")
    func bearsTokens() async throws {
        let harness = try harness(pods: 3)
        for token in ["18446744073709551615.", "18446744073709551615.10.0.0.5", "18446744073709551615.ns-1/p1", "0."] {
            for params in [["nodeName": "n1"], ["namespace": "ns-1"], [:]] as [JSONValue] {
                var params = params
                params["continue"] = .string(token)
                _ = await harness.call(.listPods, params)
            }
            for method in [TandemAPI.Method.listNodes, .listServices, .getPools] {
                _ = await harness.call(method, ["continue": .string(token)])
            }
        }
        let foreign = await harness.call(.listPods, ["nodeName": "n1", "continue": "11.ns-1/p1"])
        #expect(foreign.error?.message.contains("params.continue") == true)
        harness.stop()
    }

    @Test(
        "17,000 interfaces of one container, and as many incarnations of a name, are found one by one")
    func findsAmongMany() async throws {
        let harness = try harness(pods: 0)
        let books = harness.engine.books
        let node = try #require(books.nodes["n1"])
        let count = 17_000
        let pods = try (0..<count).map { index in
            try StoredPod(
                PodIdentity(Attachment(containerID: "c", ifName: "e\(index)")), on: node,
                addresses: [try #require(node.pool(.ipv4)?.claimNext())], version: UInt64(index + 10),
                document: Array(#"{"metadata":{"name":"web","namespace":"default"},"spec":{"nodeName":"n1"}}"#.utf8))
        }
        for pod in pods { books.show(pod) }
        let name = ObjectMeta(namespace: "default", name: "web")
        for pod in pods {
            #expect(books.pod(pod.identity, on: "n1").map { $0 === pod } == true)
            #expect(books.pods(named: name, after: pod.version - 1, limit: 1).first.map { $0 === pod } == true)
        }
        #expect(books.newestPod(named: name)?.version == UInt64(count + 9))
        // One call looks at 10,000 and says so, rather than at all.
        let get: JSONValue = ["pod": ["metadata": ["name": "web", "uid": "other"]]]
        #expect((await harness.call(.getPod, get)).error?.reason == "TooManyIncarnations")
        #expect(
            (await harness.call(.getPod, ["pod": ["metadata": ["name": "web"]]], onlyNode: "n2")).error?.status
                == .notFound, "its own pods alone are looked through")
        let (kept, others) = (pods[..<600], pods[600...])
        for pod in others.shuffled() { books.hide(pod) {} }
        // More than are looked at under one lock: the newest of those that are wanted, wherever these are.
        for wanted in [0..<1, 0..<20, 100..<300, 500..<600] {
            let found = try books.newestPod(named: name) { pod in wanted.contains { pods[$0] === pod } }
            #expect(found.map { $0 === pods[wanted.upperBound - 1] } == true, "\(wanted)")
        }
        for pod in kept.shuffled() { books.hide(pod) {} }
        #expect(books.newestPod(named: name) == nil && node.podCount == 0)
        #expect(books.pods(origin: "container/c", after: nil, limit: 10).isEmpty)
        harness.stop()
    }

    @Test("a node's pods are found by address, and listed in order, like those of a plain list", arguments: seeds)
    func agreesWithList(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let node = StoredNode("n1", [CIDR("10.0.0.0/8")!, CIDR("fd00::/48")!], version: 1)
        var pods = NodePods()
        var twin: [StoredPod] = []
        // Few addresses, of which some differ only where the index's keys do not look.
        func address(_ family: IPFamily) -> IPAddress {
            let bits = UInt128(UInt64.random(in: 0..<40, using: &generator))
            return family == .ipv4
                ? IPAddress(family: .ipv4, bits: 0x0A00_0000 | bits)
                : IPAddress(family: .ipv6, bits: 0xFD00 << 112 | bits % 4 << 64 | bits / 4 << 31 | bits % 3)
        }
        for step in 0..<2_000 {
            let asked = [[address(.ipv4), address(.ipv6)], [address(.ipv6)], [address(.ipv6), address(.ipv4)], []]
                .randomElement(using: &generator)!
            if asked.allSatisfy({ address in !twin.contains { $0.addresses.contains(address) } }) {
                let pod = try StoredPod(
                    PodIdentity(Attachment(containerID: "c\(step)")), on: node, addresses: Few(asked),
                    version: UInt64(step + 1), document: Array(#"{"metadata":{"name":"x"}}"#.utf8))
                pods.insert(pod)
                twin.append(pod)
            } else {
                let gone = twin.remove(at: Int.random(in: 0..<twin.count, using: &generator))
                pods.remove(gone)
                pods.remove(gone)
            }
            #expect(pods.count == twin.count)
            #expect(pods.held(.ipv6) == twin.reduce(0) { $0 + $1.addresses.count { $0.family == .ipv6 } })
            let looked = address(Bool.random(using: &generator) ? .ipv4 : .ipv6)
            #expect(pods.holder(of: looked)?.version == twin.first { $0.addresses.contains(looked) }?.version)
        }
        #expect(NodePods(twin.shuffled(using: &generator)).count == twin.count)
        for limit in [1, 7, 1_000] {
            for list in [pods, NodePods(twin.shuffled(using: &generator))] {
                var seen: [UInt64] = []
                var place: NodePods.PodPlace?
                while true {
                    var page: [StoredPod] = []
                    list.visit(after: place) { pod in
                        page.append(pod)
                        return page.count < limit
                    }
                    guard let last = page.last else { break }
                    seen += page.map(\.version)
                    place = NodePods.PodPlace(behind: last)
                }
                #expect(seen.sorted() == twin.map(\.version).sorted())
            }
        }
    }
}

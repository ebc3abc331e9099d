import Addressing
import FaultyLog
import Ledger
import TandemAPI
import TestSupport
import Testing

@testable import IPAM

/// Restarts with other ranges than those that stored objects come from: an object's addresses are taken for all others, whatever
/// today's flags say.
@Suite("Ranges that change under stored objects")
struct ChangedRangesTests {
    private let log = FaultyLog()

    private func start(_ change: (inout ClusterConfiguration) -> Void = { _ in }) throws -> EngineHarness {
        var cluster = ClusterConfiguration(
            serviceRanges: [CIDR("10.96.0.0/28")!], clusterCIDRs: [CIDR("10.244.0.0/16")!],
            loadBalancerRanges: [AddressRange("192.0.2.0/28")!])
        change(&cluster)
        return try EngineHarness(log, cluster)
    }

    private func service(_ name: String, _ type: String = "ClusterIP") -> JSONValue {
        ["service": ["metadata": ["name": .string(name)], "spec": ["type": .string(type), "ports": [["port": 80]]]]]
    }

    private func pod(_ name: String, on node: String, asking ip: String? = nil) -> JSONValue {
        var pod: JSONValue = ["metadata": ["name": .string(name)], "spec": ["nodeName": .string(node)]]
        if let ip { pod["status"] = ["podIPs": [["ip": .string(ip)]]] }
        return ["pod": pod]
    }

    @Test(
        "exchanged roles: no address of the one is ever given as the other's, until the range is full, and all starts go well"
    )
    func exchangedRoles() async throws {
        var harness = try start()
        for index in 0..<8 { _ = try await harness.call(.allocateServiceIPs, service("old-\(index)")).get() }
        let before = try #require(try await harness.shownAddresses())
        harness.stop()

        harness = try start { $0.exchangeRoles() }
        // 14 addresses, 8 of them held: six load balancers find one, and no seventh.
        for index in 0..<6 {
            _ = try await harness.call(.allocateServiceIPs, service("lb-\(index)", "LoadBalancer")).get()
        }
        let seventh = await harness.call(.allocateServiceIPs, service("lb-6", "LoadBalancer"))
        #expect(seventh.error?.reason == "RangeFull")
        let after = try #require(try await harness.shownAddresses(), "an address has two owners")
        #expect(after.count == before.count + 12)
        #expect(before.allSatisfy { after[$0.key] == $0.value })
        for address in before.keys { #expect(harness.engine.lookup(IPAddress(address)!).state == .allocated) }
        // Given back it is free for the role that its range has now.
        let freed = try #require(before.keys.first)
        let name = try #require(before[freed]?.split(separator: "/").last)
        _ = try await harness.call(.release, ["service": ["metadata": ["name": .string(String(name))]]]).get()
        #expect(harness.engine.lookup(IPAddress(freed)!).state == .free)
        _ = try await harness.call(.allocateServiceIPs, service("lb-6", "LoadBalancer")).get()
        harness.stop()
        for isExchanged in [false, true] {
            harness = try start { if isExchanged { $0.exchangeRoles() } }
            #expect(try await harness.shownAddresses() != nil)
            harness.stop()
        }
    }

    @Test("a node's CIDR keeps every subnet that overlaps it from other nodes, whatever the mask is now")
    func overlappingSubnets() async throws {
        var harness = try start()
        _ = try await harness.call(.allocatePodIPs, pod("p", on: "n1", asking: "10.244.0.130")).get()
        harness.stop()

        // All of the range lies in the old node's CIDR.
        harness = try start {
            $0.clusterCIDRs = [CIDR("10.244.0.128/25")!]
            $0.nodeMaskSizeIPv4 = 28
        }
        let full = await harness.call(.allocateNodeCIDRs, ["node": ["metadata": ["name": "n2"]]])
        #expect(full.error?.reason == "RangeFull")
        let asked: JSONValue = ["node": ["metadata": ["name": "n2"], "spec": ["podCIDRs": ["10.244.0.128/28"]]]]
        #expect((await harness.call(.allocateNodeCIDRs, asked)).error?.status == .invalidArgument)
        // The old node goes on as it was.
        _ = try await harness.call(.allocatePodIPs, pod("q", on: "n1")).get()
        harness.stop()

        harness = try start { $0.nodeMaskSizeIPv4 = 28 }
        let next = try await harness.call(.allocateNodeCIDRs, ["node": ["metadata": ["name": "n2"]]]).get()
        #expect(next["node"]?["spec"]?["podCIDR"] == "10.244.1.0/28")
        _ = try await harness.call(.release, ["node": ["metadata": ["name": "n1"]], "force": true]).get()
        #expect(try await harness.shownAddresses() != nil)
        // The addresses that it kept from others are theirs now.
        var cidrs: Set<String> = []
        for index in 3..<6 {
            let node = try await harness.call(
                .allocateNodeCIDRs, ["node": ["metadata": ["name": .string("n\(index)")]]]
            ).get()
            cidrs.insert(node["node"]?["spec"]?["podCIDR"]?.stringValue ?? "")
        }
        let exact: JSONValue = ["node": ["metadata": ["name": "exact"], "spec": ["podCIDRs": ["10.244.0.128/28"]]]]
        _ = try await harness.call(.allocateNodeCIDRs, exact).get()
        #expect(cidrs.count == 3)
        harness.stop()
    }

    @Test("a wider mask: a subnet that holds an old node's narrower CIDR is given to no node")
    func widerMask() async throws {
        var harness = try start { $0.nodeMaskSizeIPv4 = 28 }
        _ = try await harness.call(.allocateNodeCIDRs, ["node": ["metadata": ["name": "n1"]]]).get()
        harness.stop()
        harness = try start()
        let next = try await harness.call(.allocateNodeCIDRs, ["node": ["metadata": ["name": "n2"]]]).get()
        #expect(next["node"]?["spec"]?["podCIDR"] == "10.244.1.0/24")
        harness.stop()
    }

    @Test(
        "a service range laid over a node's CIDR, and pods' range over Services: neither assigns the other's addresses")
    func rangesOverEachOther() async throws {
        var harness = try start()
        _ = try await harness.call(.allocatePodIPs, pod("p", on: "n1")).get()
        for index in 0..<4 { _ = try await harness.call(.allocateServiceIPs, service("s\(index)")).get() }
        harness.stop()
        harness = try start {
            $0.serviceRanges = [CIDR("10.244.0.0/23")!]
            $0.clusterCIDRs = [CIDR("10.96.0.0/20")!]
        }
        for index in 0..<40 {
            let made = try await harness.call(.allocateServiceIPs, service("new-\(index)")).get()
            let ip = made["service"]?["spec"]?["clusterIP"]?.stringValue.flatMap { IPAddress($0) }
            #expect(ip.map { CIDR("10.244.1.0/24")!.contains($0) } == true, "\(ip?.description ?? "")")
        }
        var asked = service("asked")
        asked["service"]?["spec"]?["clusterIP"] = "10.244.0.77"
        #expect((await harness.call(.allocateServiceIPs, asked)).error?.status == .invalidArgument)
        // 10.96.0.0/24 has Services in it.
        let node = try await harness.call(.allocateNodeCIDRs, ["node": ["metadata": ["name": "n2"]]]).get()
        #expect(node["node"]?["spec"]?["podCIDR"] == "10.96.1.0/24")
        #expect(try await harness.shownAddresses() != nil)
        harness.stop()
    }

    @Test("pod CIDRs that overlap, as they are stored, are served, and nothing of an overlap is given twice")
    func storedOverlaps() async throws {
        func put(_ kind: RecordKind, _ key: String, _ document: JSONValue, _ held: Holding) {
            let form = StoredForm(document: document.text.bytes, holdings: [held])
            log.append([Proposal([.put(ObjectKey(kind, key), form)])])
            _ = log.next()
        }
        func node(_ name: String, _ cidr: String) {
            put(
                .node, name, ["metadata": ["name": .string(name), "uid": "u"], "spec": ["podCIDRs": [.string(cidr)]]],
                Holding(pool: .nodeCIDR, range: CIDR(cidr)!))
        }
        node("wide", "10.244.0.0/24")
        node("narrow", "10.244.0.128/28")
        put(
            .pod, "container/c1/eth0",
            ["metadata": ["namespace": "default", "name": "p", "uid": "u"], "spec": ["nodeName": "wide"]],
            Holding(pool: .podIP, address: IPAddress("10.244.0.130")!))
        log.fold()
        let harness = try start()
        #expect(harness.engine.outsideRanges.overlaps == 1)
        var given: Set<String> = ["10.244.0.130"]
        for index in 0..<12 {
            let pod = try await harness.call(.allocatePodIPs, pod("n\(index)", on: "narrow")).get()["pod"]
            let ip = pod?["status"]?["podIP"]?.stringValue ?? ""
            #expect(given.insert(ip).inserted)
        }
        #expect((await harness.call(.allocatePodIPs, pod("n12", on: "narrow"))).error?.reason == "RangeFull")
        for index in 0..<230 {
            let pod = try await harness.call(.allocatePodIPs, pod("w\(index)", on: "wide")).get()["pod"]
            let ip = pod?["status"]?["podIP"]?.stringValue ?? ""
            #expect(given.insert(ip).inserted, "\(ip)")
        }
        #expect((await harness.call(.allocatePodIPs, pod("asked", on: "wide", asking: "10.244.0.131"))).error != nil)
        // The pod whose key names no node is its node's.
        let gone = try await harness.call(
            .release, ["attachment": ["containerID": "c1", "nodeName": "wide"]]
        ).get()
        #expect(gone["released"]?.arrayValue?.count == 1)
        #expect(await Audit(harness.engine).faults() == [])
        harness.stop()
    }

    @Test("holdings outside of the current ranges are counted, with an example, and no longer once they are released")
    func outsideRanges() async throws {
        var harness = try start()
        #expect(harness.engine.outsideRanges.isEmpty)
        _ = try await harness.call(.allocateServiceIPs, service("web")).get()
        _ = try await harness.call(.allocatePodIPs, pod("p", on: "n1")).get()
        harness.stop()
        harness = try start {
            $0.serviceRanges = [CIDR("10.97.0.0/28")!]
            $0.clusterCIDRs = [CIDR("10.245.0.0/16")!]
        }
        let outside = harness.engine.outsideRanges
        #expect(outside.serviceAddresses == 1 && outside.podCIDRs == 1)
        #expect(
            outside.example?.hasPrefix("10.96.0.") == true
                && outside.example?.hasSuffix("of Service default/web") == true)
        _ = try await harness.call(.release, ["node": ["metadata": ["name": "n1"]], "force": true]).get()
        #expect(harness.engine.outsideRanges.example == outside.example)
        _ = try await harness.call(.release, ["service": ["metadata": ["name": "web"]]]).get()
        #expect(harness.engine.outsideRanges == OutsideRanges())
        harness.stop()
    }

    // MARK: Families that come and go

    @Test(
        "a node that lacks a family which the cluster has by now gets a CIDR of it with its next pod, or when it is asked for"
    )
    func nodesGrow() async throws {
        var harness = try start()
        let before = try await harness.call(.allocatePodIPs, pod("p", on: "n1")).get()
        _ = try await harness.call(.allocatePodIPs, pod("p", on: "n2")).get()
        harness.stop()
        func dual(_ cluster: inout ClusterConfiguration) { cluster.clusterCIDRs.append(CIDR("fd00:10:244::/48")!) }
        harness = try start(dual)
        let commits = harness.engine.journal.statistics.proposals
        let grown = try await harness.call(.allocatePodIPs, pod("q", on: "n1")).get()
        #expect(harness.engine.journal.statistics.proposals == commits + 1)
        #expect(grown["pod"]?["status"]?["podIPs"]?.arrayValue?.count == 2)
        #expect(grown["node"]?["podCIDRs"]?.arrayValue?.first == before["node"]?["podCIDRs"]?.arrayValue?.first)
        #expect(grown["node"]?["podCIDRs"]?.arrayValue?.count == 2)
        // A retry of the first pod is that pod still, and a pod of its own families grows none.
        #expect(try await harness.call(.allocatePodIPs, pod("p", on: "n1")).get()["replayed"] == true)
        var single = pod("single", on: "n2")
        single["ipFamilies"] = ["IPv4"]
        let one = try await harness.call(.allocatePodIPs, single).get()
        #expect(one["node"]?["podCIDRs"]?.arrayValue?.count == 1)
        let asked = try await harness.call(.allocateNodeCIDRs, ["node": ["metadata": ["name": "n2"]]]).get()
        #expect(asked["node"]?["spec"]?["podCIDRs"]?.arrayValue?.count == 2 && asked["replayed"] == nil)
        #expect(
            try await harness.call(.allocateNodeCIDRs, ["node": ["metadata": ["name": "n2"]]]).get()["replayed"] == true
        )
        #expect(try await harness.faults() == [])
        harness.stop()
        harness = try start(dual)
        #expect(try await harness.faults() == [])
        harness.stop()
    }

    @Test("where the new family has no room, its range is named, and nothing is kept")
    func growsAllOrNone() async throws {
        var harness = try start()
        for name in ["n1", "n2"] { _ = try await harness.call(.allocatePodIPs, pod("p", on: name)).get() }
        harness.stop()
        harness = try start { $0.clusterCIDRs.append(CIDR("fd00:10:244::/64")!) }
        _ = try await harness.call(.allocatePodIPs, pod("q", on: "n1")).get()
        let full = await harness.call(.allocatePodIPs, pod("q", on: "n2"))
        #expect(full.error?.reason == "RangeFull" && full.error?.fullRange?.family == .ipv6)
        #expect(try await harness.faults() == [])
        harness.stop()
    }

    @Test("without --cluster-cidr a known node's pods are refused as a new node's are")
    func withoutClusterCIDR() async throws {
        var harness = try start()
        _ = try await harness.call(.allocatePodIPs, pod("p", on: "n1")).get()
        harness.stop()
        harness = try start { $0.clusterCIDRs = [] }
        for node in ["n1", "n2"] {
            #expect((await harness.call(.allocatePodIPs, pod("q", on: node))).error?.reason == "NoClusterCIDR")
        }
        #expect(try await harness.call(.allocatePodIPs, pod("p", on: "n1")).get()["replayed"] == true)
        harness.stop()
    }

    // MARK: Identity

    @Test(
        "a pod made without uid is known by the uid that it was given, sent back as it was answered or by its uid alone"
    )
    func knowsItsUID() async throws {
        let harness = try start()
        let made = try await harness.call(.allocatePodIPs, pod("p", on: "n1")).get()
        let sent = try #require(made["pod"])
        let uid = sent["metadata"]?["uid"] ?? .null
        let alone: JSONValue = ["metadata": ["name": "p", "uid": uid], "spec": ["nodeName": "n1"]]
        for pod in [sent, alone] {
            let again = try await harness.call(.allocatePodIPs, ["pod": pod]).get()
            #expect(again["replayed"] == true && again["pod"] == sent)
        }
        let other: JSONValue = ["metadata": ["name": "p", "uid": "other"], "spec": ["nodeName": "n1"]]
        #expect(try await harness.call(.allocatePodIPs, ["pod": other]).get()["replayed"] == nil)
        #expect(try await harness.items(.listPods).count == 2)
        harness.stop()
    }

    @Test("a pod's address is its eth0's, else its first interface's; lists say which interface a row is")
    func knowsInterfaces() async throws {
        let harness = try start()
        func add(_ interface: String, _ container: String) async throws -> JSONValue? {
            var params = pod("p", on: "n1")
            params["attachment"] = ["containerID": .string(container), "ifName": .string(interface)]
            return try await harness.call(.allocatePodIPs, params).get()["pod"]?["status"]?["podIP"]
        }
        let second = try await add("net2", "c0")
        _ = try await add("net3", "c0")
        func podIP() async throws -> JSONValue? {
            try await harness.call(.getPod, ["pod": ["metadata": ["name": "p"]]]).get()["pod"]?["status"]?["podIP"]
        }
        #expect(try await podIP() == second)
        let main = try await add("eth0", "c1")
        _ = try await add("net1", "c1")
        #expect(try await podIP() == main)
        let rows = try await harness.items(.listPods).compactMap { $0["attachment"]?["ifName"]?.stringValue }
        #expect(Set(rows) == ["net2", "net3", "eth0", "net1"])
        harness.stop()
    }

    @Test("an allocation is its node's: the same container or name on another is another, and a release can say which")
    func keepsNodesApart() async throws {
        let harness = try start()
        for node in ["n1", "n2"] {
            var params = pod("p", on: node)
            params["attachment"] = ["containerID": "c1"]
            #expect(try await harness.call(.allocatePodIPs, params).get()["replayed"] == nil)
            var bare = pod("bare", on: node)
            bare["pod"]?["metadata"]?["uid"] = "u"
            #expect(try await harness.call(.allocatePodIPs, bare).get()["replayed"] == nil)
        }
        let found = try await harness.call(.getPod, ["pod": ["metadata": ["name": "p"]]]).get()
        #expect(found["pod"]?["spec"]?["nodeName"] == "n2" && found["others"] == ["n1"])
        let one = try await harness.call(.release, ["attachment": ["containerID": "c1", "nodeName": "n1"]]).get()
        #expect(one["released"]?.arrayValue?.count == 1)
        let named: JSONValue = ["pod": ["metadata": ["name": "bare"], "spec": ["nodeName": "n2"]]]
        #expect(try await harness.call(.release, named).get()["released"]?.arrayValue?.count == 1)
        #expect(try await harness.items(.listPods).count == 2)
        for target: JSONValue in [["attachment": ["containerID": "c1"]], ["pod": ["metadata": ["name": "bare"]]]] {
            #expect(try await harness.call(.release, target).get()["released"]?.arrayValue?.count == 1)
        }
        #expect(try await harness.faults() == [])
        harness.stop()
    }

    @Test("a node's uid that Tandem made gives way to the cluster's, and to no other, nor to its own agent's")
    func takesRealUIDs() async throws {
        var harness = try start()
        _ = try await harness.call(.allocatePodIPs, pod("p", on: "n1")).get()
        let real: JSONValue = ["node": ["metadata": ["name": "n1", "uid": "real"]]]
        #expect((await harness.call(.allocateNodeCIDRs, real, onlyNode: "n1")).error?.status == .alreadyExists)
        let taken = try await harness.call(.allocateNodeCIDRs, real).get()
        #expect(taken["node"]?["metadata"]?["uid"] == "real")
        harness.stop()
        harness = try start()
        #expect(try await harness.call(.allocateNodeCIDRs, real).get()["replayed"] == true)
        let other: JSONValue = ["node": ["metadata": ["name": "n1", "uid": "other"]]]
        #expect((await harness.call(.allocateNodeCIDRs, other)).error?.status == .alreadyExists)
        #expect(
            try await harness.call(.getNode, ["node": ["metadata": ["name": "n1", "uid": "real"]]]).get()["node"] != nil
        )
        harness.stop()
    }

    @Test("a pod CIDR whose node had pods is given to no other node before its time, unless nothing else is left")
    func cidrsCool() async throws {
        var harness = try start {
            $0.clusterCIDRs = [CIDR("10.244.0.0/23")!]
            $0.podIPReuseDelaySeconds = 3_600
        }
        _ = try await harness.call(.allocatePodIPs, pod("p", on: "n1")).get()
        _ = try await harness.call(.release, ["node": ["metadata": ["name": "n1"]], "force": true]).get()
        #expect(harness.engine.lookup(IPAddress("10.244.0.7")!).state == .coolingDown)
        harness.stop()
        harness = try start {
            $0.clusterCIDRs = [CIDR("10.244.0.0/23")!]
            $0.podIPReuseDelaySeconds = 3_600
        }
        #expect(harness.engine.lookup(IPAddress("10.244.0.7")!).state == .coolingDown)
        for (name, cidr) in [("n2", "10.244.1.0/24"), ("n3", "10.244.0.0/24")] {
            let node = try await harness.call(.allocateNodeCIDRs, ["node": ["metadata": ["name": .string(name)]]]).get()
            #expect(node["node"]?["spec"]?["podCIDR"] == .string(cidr))
        }
        #expect(harness.engine.lookup(IPAddress("10.244.0.7")!).state == .free)
        #expect(try await harness.faults() == [])
        harness.stop()
    }
}

extension Audit {
    /// Goes through everything twice; the faults known then.
    fileprivate func faults() async -> [String] {
        var found: [String] = []
        var passes = 0
        while passes < 2 {
            let step = step()
            found += step.newFaults
            if step.endsPass { passes += 1 }
            await Task.yield()
        }
        return found
    }
}

extension ClusterConfiguration {
    fileprivate mutating func exchangeRoles() {
        (serviceRanges, loadBalancerRanges) = (
            loadBalancerRanges.compactMap(\.cidr), serviceRanges.map { AddressRange($0) }
        )
    }
}

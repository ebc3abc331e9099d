import KubeSupport
import Reconciliation
import TandemAPI
import TestSupport
import Testing

@testable import ClusterController

@Suite("Nodes and pods of a cluster", .serialized)
struct NodeAndPodTests {
    private func pod(
        _ node: String, _ addresses: [String], hash: String? = nil, phase: String = "Running", hostNetwork: Bool = false
    ) -> JSONValue {
        var pod: JSONValue = [
            "spec": ["nodeName": .string(node), "hostNetwork": .bool(hostNetwork)],
            "status": [
                "phase": .string(phase), "podIP": .string(addresses.first ?? ""),
                "podIPs": .array(addresses.map { ["ip": .string($0)] }),
            ],
        ]
        if let hash { pod["metadata"] = ["annotations": ["kubernetes.io/config.hash": .string(hash)]] }
        return pod
    }

    private func node(_ cidrs: [String]) -> JSONValue {
        guard let first = cidrs.first else { return ["spec": [:]] }
        return ["spec": ["podCIDR": .string(first), "podCIDRs": .array(cidrs.map { .string($0) })]]
    }

    @Test("a cluster that runs is taken over, and nothing in it changes")
    func adopts() async throws {
        let world = try await Fixture()
        world.put("nodes", "n1", node(["10.244.77.0/24", "fd00:10:244:77::/64"]))
        world.put("nodes", "n2", node(["172.16.5.0/24"]))
        world.put("pods", "web-0", uid: "p1", pod("n1", ["10.244.77.5", "fd00:10:244:77::5"]))
        world.put("pods", "old-0", uid: "p2", pod("n2", ["172.16.5.9"]))
        world.put("pods", "mirror", uid: "p3", pod("n1", ["10.244.77.6"], hash: "static"))
        world.put("pods", "host", uid: "p4", pod("n1", ["192.168.1.1"], hostNetwork: true))
        world.put("pods", "over", uid: "p5", pod("n1", ["10.244.77.7"], phase: "Succeeded"))
        world.putLoadBalancer("web", showing: ["192.0.2.4", "2001:db8::4"])
        let before = ["nodes", "pods"].map { world.kube.objects($0) }
        try await world.runUntilIdle()
        #expect(["nodes", "pods"].map { world.kube.objects($0) } == before)
        #expect(Fixture.addresses(world.service("web")) == ["192.0.2.4", "2001:db8::4"])
        #expect(
            try await world.held(.listNodes) == [
                "n1": ["10.244.77.0/24", "fd00:10:244:77::/64"], "n2": ["172.16.5.0/24"],
            ])
        #expect(
            try await world.held(.listPods) == [
                "web-0": ["10.244.77.5", "fd00:10:244:77::5"], "old-0": ["172.16.5.9"], "mirror": ["10.244.77.6"],
            ])
        #expect(try await world.held(.listServices) == ["web": ["192.0.2.4", "2001:db8::4"]])
        // And once more, by one that knows nothing of that.
        world.kube.forgetRequests()
        try await world.runUntilIdle()
        #expect(!world.kube.requests.contains { $0.method == "PATCH" })
    }

    @Test("new nodes are given a CIDR of each family, each another; a CIDR lost on the way is found again")
    func givesNodes() async throws {
        let world = try await Fixture()
        world.kube.fail(FakeFaultKind.loseApplied.fault("PATCH", "/nodes/"))
        world.kube.fail(FakeFaultKind.lose.fault("PATCH", "/nodes/"))
        let controller = try world.start()
        for number in 0..<10 { world.put("nodes", "n\(number)", node([])) }
        try await until { world.kube.objects("nodes").allSatisfy { Fixture.addresses($0).count == 2 } }
        await controller.idle()
        let held = try await world.held(.listNodes)
        for object in world.kube.objects("nodes") {
            #expect(held[object["metadata"]?["name"]?.stringValue ?? ""] == Fixture.addresses(object))
        }
        #expect(Set(held.values.joined()).count == 20)
        await controller.stop()
    }

    @Test("a node that grew in Tandem is said, not forced; one that comes back keeps its CIDRs; one that is gone goes")
    func nodesComeAndGo() async throws {
        let world = try await Fixture()
        world.put("nodes", "n1", uid: "u1", node(["10.244.1.0/24"]))
        let controller = try world.start()
        await controller.idle()
        // A pod that wants both.
        let asked: JSONValue = [
            "pod": [
                "metadata": ["namespace": "default", "name": "p", "uid": "p1"], "spec": ["nodeName": "n1"],
            ]
        ]
        _ = try await world.call(.allocatePodIPs, asked)
        world.put("pods", "p", uid: "p1", ["spec": ["nodeName": "n1"], "status": ["phase": "Running"]])
        // Nothing of the node changes in the cluster: the next look at Tandem's objects finds it.
        await controller.idle()
        #expect(controller.metrics.text.contains("tandem_controller_grown_nodes 1\n"))
        #expect(Fixture.addresses(world.kube.object("nodes", "n1")) == ["10.244.1.0/24"])
        #expect(!world.kube.requests.contains { $0.method == "PATCH" })
        let grown = try await world.held(.listNodes)["n1"]
        #expect(grown?.count == 2)
        // Away and back under a new uid, without CIDRs: with both now. Its pod is alive all the while.
        world.kube.remove("nodes", "n1")
        await controller.idle()
        #expect(try await world.held(.listNodes)["n1"] == grown)
        world.put("nodes", "n1", uid: "u2", node([]))
        try await until { Fixture.addresses(world.kube.object("nodes", "n1")).count == 2 }
        #expect(Fixture.addresses(world.kube.object("nodes", "n1")) == grown)
        // Gone with its pod.
        world.kube.remove("nodes", "n1")
        world.kube.remove("pods", "p", in: "default")
        try await until { try await world.held(.listNodes) == [:] }
        #expect(try await world.held(.listPods) == [:])
        await controller.stop()
    }

    @Test("objects registered by other programs of the same server are not taken away")
    func leavesOthers() async throws {
        let world = try await Fixture()
        _ = try await world.call(.allocateNodeCIDRs, ["node": ["metadata": ["name": "elsewhere"]]])
        let pod: JSONValue = ["metadata": ["namespace": "default", "name": "p"], "spec": ["nodeName": "elsewhere"]]
        _ = try await world.call(.allocatePodIPs, ["pod": pod])
        let service: JSONValue = [
            "metadata": ["namespace": "default", "name": "s"], "spec": ["type": "LoadBalancer"],
        ]
        _ = try await world.call(.allocateServiceIPs, ["service": service])
        try await world.runUntilIdle()
        #expect(try await world.held(.listNodes).count == 1)
        #expect(try await world.held(.listPods).count == 1)
        #expect(try await world.held(.listServices).count == 1)
    }

    @Test("pods that are gone are released, by uid; living ones never, whatever the lists say")
    func collects() async throws {
        let world = try await Fixture()
        world.put("nodes", "n1", node(["10.244.1.0/24"]))
        for number in 1...6 {
            world.put("pods", "p\(number)", uid: "u\(number)", pod("n1", ["10.244.1.\(number + 10)"]))
        }
        try await world.runUntilIdle()
        #expect(try await world.held(.listPods).count == 6)
        // Gone, failed, made again under its name, and three that live on.
        world.kube.remove("pods", "p1", in: "default")
        world.kube.patch("pods", "p2", in: "default", ["status": ["phase": "Failed"]], part: "status")
        world.put("pods", "p3", uid: "u3-again", ["spec": ["nodeName": "n1"], "status": ["phase": "Pending"]])
        // A list that lacks the living, as of an older copy: the look at each by itself saves them.
        let empty = #"{"kind":"PartialObjectMetadataList","metadata":{"resourceVersion":"1"},"items":[]}"#
        world.kube.fail(FakeFault(.answer(empty), "GET", "/pods?", count: 6))
        let controller = try world.start()
        try await until { try await world.held(.listPods).count <= 3 }
        await controller.idle()
        #expect(try await world.held(.listPods).keys.sorted() == ["p4", "p5", "p6"])
        await controller.stop()
    }

    @Test("with a Tandem that is away no object is given anything, and with one that is back everything is")
    func tandemAway() async throws {
        let world = try await Fixture()
        world.put("nodes", "n1", node(["10.244.1.0/24", "fd00:10:244:1::/64"]))
        world.put("nodes", "n2", node([]))
        try await world.crashTandem()
        let controller = try world.start()
        try await until { await controller.controller.queue.counts.paused > 0 }
        #expect(Fixture.addresses(world.kube.object("nodes", "n2")) == [])
        try await world.restartTandem()
        try await until { Fixture.addresses(world.kube.object("nodes", "n2")).count == 2 }
        #expect(try await world.held(.listNodes)["n1"] == ["10.244.1.0/24", "fd00:10:244:1::/64"])
        await controller.stop()
    }
}

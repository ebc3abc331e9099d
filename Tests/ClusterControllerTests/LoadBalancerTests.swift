import KubeSupport
import Reconciliation
import TandemAPI
import TestSupport
import Testing

@testable import ClusterController

@Suite("Load balancers of a cluster", .serialized)
struct LoadBalancerTests {
    private static let finalizer = LoadBalancerPass.finalizer

    @Test("a new one is given both families, with the finalizer and an event; deleted, it gives them back and goes")
    func lives() async throws {
        let world = try await Fixture()
        let controller = try world.start()
        world.putLoadBalancer("web")
        try await until { Fixture.addresses(world.service("web")).count == 2 }
        #expect(world.finalizers("web") == [Self.finalizer])
        #expect(try await world.held(.listServices)["web"] == Fixture.addresses(world.service("web")))
        await controller.idle()
        #expect(world.events("AddressesAllocated") == ["web"])
        // Looked at again, nothing is written again.
        world.kube.forgetRequests()
        await controller.controller.resync()
        await controller.idle()
        #expect(!world.kube.requests.contains { ["PATCH", "POST", "PUT"].contains($0.method) })
        world.kube.delete("services", "web", in: "default")
        try await until { world.service("web") == nil }
        #expect(try await world.held(.listServices) == [:])
        await controller.idle()
        #expect(world.events("AddressesReleased") == ["web"])
        await controller.stop()
    }

    @Test("a pending one never gets another's address: not at a start, not with a Tandem that knows nothing")
    func pendingFirst() async throws {
        let world = try await Fixture([
            "--load-balancer-ip-range=192.0.2.7-192.0.2.7", "--cluster-cidr=10.244.0.0/16",
        ])
        world.putLoadBalancer("a-pending", policy: "SingleStack")
        world.putLoadBalancer("b-holder", showing: ["192.0.2.7"], policy: "SingleStack")
        // One after the other, so that nothing but their ranks decides.
        var settings = Fixture.settings
        settings.workers = 1
        let controller = try world.start(settings)
        try await until {
            world.events("RangeFull") == ["a-pending"] || !Fixture.addresses(world.service("a-pending")).isEmpty
        }
        #expect(Fixture.addresses(world.service("b-holder")) == ["192.0.2.7"])
        #expect(Fixture.addresses(world.service("a-pending")) == [])
        await controller.stop()
        // Tandem has lost everything, and comes back while a controller waits.
        try await world.crashTandem()
        let next = try world.start()
        try await until { await !next.controller.queue.counts.paused.isZero }
        try await world.restartTandem(keepingData: false)
        try await until { try await world.held(.listServices)["b-holder"] == ["192.0.2.7"] }
        await next.idle()
        #expect(Fixture.addresses(world.service("a-pending")) == [])
        // A released address goes to a waiting object before its pause is over.
        world.kube.delete("services", "b-holder", in: "default")
        try await until { Fixture.addresses(world.service("a-pending")) == ["192.0.2.7"] }
        await next.stop()
    }

    @Test("a Tandem that comes back and knows nothing is told the cluster's addresses")
    func forgets() async throws {
        let world = try await Fixture()
        world.putLoadBalancer("web")
        let controller = try world.start()
        try await until { Fixture.addresses(world.service("web")).count == 2 }
        await controller.idle()
        let before = try await world.held(.listServices)
        try await world.crashTandem()
        try await world.restartTandem(keepingData: false)
        try await until { try await world.held(.listServices) == before }
        #expect(Fixture.addresses(world.service("web")) == before["web"])
        await controller.stop()
    }

    @Test("deleted while no controller ran, with a finalizer or without; made again under a new uid")
    func goneMeanwhile() async throws {
        let world = try await Fixture()
        for name in ["held", "lost", "again"] { world.putLoadBalancer(name, uid: "\(name)-1") }
        try await world.runUntilIdle()
        let before = Fixture.addresses(world.service("again"))
        #expect(before.count == 2)
        world.kube.delete("services", "held", in: "default")
        world.kube.remove("services", "lost", in: "default")
        world.kube.remove("services", "again", in: "default")
        world.putLoadBalancer("again", uid: "again-2")
        try await world.runUntilIdle()
        #expect(world.service("held") == nil)
        #expect(Fixture.addresses(world.service("again")).count == 2)
        let held = try await world.held(.listServices)
        #expect(held == ["again": Fixture.addresses(world.service("again"))])
        let service = try await world.call(
            .getService, ["service": ["metadata": ["namespace": "default", "name": "again"]]])
        #expect(service["service"]?["metadata"]?["uid"] == "again-2")
    }

    @Test("another type gives the addresses back, and the first type takes new ones", arguments: [true, false])
    func types(isModern: Bool) async throws {
        let world = try await Fixture(isModern: isModern)
        world.putLoadBalancer("web")
        let controller = try world.start()
        try await until { Fixture.addresses(world.service("web")).count == 2 }
        world.kube.patch("services", "web", in: "default", ["spec": ["type": "ClusterIP"]])
        try await until { world.finalizers("web").isEmpty }
        try await until { try await world.held(.listServices) == [:] }
        #expect(Fixture.addresses(world.service("web")) == [])
        await controller.idle()
        #expect(world.events("AddressesReleased") == ["web"])
        world.kube.patch("services", "web", in: "default", ["spec": ["type": "LoadBalancer"]])
        try await until { Fixture.addresses(world.service("web")).count == 2 }
        #expect(world.finalizers("web") == [Self.finalizer])
        await controller.stop()
    }

    @Test(
        "two addresses are asked for by annotation; one that is another's is said to be taken, and nothing is written")
    func annotations() async throws {
        let world = try await Fixture()
        world.putLoadBalancer("first", annotations: ["metallb.io/loadBalancerIPs": "192.0.2.5, 2001:db8::5"])
        try await world.runUntilIdle()
        #expect(Fixture.addresses(world.service("first")) == ["192.0.2.5", "2001:db8::5"])
        world.putLoadBalancer("second", annotations: ["lbipam.cilium.io/ips": "192.0.2.5"])
        world.putLoadBalancer("third", showing: ["192.0.2.5"])
        world.putLoadBalancer("elsewhere", showing: ["198.51.100.1"])
        let controller = try world.start()
        try await until { Set(world.events("AddressTaken")) == ["second", "third", "elsewhere"] }
        await controller.idle()
        // Once, however often it is tried.
        #expect(world.events("AddressTaken").count == 3)
        #expect(world.finalizers("second") == [] && Fixture.addresses(world.service("third")) == ["192.0.2.5"])
        #expect(world.finalizers("third") == [] && Fixture.addresses(world.service("elsewhere")) == ["198.51.100.1"])
        await controller.stop()
    }

    @Test("an object of another's is not touched: not while it runs, not as it ends")
    func foreign() async throws {
        let world = try await Fixture()
        world.putLoadBalancer("classed", showing: ["198.51.100.7"], className: "example.com/other")
        world.kube.put(
            "services",
            [
                "metadata": [
                    "namespace": "default", "name": "finalized", "finalizers": [.string(Self.finalizer)],
                ],
                "spec": ["type": "LoadBalancer", "loadBalancerClass": "example.com/other"],
            ])
        var host: JSONValue = ["spec": ["type": "LoadBalancer"]]
        host["status"] = ["loadBalancer": ["ingress": [["hostname": "lb.example.com"]]]]
        world.put("services", "host", host)
        world.put("services", "plain", ["spec": ["type": "ClusterIP", "clusterIP": "10.96.0.1"]])
        let before = world.kube.objects("services")
        let controller = try world.start()
        await controller.idle()
        world.kube.patch("services", "classed", in: "default", ["spec": ["externalTrafficPolicy": "Local"]])
        world.kube.delete("services", "finalized", in: "default")
        await controller.idle()
        await controller.stop()
        #expect(!world.kube.requests.contains { ["PATCH", "POST", "PUT", "DELETE"].contains($0.method) })
        #expect(world.kube.objects("services").count == before.count)
        #expect(try await world.held(.listServices) == [:])
    }

    @Test("where Tandem has no addresses for load balancers an event says so, and the finalizer is not needed")
    func ungiven() async throws {
        let world = try await Fixture(["--cluster-cidr=10.244.0.0/16"])
        world.putLoadBalancer("web")
        let controller = try world.start()
        try await until { world.events("AddressesRefused") == ["web"] }
        await controller.idle()
        #expect(world.events("AddressesRefused").count == 1)
        #expect(world.finalizers("web").isEmpty)
        await controller.stop()
    }

    @Test("lost answers and old versions do not change the result")
    func faults() async throws {
        let world = try await Fixture()
        for fault: FakeFaultKind in [.loseApplied, .lose, .conflict, .throttle, .conflict, .loseApplied] {
            world.kube.fail(fault.fault("PATCH", "/services/"))
        }
        world.kube.fail(FakeFaultKind.loseApplied.fault("POST", "/events"))
        let controller = try world.start()
        for number in 0..<6 { world.putLoadBalancer("web-\(number)") }
        try await until { (0..<6).allSatisfy { Fixture.addresses(world.service("web-\($0)")).count == 2 } }
        await controller.idle()
        let shown = (0..<6).flatMap { Fixture.addresses(world.service("web-\($0)")) }
        #expect(Set(shown).count == 12)
        let held = try await world.held(.listServices)
        for number in 0..<6 {
            #expect(held["web-\(number)"] == Fixture.addresses(world.service("web-\(number)")))
            #expect(world.finalizers("web-\(number)") == [Self.finalizer])
        }
        await controller.stop()
    }
}

extension Int {
    fileprivate var isZero: Bool { self == 0 }
}

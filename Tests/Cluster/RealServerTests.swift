import KubeAPI
import KubeSupport
import TandemAPI
import TestSupport
import Testing

/// The assumptions of the client's tests about a server, tested against a real one.
@Suite("A real kube-apiserver", .enabled(if: KubeCluster.folder != nil, "by make cluster-test"), .serialized)
struct RealServerTests {
    private func node(_ name: String) -> JSONValue { ["kind": "Node", "metadata": ["name": .string(name)]] }

    private func code<Value>(_ request: () async throws(KubeError) -> Value) async -> KubeError.Code? {
        do throws(KubeError) {
            _ = try await request()
            return nil
        } catch {
            return error.code
        }
    }

    private func ranges(_ all: [String], uid: JSONValue?, version: JSONValue? = nil) -> JSONValue {
        var metadata: JSONValue = [:]
        metadata["uid"] = uid
        metadata["resourceVersion"] = version
        return [
            "metadata": metadata,
            "spec": ["podCIDR": .string(all[0]), "podCIDRs": .array(all.map { .string($0) })],
        ]
    }

    @Test("nodes: lists by pages, ranges that are set once, and the refusals")
    func nodes() async throws {
        let cluster = try await KubeCluster()
        var configuration = try cluster.configuration()
        configuration.pageSize = 2
        let client = KubeClient(configuration)
        for number in 1...5 { try await client.create(node("n\(number)"), in: .nodes) }
        let list = try await client.list(.nodes)
        #expect(list.items.map { $0["metadata"]?["name"]?.stringValue } == (1...5).map { "n\($0)" })
        #expect(list.items.allSatisfy { $0["metadata"]?["managedFields"] == nil })

        let name = KubeObjectName.node("n1")
        let metadata = list.items[0]["metadata"]
        let (uid, version) = (metadata?["uid"], metadata?["resourceVersion"])
        let both = ["10.244.0.0/24", "fd00:10:244::/80"]
        #expect(
            await code { () throws(KubeError) in try await client.patch(name, ranges(both, uid: "another")) }
                == .invalid)
        let set = try await client.patch(name, ranges(both, uid: uid, version: version))
        #expect(set["spec"]?["podCIDRs"]?.arrayValue?.map(\.stringValue) == both)
        // The same again is no change.
        let again = try await client.patch(name, ranges(both, uid: uid))
        #expect(again["metadata"]?["resourceVersion"] == set["metadata"]?["resourceVersion"])
        #expect(
            await code { () throws(KubeError) in try await client.patch(name, ranges(both, uid: uid, version: version))
            }
                == .conflict)
        let other = ["10.244.1.0/24", "fd00:10:244::/80"]
        #expect(
            await code { () throws(KubeError) in try await client.patch(name, ranges(other, uid: uid)) } == .invalid)
        // A second family comes too late.
        let second = list.items[1]["metadata"]?["uid"]
        try await client.patch(.node("n2"), ranges(["10.244.2.0/24"], uid: second))
        let grown = ranges(["10.244.2.0/24", "fd00:10:244:0:1::/80"], uid: second)
        #expect(await code { () throws(KubeError) in try await client.patch(.node("n2"), grown) } == .invalid)
        try await client.delete(name)
        #expect(await code { () throws(KubeError) in try await client.get(name) } == .notFound)
        #expect(await code { () throws(KubeError) in try await client.create(node("n2"), in: .nodes) } == .conflict)

        // A client without the right, and one without an identity.
        let stranger = KubeClient(try cluster.configuration(KubeCluster.controller))
        #expect(await code { () throws(KubeError) in try await stranger.list(.nodes) } == .forbidden)
        let nobody = KubeClient(try cluster.configuration("nobody"))
        #expect(await code { () throws(KubeError) in try await nobody.list(.nodes) } == .unauthorized)
    }

    @Test("services: addresses and a finalizer in one patch of the status, and the way back")
    func services() async throws {
        let cluster = try await KubeCluster()
        let client = KubeClient(try cluster.configuration())
        let object = try JSONValue(
            parsing:
                #"{"metadata":{"name":"s"},"spec":{"type":"LoadBalancer","ports":[{"port":80}],"ipFamilyPolicy":"PreferDualStack"}}"#
        )
        let made = try await client.create(object, in: KubeCollection(.services, namespace: "default"))
        #expect(made["spec"]?["clusterIPs"]?.arrayValue?.count == 2)
        let name = KubeObjectName.service("default", "s")
        let ingress = try JSONValue(parsing: #"[{"ip":"192.0.2.1"},{"ip":"2001:db8::1"}]"#)
        let patch: JSONValue = [
            "metadata": [
                "uid": made["metadata"]?["uid"] ?? .null,
                "resourceVersion": made["metadata"]?["resourceVersion"] ?? .null,
                "finalizers": ["service.kubernetes.io/load-balancer-cleanup"],
            ], "status": ["loadBalancer": ["ingress": ingress]],
        ]
        let patched = try await client.patch(name, .status, patch)
        #expect(patched["status"]?["loadBalancer"]?["ingress"] == ingress)
        #expect(patched["metadata"]?["finalizers"]?.arrayValue?.count == 1)
        #expect(await code { () throws(KubeError) in try await client.patch(name, .status, patch) } == .conflict)

        try await client.delete(name)
        #expect(try await client.get(name)["metadata"]?["deletionTimestamp"] != nil)
        let end: JSONValue = ["metadata": ["finalizers": []], "status": ["loadBalancer": ["ingress": .null]]]
        try await client.patch(name, .status, end)
        #expect(await code { () throws(KubeError) in try await client.get(name) } == .notFound)

        try await client.report(
            KubeEvent(about: made, kind: "Service", .warning, reason: "RangeFull", "no address is free"))
        let events = try await client.list(KubeCollection(.events, namespace: "default"))
        #expect(events.items.contains { $0["reason"] == "RangeFull" && $0["involvedObject"]?["name"] == "s" })
    }

    @Test("watches: living pods alone, versions that are gone or still to come")
    func watches() async throws {
        let cluster = try await KubeCluster()
        var configuration = try cluster.configuration()
        configuration.watchHeadTimeout = .seconds(3)
        configuration.watchSilence = .seconds(3)
        let client = KubeClient(configuration)
        let list = try await client.list(.livingPods)
        #expect(list.items.isEmpty)
        var events = try await client.watch(.livingPods, from: list.version).makeAsyncIterator()
        let pod = try JSONValue(
            parsing: #"{"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"i"}]}}"#)
        let made = try await client.create(pod, in: KubeCollection(.pods, namespace: "default"))
        try await client.patch(.pod("default", "p"), .status, ["status": ["phase": "Failed"]])
        guard case .added(let added)? = try await events.next(), case .deleted(let deleted)? = try await events.next()
        else {
            Issue.record("it was not added, or not deleted")
            return
        }
        #expect(added["kind"] == "PartialObjectMetadata" && added["metadata"]?["uid"] == made["metadata"]?["uid"])
        #expect(deleted["metadata"]?["uid"] == made["metadata"]?["uid"])
        #expect(try await client.list(.livingPods).items.isEmpty)
        #expect(try await client.list(KubeCollection(.pods)).items.count == 1)

        let future = String((Int(list.version) ?? 0) + 1_000_000)
        #expect(
            await code { () throws(KubeError) in
                var events = try await client.watch(.livingPods, from: future).makeAsyncIterator()
                return try await events.next()
            } == .timedOut)
        // One that the server ends.
        var short = try await client.watch(.nodes, from: list.version, timeout: .seconds(1)).makeAsyncIterator()
        #expect(try await short.next() == nil)

        // HTTP 200, and a line: it does not know versions from before its start.
        cluster.crash()
        try await cluster.start()
        var old = try await client.watch(.livingPods, from: "1").makeAsyncIterator()
        do {
            _ = try await old.next()
            Issue.record("it knows of version 1")
        } catch {
            #expect(error.code == .gone && error.reason == "Expired")
        }
    }

    @Test("a follower goes on behind a kill -9 of the server, and a leader leads on")
    func restart() async throws {
        let cluster = try await KubeCluster()
        let client = KubeClient(try cluster.configuration())
        let (told, led) = (Noted<KubeChange>(), Noted<String>())
        let follower = Task { for await change in client.follow(.nodes) { told.add(change) } }
        try await client.create(
            ["metadata": ["name": "tandem"]], in: KubeCollection(KubeResource(plural: "namespaces")))
        let lease = KubeObjectName.lease("tandem", "tandem-controller")
        var timing = LeaderElection.Timing()
        timing.duration = .seconds(90)
        timing.giveUp = .seconds(80)
        timing.interval = .milliseconds(100)
        let elector = LeaderElector(client, lease: lease, identity: "one", timing: timing)
        let leader = Task { await elector.run(onElected: { led.add("elected") }, onLost: { led.add("lost: \($0)") }) }
        while told.all.isEmpty || led.all.isEmpty { await Task.yield() }

        cluster.crash()
        try await cluster.start()
        try await client.create(node("n1"), in: .nodes)
        func hasNode() -> Bool {
            told.all.contains { change in
                switch change {
                case .replaced(let objects, _): objects.contains { $0["metadata"]?["name"] == "n1" }
                case .changed(let object): object["metadata"]?["name"] == "n1"
                default: false
                }
            }
        }
        while !hasNode() { await Task.yield() }
        let renewed = try await client.get(lease)["spec"]?["renewTime"]
        while try await client.get(lease)["spec"]?["renewTime"] == renewed {}
        #expect(led.all == ["elected"])
        follower.cancel()
        leader.cancel()
        await leader.value
        let left = try await client.get(lease)
        #expect(left["spec"]?["holderIdentity"] == "")

        // Three digits are too few.
        var wrong = left
        wrong["spec"]?["renewTime"] = "2026-01-01T00:00:00.123Z"
        #expect(await code { () throws(KubeError) in try await client.replace(lease, with: wrong) } == .badRequest)
    }
}

import KubeSupport
import TandemAPI
import TestSupport
import Testing

@testable import KubeAPI

@Suite("A client of a Kubernetes API server")
struct ClientTests {
    private let node: JSONValue = ["metadata": ["name": "n1"]]

    @Test("objects are made, read, patched, replaced, listed and deleted")
    func objects() async throws {
        let server = try await FakeAPIServer()
        let client = KubeClient(try server.configuration)
        let made = try await client.create(node, in: .nodes)
        let name = KubeObjectName.node("n1")
        #expect(try await client.get(name) == made)
        #expect(
            await failure { () throws(KubeError) in try await client.create(node, in: .nodes) }?.reason
                == "AlreadyExists")

        let patch: JSONValue = ["metadata": ["annotations": ["a/b": "ü \" ö"]]]
        let patched = try await client.patch(name, patch)
        #expect(patched["metadata"]?["annotations"]?["a/b"] == "ü \" ö")
        #expect(try await client.patch(name, patch) == patched)
        #expect(server.requests.last?.contentType == "application/merge-patch+json")

        // Over the state before the patch.
        #expect(await failure { () throws(KubeError) in try await client.replace(name, with: made) }?.code == .conflict)
        #expect(try await client.replace(name, with: patched) == patched)
        #expect(try await client.list(.nodes).items == [patched])
        try await client.delete(name)
        #expect(await failure { () throws(KubeError) in try await client.get(name) }?.code == .notFound)
        // One after the other, on one connection.
        #expect(server.connectionCount == 1)
    }

    @Test("a node's ranges are set once, and only those of the node that is meant")
    func ranges() async throws {
        let server = try await FakeAPIServer()
        let client = KubeClient(try server.configuration)
        let uid = try #require(server.put("nodes", node)["metadata"]?["uid"])
        func set(_ ranges: [String], uid: JSONValue) async -> KubeError? {
            let spec: JSONValue = ["podCIDR": .string(ranges[0]), "podCIDRs": .array(ranges.map { .string($0) })]
            return await failure { () throws(KubeError) in
                try await client.patch(.node("n1"), ["metadata": ["uid": uid], "spec": spec])
            }
        }
        #expect(await set(["10.0.0.0/24"], uid: "another")?.code == .invalid)
        #expect(await set(["10.0.0.0/24", "fd00::/80"], uid: uid) == nil)
        let version = server.version
        #expect(await set(["10.0.0.0/24", "fd00::/80"], uid: uid) == nil)
        #expect(server.version == version)
        let refused = await set(["10.0.1.0/24", "fd00::/80"], uid: uid)
        #expect(refused?.code == .invalid && refused?.reason == "Invalid" && refused?.mayHaveBeenApplied == false)
    }

    @Test("a status is a part of its own")
    func status() async throws {
        let server = try await FakeAPIServer()
        let client = KubeClient(try server.configuration)
        let service = try server.put(
            "services", #"{"metadata":{"namespace":"a","name":"s"},"spec":{"type":"LoadBalancer"}}"#)
        let ingress = try JSONValue(parsing: #"[{"ip":"192.0.2.1"},{"ip":"2001:db8::1"}]"#)
        let patch: JSONValue = [
            "metadata": ["resourceVersion": service["metadata"]?["resourceVersion"] ?? .null, "finalizers": ["f"]],
            "status": ["loadBalancer": ["ingress": ingress]],
        ]
        let name = KubeObjectName.service("a", "s")
        _ = try await client.patch(name, patch)
        #expect(server.object("services", "s", in: "a")?["status"]?["loadBalancer"] == nil)
        server.put("services", service)
        let version = server.object("services", "s", in: "a")?["metadata"]?["resourceVersion"] ?? .null
        var fresh = patch
        fresh["metadata"]?["resourceVersion"] = version
        _ = try await client.patch(name, .status, fresh)
        let stored = server.object("services", "s", in: "a")
        #expect(
            stored?["status"]?["loadBalancer"]?["ingress"]?.arrayValue?.map { $0["ip"] } == [
                "192.0.2.1", "2001:db8::1",
            ])
        #expect(stored?["metadata"]?["finalizers"] == ["f"])
        #expect(
            await failure { () throws(KubeError) in try await client.patch(name, .status, fresh) }?.code == .conflict)
    }

    @Test(
        "a refusal has the server's code, word and sentence",
        arguments: [
            (403, "Forbidden"), (409, "Conflict"), (410, "Expired"), (422, "Invalid"), (500, ""), (504, "Timeout"),
        ])
    func refusals(code: Int, reason: String) async throws {
        let server = try await FakeAPIServer()
        let client = KubeClient(try server.configuration)
        server.fail(FakeFault(.refuse(code, reason: reason, message: "no", retryAfter: 7)))
        let error = await failure { () throws(KubeError) in try await client.get(.node("n1")) }
        #expect(error?.code == KubeError.Code(rawValue: code) && error?.reason == reason && error?.message == "no")
        #expect(error?.retryAfter == .seconds(7))
        #expect(error?.mayHaveBeenApplied == (code >= 500))
        // The connection is good for more.
        #expect(await failure { () throws(KubeError) in try await client.get(.node("n1")) }?.code == .notFound)
        #expect(server.connectionCount == 1)
    }

    @Test("an answer other than a Status, such as a proxy's page, is a refusal all the same")
    func otherRefusals() {
        let error = Status.error(502, body: Array("<html>Bad Gateway</html>".utf8), retryAfter: nil)
        #expect(error.code == KubeError.Code(rawValue: 502) && error.message == "<html>Bad Gateway</html>")
        let long = Status.error(400, body: Array(String(repeating: "x", count: 10_000).utf8), retryAfter: nil)
        #expect(long.message.utf8.count == 200)
        #expect(Status.retryAfter("Fri, 31 Dec 1999 23:59:59 GMT") == nil)
        #expect(Status.retryAfter("3") == .seconds(3) && Status.retryAfter("-3") == nil)
        #expect(Status.retryAfter("9999999999") == .seconds(300))
    }

    @Test("a call told to retry later does so, as long as there is time")
    func tooMany() async throws {
        let server = try await FakeAPIServer()
        let time = ManualClock()
        let client = KubeClient(try server.configuration, clock: time.clock)
        server.put("nodes", node)
        server.fail(FakeFault(.refuse(429, reason: "TooManyRequests", retryAfter: 3), count: 2))
        _ = try await client.patch(.node("n1"), [:])
        #expect(time.pauses == [.seconds(3), .seconds(3)])
        server.fail(FakeFault(.refuse(429, reason: "TooManyRequests", retryAfter: 100), count: 9))
        let error = await failure { () throws(KubeError) in
            try await client.get(.node("n1"), timeout: .seconds(250))
        }
        #expect(error?.code == .tooManyRequests && error?.retryAfter == .seconds(100))
        #expect(time.pauses.count == 4)
    }

    @Test("a token that was replaced is read again: each minute, and where it is refused")
    func tokens() async throws {
        let server = try await FakeAPIServer()
        let time = ManualClock()
        let client = KubeClient(try server.configuration, clock: time.clock)
        _ = try await client.list(.nodes)
        server.setTokens(["token-2", "token-1"])
        time.advance(.seconds(59))
        _ = try await client.list(.nodes)
        server.setTokens(["token-2"])
        _ = try await client.list(.nodes)
        #expect(server.requests.count == 4)

        server.setTokens(["token-3", "token-2"])
        time.advance(.seconds(61))
        _ = try await client.list(.nodes)
        server.setTokens(["token-3"])
        _ = try await client.list(.nodes)
        // None was refused this time.
        #expect(server.requests.count == 6)

        // A moment without the file changes nothing; a token that stays refused is refused.
        server.write("token", "")
        time.advance(.seconds(61))
        _ = try await client.list(.nodes)
        server.setTokens(["token-4"])
        server.write("token", "wrong")
        #expect(await failure { () throws(KubeError) in try await client.list(.nodes) }?.code == .unauthorized)
        #expect(server.requests.count == 9)
    }

    @Test("no answer in time, a lost connection and a closed port are told apart")
    func noAnswer() async throws {
        let server = try await FakeAPIServer()
        var configuration = try server.configuration
        configuration.requestTimeout = .milliseconds(50)
        let hasty = KubeClient(configuration)
        server.fail(FakeFault(.hang, "PATCH", count: .max))
        let late = await failure { () throws(KubeError) in try await hasty.patch(.node("n1"), [:]) }
        #expect(late?.code == .timedOut)

        let client = KubeClient(try server.configuration)
        server.fail(FakeFault(.lose(applied: true), "POST"))
        let lost = await failure { () throws(KubeError) in try await client.create(node, in: .nodes) }
        #expect(lost?.code == .connectionLost && lost?.mayHaveBeenApplied == true)
        #expect(server.object("nodes", "n1") != nil)

        let text = server.kubeconfig(cluster: "{server: 'https://127.0.0.1:1', certificate-authority: ca.crt}")
        let nowhere = KubeClient(try KubeConfiguration.kubeconfig(server.write("nowhere", text)))
        let unreached = await failure { () throws(KubeError) in try await nowhere.get(.node("n1")) }
        #expect(unreached?.code == .notReached && unreached?.mayHaveBeenApplied == false)
    }

    @Test("a connection that was closed meanwhile costs a reader nothing, and a writer is told")
    func staleConnections() async throws {
        let server = try await FakeAPIServer()
        let client = KubeClient(try server.configuration)
        server.put("nodes", node)
        _ = try await client.get(.node("n1"))
        server.fail(FakeFault(.lose(applied: false), "GET"))
        _ = try await client.get(.node("n1"))
        server.fail(FakeFault(.lose(applied: false), "PATCH"))
        let lost = await failure { () throws(KubeError) in try await client.patch(.node("n1"), [:]) }
        #expect(lost?.code == .connectionLost && lost?.mayHaveBeenApplied == true)
        // On a connection of its own there is nothing to try again.
        server.fail(FakeFault(.lose(applied: false), "GET"))
        #expect(await failure { () throws(KubeError) in try await client.get(.node("n1")) }?.code == .connectionLost)
        // Without a request in flight no call is lost.
        _ = try await client.get(.node("n1"))
        server.cutConnections()
        _ = try await client.get(.node("n1"))
    }

    @Test("requests share the connections that there may be, and more wait for one")
    func sharing() async throws {
        let server = try await FakeAPIServer()
        var configuration = try server.configuration
        configuration.maximumConnections = 2
        configuration.maximumWaiting = 1
        let client = KubeClient(configuration)
        server.put("nodes", node)
        server.fail(FakeFault(.hang, "PATCH", count: 2))
        let stuck = (0..<2).map { _ in Task { try await client.patch(.node("n1"), [:]) } }
        while server.requests.count < 2 { await Task.yield() }
        let refusals = Noted<KubeError>()
        let more = (0..<2).map { _ in
            Task {
                let error = await failure { () throws(KubeError) in try await client.get(.node("n1")) }
                if let error { refusals.add(error) }
                return error
            }
        }
        // One of the two waits, the other is one too many.
        while refusals.all.isEmpty { await Task.yield() }
        #expect(refusals.all.first?.message.contains("too many") == true)
        #expect(server.connectionCount == 2)
        stuck[0].cancel()
        for task in more { _ = await task.value }
        #expect(refusals.all.count == 1)
        stuck[1].cancel()
        for task in stuck { #expect((await task.result.failureError as? KubeError)?.code == .cancelled) }
    }

    @Test("a cancelled call gets no answer, and neither does a call of a client that is shut down")
    func cancelling() async throws {
        let server = try await FakeAPIServer()
        let client = KubeClient(try server.configuration)
        server.fail(FakeFault(.hang))
        let task = Task { await failure { () throws(KubeError) in try await client.get(.node("n1")) } }
        while server.requests.isEmpty { await Task.yield() }
        task.cancel()
        #expect(await task.value?.code == .cancelled)
        client.shutDown()
        #expect(await failure { () throws(KubeError) in try await client.get(.node("n1")) }?.code == .cancelled)
        while server.connectionCount > 0 { await Task.yield() }
    }

    @Test("an answer that is too long or no JSON is none")
    func strangeAnswers() async throws {
        let server = try await FakeAPIServer()
        var configuration = try server.configuration
        configuration.maximumAnswerBytes = 1_000
        let client = KubeClient(configuration)
        server.fail(FakeFault(.answer(String(repeating: " ", count: 1_001))))
        #expect(await failure { () throws(KubeError) in try await client.get(.node("n1")) }?.code == .tooLarge)
        server.fail(FakeFault(.answer("{")))
        #expect(await failure { () throws(KubeError) in try await client.get(.node("n1")) }?.code == .malformedAnswer)
        server.fail(FakeFault(.answer("{}")))
        #expect(await failure { () throws(KubeError) in try await client.list(.nodes) }?.code == .malformedAnswer)
    }

    @Test("an event is said in its object's namespace, or in default")
    func events() async throws {
        let server = try await FakeAPIServer()
        let client = KubeClient(try server.configuration)
        let service = try server.put("services", #"{"metadata":{"namespace":"a","name":"s"}}"#)
        try await client.report(
            KubeEvent(
                about: service, kind: "Service", .warning, reason: "RangeFull", String(repeating: "é", count: 600)))
        try await client.report(
            KubeEvent(about: server.put("nodes", node), kind: "Node", .normal, reason: "Adopted", "m"))
        let events = server.objects("events")
        #expect(events.map { $0["metadata"]?["namespace"] } == ["a", "default"])
        let event = try #require(events.first)
        #expect(event["involvedObject"]?["uid"] == service["metadata"]?["uid"])
        #expect(event["involvedObject"]?["kind"] == "Service" && event["type"] == "Warning")
        #expect(event["reason"] == "RangeFull" && event["count"] == 1)
        #expect(event["message"]?.stringValue?.utf8.count == 1_024)
        #expect(event["metadata"]?["name"]?.stringValue?.hasPrefix("s.") == true)
        #expect(event["source"]?["component"] == "tandem-controller")
        #expect(event["firstTimestamp"]?.stringValue?.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/) != nil)
    }

    @Test("names and selectors are written as a path may have them")
    func paths() {
        #expect(KubeObjectName.service("a/b", "c d").path(.status) == "/api/v1/namespaces/a%2Fb/services/c%20d/status")
        #expect(KubeObjectName.lease("n", "l").path() == "/apis/coordination.k8s.io/v1/namespaces/n/leases/l")
        #expect(
            KubeCollection.livingPods.path([("limit", "5")])
                == "/api/v1/pods?fieldSelector=status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed&limit=5")
        #expect("\u{1}ü".percentEncoded == "%01%C3%BC")
        #expect(ServerURL("https://h:1/p//")?.description == "https://h:1/p")
        #expect(ServerURL("https://h/p?q") == nil && ServerURL("https:///p") == nil && ServerURL("h:1") == nil)
    }
}

extension Result {
    var failureError: Failure? { if case .failure(let error) = self { error } else { nil } }
}

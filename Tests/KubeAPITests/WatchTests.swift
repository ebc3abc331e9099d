import KubeSupport
import TandemAPI
import TestSupport
import Testing

@testable import KubeAPI

@Suite("Lists and watches")
struct WatchTests {
    private func pod(_ name: String, phase: String = "Running", managed: Bool = false) throws -> JSONValue {
        let fields = managed ? #","managedFields":[{"manager":"kubelet"}]"# : ""
        return try JSONValue(
            parsing: #"{"metadata":{"namespace":"a","name":"\#(name)"\#(fields)},"status":{"phase":"\#(phase)"}}"#)
    }

    private func name(_ object: JSONValue) -> String { object["metadata"]?["name"]?.stringValue ?? "" }

    @Test("a list comes by pages, all of one moment")
    func pages() async throws {
        let server = try await FakeAPIServer()
        var configuration = try server.configuration
        #expect(configuration.pageSize == 500)
        configuration.pageSize = 3
        let client = KubeClient(configuration)
        for number in 0..<8 { server.put("pods", try pod("p\(number)", managed: true)) }
        server.put("pods", try pod("q", phase: "Failed"))
        let list = try await client.list(.livingPods)
        #expect(list.items.map(name) == (0..<8).map { "p\($0)" })
        #expect(list.version == String(server.version))
        #expect(server.requests.count == 3)
        #expect(server.requests.allSatisfy { $0.query["resourceVersion"] == nil && $0.query["limit"] == "3" })
        #expect(
            list.items.allSatisfy { $0["kind"] == "PartialObjectMetadata" && $0["metadata"]?["managedFields"] == nil })
        let all = try await client.list(KubeCollection(.pods, namespace: "a"))
        #expect(all.items.count == 9 && all.items.allSatisfy { $0["status"] != nil })
        #expect(try await client.list(KubeCollection(.pods, namespace: "b")).items.isEmpty)
    }

    @Test("a list whose pages the server has forgotten begins anew, once")
    func forgottenPages() async throws {
        let server = try await FakeAPIServer()
        var configuration = try server.configuration
        configuration.pageSize = 3
        let client = KubeClient(configuration)
        for number in 0..<4 { server.put("pods", try pod("p\(number)")) }
        server.fail(FakeFault(.refuse(410, reason: "Expired"), "GET", "continue="))
        #expect(try await client.list(KubeCollection(.pods)).items.map(name) == ["p0", "p1", "p2", "p3"])
        server.fail(FakeFault(.refuse(410, reason: "Expired"), "GET", "continue=", count: 2))
        #expect(await failure { () throws(KubeError) in try await client.list(KubeCollection(.pods)) }?.code == .gone)
    }

    @Test("an empty list may have null for its items")
    func emptyList() throws {
        var pages = ListPages(.nodes, pageSize: 5)
        let list = try pages.receive(
            JSONValue(parsing: #"{"metadata":{"resourceVersion":"7","continue":""},"items":null}"#))
        #expect(list == KubeList(items: [], version: "7"))
    }

    @Test("pages without end are too many")
    func endlessPages() throws {
        var pages = ListPages(.nodes, pageSize: 5)
        let page = try JSONValue(parsing: #"{"metadata":{"resourceVersion":"7","continue":"c"},"items":[]}"#)
        for _ in 0..<ListPages.maximumCount { #expect(try pages.receive(page) == nil) }
        let error = #expect(throws: KubeError.self) { try pages.receive(page) }
        #expect(error?.code == .tooLarge)
    }

    /// Watches from where the server is.
    private func watch(
        _ server: FakeAPIServer, _ collection: KubeCollection = .livingPods,
        change: (inout KubeConfiguration) -> Void = { _ in }
    ) async throws -> (client: KubeClient, events: KubeWatch.AsyncIterator) {
        var configuration = try server.configuration
        change(&configuration)
        let client = KubeClient(configuration)
        return (client, try await client.watch(collection, from: String(server.version)).makeAsyncIterator())
    }

    @Test("a watch sends changes, and ends in an orderly way")
    func changes() async throws {
        let server = try await FakeAPIServer()
        var (_, events) = try await watch(server)
        server.put("pods", try pod("p", managed: true))
        server.put("pods", try pod("other", phase: "Failed"))
        server.bookmark()
        server.put("pods", try pod("p"))
        server.put("pods", try pod("p", phase: "Failed"))
        let version = server.version - 2
        guard case .added(let added) = try await events.next() else {
            Issue.record("nothing was added")
            return
        }
        #expect(name(added) == "p" && added["kind"] == "PartialObjectMetadata")
        #expect(added["metadata"]?["managedFields"] == nil)
        #expect(try await events.next() == .bookmark(version: String(version)))
        guard case .modified = try await events.next(), case .deleted(let deleted) = try await events.next() else {
            Issue.record("it was not changed, or not deleted")
            return
        }
        #expect(deleted["metadata"]?["resourceVersion"]?.stringValue == String(server.version))
        server.endWatches()
        #expect(try await events.next() == nil)
        let request = try #require(server.requests.first { $0.isWatch })
        #expect(request.query["allowWatchBookmarks"] == "true" && request.query["timeoutSeconds"] == "300")
        #expect(request.accept.contains("as=PartialObjectMetadata;"))
    }

    @Test("a version that is forgotten is gone: as a line, and as a status")
    func gone() async throws {
        let server = try await FakeAPIServer()
        var (client, events) = try await watch(server)
        let old = String(server.version - 1)
        server.compact()
        events = try await client.watch(.nodes, from: old).makeAsyncIterator()
        do {
            _ = try await events.next()
            Issue.record("nothing was wrong")
        } catch {
            #expect(error.code == .gone && error.reason == "Expired")
        }
        server.fail(FakeFault(.refuse(410, reason: "Gone"), "WATCH"))
        #expect(await failure { () throws(KubeError) in try await client.watch(.nodes, from: old) }?.code == .gone)
    }

    @Test("a version that is still to come is timed out by one's own clock")
    func future() async throws {
        let server = try await FakeAPIServer()
        var configuration = try server.configuration
        configuration.watchHeadTimeout = .milliseconds(50)
        let client = KubeClient(configuration)
        let version = String(server.version + 10)
        #expect(
            await failure { () throws(KubeError) in try await client.watch(.nodes, from: version) }?.code == .timedOut)
    }

    @Test("a line that is torn is no line", arguments: [true, false])
    func tornLine(cutsConnection: Bool) async throws {
        let server = try await FakeAPIServer()
        server.fail(FakeFault(.tornLine(cutsConnection: cutsConnection), "WATCH"))
        var (_, events) = try await watch(server)
        do {
            let event = try await events.next()
            Issue.record("\(String(describing: event))")
        } catch {
            #expect(error.code == .connectionLost)
        }
    }

    @Test("a line of some megabytes is read, a longer one is not, and events of a later release are skipped")
    func lines() async throws {
        let server = try await FakeAPIServer()
        var (client, events) = try await watch(server, .nodes) { $0.maximumLineBytes = 3 << 20 }
        let long: JSONValue = [
            "metadata": ["name": "n", "annotations": ["a": .string(String(repeating: "x", count: 2 << 20))]]
        ]
        let stored = server.put("nodes", long)
        #expect(try await events.next() == .added(stored))
        server.put(
            "nodes", ["metadata": ["name": "m", "annotations": ["a": .string(String(repeating: "x", count: 3 << 20))]]])
        do {
            _ = try await events.next()
            Issue.record("it was read")
        } catch {
            #expect(error.code == .tooLarge)
        }
        server.fail(FakeFault(.line(#"{"type":"LATER","object":{}}"#), "WATCH"))
        events = try await client.watch(.nodes, from: String(server.version)).makeAsyncIterator()
        #expect(try await events.next() == nil)
        for line in [#"{"type":"ADDED"}"#, "{", "[]"] {
            server.fail(FakeFault(.line(line), "WATCH"))
            events = try await client.watch(.nodes, from: String(server.version)).makeAsyncIterator()
            do {
                _ = try await events.next()
                Issue.record("\(line) was read")
            } catch {
                #expect(error.code == .malformedAnswer)
            }
        }
    }

    @Test("cancelling a watch ends its connection")
    func cancelled() async throws {
        let server = try await FakeAPIServer()
        let client = KubeClient(try server.configuration)
        let version = String(server.version)
        let task = Task {
            await failure { () throws(KubeError) in
                var events = try await client.watch(.nodes, from: version).makeAsyncIterator()
                return try await events.next()
            }
        }
        while server.watchCount == 0 { await Task.yield() }
        task.cancel()
        #expect(await task.value?.code == .cancelled)
        while server.watchCount > 0 { await Task.yield() }
    }
}

import Foundation
import OpenSSLTLS
import ServerSupport
import TandemAPI
import TandemClient
import TestSupport
import Testing

/// `Watch` at a real server, over the stream and over HTTP.
@Suite("Watch", .serialized)
struct WatchTests {
    private static func node(_ name: String) -> JSONValue { ["node": ["metadata": ["name": .string(name)]]] }

    private static func pod(_ name: String, on node: String) -> JSONValue {
        ["pod": ["metadata": ["name": .string(name)], "spec": ["nodeName": .string(node)]]]
    }

    /// `TYPE kind/name@version`, one for each event of a line.
    private func events(_ line: JSONValue?) -> [String] {
        let events = line?["params"]?["events"] ?? line?["events"]
        return (events?.arrayValue ?? []).map { event in
            let object = event["object"]
            let name =
                object.map { "\($0["kind"]?.stringValue ?? "")/\($0["metadata"]?["name"]?.stringValue ?? "") " } ?? ""
            return "\(event["type"]?.stringValue ?? "") \(name)\(event["resourceVersion"]?.stringValue ?? "")"
        }
    }

    /// Lines until so many events have come.
    private func events(_ count: Int, of stream: LineStream) -> [String] {
        var found: [String] = []
        while found.count < count, let line = stream.receive() { found += events(line) }
        return found
    }

    @Test(
        "a watch begins with the existing objects, and goes on with changes; another goes on from a version; Unwatch ends one"
    )
    func watchesStream() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let (changes, stream) = (try LineStream(port: server.port), try LineStream(port: server.port))
        _ = changes.call(.allocateNodeCIDRs, Self.node("n1"))
        _ = changes.call(.allocatePodIPs, Self.pod("p1", on: "n1"))
        let answer = stream.call(.watch)
        #expect(answer?["result"]?["resourceVersion"] == "2")
        #expect(answer?["result"]?["subscription"] == "1")
        #expect(events(3, of: stream) == ["ADDED Node/n1 1", "ADDED Pod/p1 2", "BOOKMARK 2"])
        _ = changes.call(.allocatePodIPs, Self.pod("p2", on: "n1"))
        _ = changes.call(.release, Self.pod("p1", on: "n1"))
        #expect(events(2, of: stream) == ["ADDED Pod/p2 3", "DELETED Pod/p1 4"])

        let second = try LineStream(port: server.port)
        #expect(second.call(.watch, ["resourceVersion": "1", "limit": 1])?["result"]?["resourceVersion"] == "1")
        #expect(events(second.receive()) == ["ADDED Pod/p1 2"])
        #expect(events(2, of: second) == ["ADDED Pod/p2 3", "DELETED Pod/p1 4"])
        #expect(stream.call(.unwatch, ["subscription": "1"])?["result"] == [:])
        #expect(stream.call(.unwatch, ["subscription": "1"])?["error"]?["data"]?["status"] == "NOT_FOUND")
        _ = changes.call(.release, Self.pod("p2", on: "n1"))
        #expect(events(second.receive()) == ["DELETED Pod/p2 5"])
        #expect(stream.call(.getPools, ["kind": "Service"])?["result"] != nil, "nothing came in between")
        #expect(server.stop() == 0)
    }

    @Test("a watch is told of its kinds, its namespace and its node alone")
    func filters() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let (changes, stream) = (try LineStream(port: server.port), try LineStream(port: server.port))
        let queries: [JSONValue] = [
            ["kinds": ["Node"]], ["kinds": ["Pod", "Service"]], ["namespace": "shop"], ["nodeName": "n1"],
            ["nodeName": "n1", "kinds": ["Pod"]],
        ]
        for query in queries {
            _ = stream.call(.watch, query)
            #expect(events(stream.receive()) == ["BOOKMARK 0"])
        }
        _ = changes.call(.allocateNodeCIDRs, Self.node("n1"))
        _ = changes.call(.allocateNodeCIDRs, Self.node("n2"))
        _ = changes.call(
            .allocateServiceIPs, ["service": ["metadata": ["name": "s1", "namespace": "shop"], "spec": [:]]])
        _ = changes.call(.allocatePodIPs, Self.pod("p1", on: "n1"))
        _ = changes.call(.allocatePodIPs, Self.pod("p2", on: "n2"))
        var told: [String: [String]] = [:]
        for _ in 0..<9 {
            let line = stream.receive()
            let name = line?["params"]?["subscription"]?.stringValue ?? ""
            told[name, default: []] += events(line)
            if told.values.reduce(0, { $0 + $1.count }) == 9 { break }
        }
        #expect(
            told == [
                "1": ["ADDED Node/n1 1", "ADDED Node/n2 2"],
                "2": ["ADDED Service/s1 3", "ADDED Pod/p1 4", "ADDED Pod/p2 5"], "3": ["ADDED Service/s1 3"],
                "4": ["ADDED Node/n1 1", "ADDED Pod/p1 4"], "5": ["ADDED Pod/p1 4"],
            ])
        #expect(server.stop() == 0)
    }

    @Test("over HTTP the same comes as lines, or as server-sent events, whose last line says where a drain ended")
    func watchesHTTP() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let changes = try LineStream(port: server.port)
        _ = changes.call(.allocateNodeCIDRs, Self.node("n1"))
        let lines = try Reading.curl(server.port, "/watch?kinds=Node,Pod")
        let sent = try Reading.curl(
            server.port, "/watch?kinds=Pod&resourceVersion=1", ["-H", "Accept: text/event-stream"])
        #expect(events(lines.events()) == ["ADDED Node/n1 1"])
        #expect(events(lines.events()) == ["BOOKMARK 1"])
        _ = changes.call(.allocatePodIPs, Self.pod("p1", on: "n1"))
        #expect(events(lines.events()) == ["ADDED Pod/p1 2"])
        #expect(sent.line() == "id: 2")
        #expect(sent.line() == "event: watch")
        let data = try #require(sent.line())
        #expect(data.hasPrefix("data: "))
        #expect(events(try JSONValue(parsing: String(data.dropFirst(6)))) == ["ADDED Pod/p1 2"])
        #expect(sent.line() == "")
        #expect(server.stop() == 0)
        #expect(events(lines.events()) == ["BOOKMARK 2"])
        #expect(lines.line() == nil)
        #expect(lines.status == 0, "the body has its end")
        #expect(sent.line() == "id: 2")
    }

    @Test("objects that can't be watched are refused before any answer")
    func refuses() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let curl = Curl(port: server.port)
        func status(_ path: String, _ arguments: [String] = []) -> Int { curl.request(path, arguments).status }
        #expect(status("/watch?resourceVersion=7") == 410)
        #expect(curl.request("/watch?resourceVersion=7").json?["error"]?["data"]?["reason"] == "Expired")
        #expect(status("/watch?kinds=Ship") == 400)
        #expect(status("/watch?sort=name") == 400)
        #expect(status("/watch?nodeName=%FF") == 400)
        #expect(status("/watch", ["-X", "POST"]) == 405)
        #expect(Curl(port: server.port, role: nil).request("/watch").status == 401)
        let call = #"{"jsonrpc":"2.0","id":1,"method":"Watch"}"#
        #expect(curl.rpc(call).json?["error"]?["data"]?["reason"] == "NoStream")
        let stream = try LineStream(port: server.port)
        #expect(stream.exchange("[\(call)]").contains("NoStream"))
        let expired = stream.call(.watch, ["resourceVersion": "7"])?["error"]
        #expect(expired?["code"] == -32011)
        #expect(expired?["data"]?["status"] == "OUT_OF_RANGE")
        #expect(server.stop() == 0)
    }

    @Test("a connection has so many watches at most, and gets a place back by Unwatch")
    func limitsWatches() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let stream = try LineStream(port: server.port)
        for number in 1...64 {
            #expect(
                stream.call(.watch, ["nodeName": "n1", "resourceVersion": "0", "kinds": ["Node"]])?["result"]?[
                    "subscription"]
                    == .string(String(number)))
            #expect(events(stream.receive()) == ["BOOKMARK 0"])
        }
        #expect(stream.call(.watch)?["error"]?["data"]?["reason"] == "TooManyWatches")
        #expect(stream.call(.unwatch, ["subscription": "7"])?["result"] != nil)
        #expect(stream.call(.watch)?["result"]?["subscription"] == "65")
        #expect(events(stream.receive()) == ["BOOKMARK 0"])
        let metrics = Curl(port: server.port).request("/metrics").body
        #expect(metrics.contains("\ntandem_watches 64\n"))
        #expect(server.stop() == 0)
    }

    @Test("each role watches the objects of its rights")
    func authorises() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        func mayWatch(_ role: String, _ params: JSONValue) throws -> Bool {
            let answer = try LineStream(port: server.port, role: role).call(.watch, params)
            return answer?["result"] != nil
        }
        #expect(try mayWatch("node-n1", ["nodeName": "n1"]))
        #expect(try !mayWatch("node-n1", ["nodeName": "n2"]))
        #expect(try !mayWatch("node-n1", [:]))
        #expect(try !mayWatch("node-n1", ["nodeName": "n1", "kinds": ["Service"]]))
        #expect(try mayWatch("viewer", [:]))
        #expect(try mayWatch("services", ["kinds": ["Service"]]))
        #expect(try !mayWatch("services", [:]))
        #expect(try !mayWatch("services", ["kinds": ["Service", "Pod"]]))
        #expect(try mayWatch("pods", ["kinds": ["Node", "Pod"]]))
        #expect(try !mayWatch("pods", [:]))
        #expect(try !mayWatch("pods", ["kinds": ["Service"], "nodeName": "n1"]))
        #expect(server.stop() == 0)
    }

    @Test("a reader that takes nothing costs a bounded amount of memory, and is told that it was too slow")
    func boundsSlowReaders() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path, ServerProcess.ranges + ["--watch-history-bytes=1048576"])
        let changes = try LineStream(port: server.port)
        _ = changes.call(.allocateNodeCIDRs, Self.node("n1"))
        let slow = try WireClient(port: server.port, reads: false)
        slow.send(#"{"jsonrpc":"2.0","id":1,"method":"Watch","params":{"resourceVersion":"1"}}"# + "\n")
        // More than the sockets, and a notification, take.
        let text = String(repeating: "x", count: 48 << 10)
        for number in 0..<400 {
            let service: JSONValue = [
                "metadata": ["name": .string("s\(number % 4)"), "annotations": ["a": .string(text)]],
                "spec": ["type": "ExternalName", "externalName": "a.b"],
            ]
            let method: TandemAPI.Method = number % 8 < 4 ? .allocateServiceIPs : .release
            #expect(changes.call(method, ["service": service])?["result"] != nil)
        }
        let metrics = Curl(port: server.port).request("/metrics").body
        let kept = metrics.split(separator: "\n").first { $0.hasPrefix("tandem_watch_history_bytes ") }
        #expect(kept.flatMap { Int($0.split(separator: " ").last ?? "") } ?? .max <= 1 << 20)
        var last: JSONValue?
        var versions: [UInt64] = []
        slow.beginReading()
        _ = slow.receiveAnswer()
        while let line = slow.receiveAnswer() {
            last = line
            versions += (last?["params"]?["events"]?.arrayValue ?? []).compactMap {
                $0["resourceVersion"]?.stringValue.flatMap { UInt64($0) }
            }
            if last?["params"]?["error"] != nil { break }
        }
        #expect(versions == Array(2..<2 + UInt64(versions.count)))
        #expect(last?["params"]?["error"]?["data"]?["reason"] == "Expired")
        #expect(last?["params"]?["subscription"] == "1")
        #expect(server.stop() == 0)
    }

    @Test("tandemctl get -w shows the existing objects, and then each object as it changes")
    func showsChanges() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let changes = try LineStream(port: server.port)
        _ = changes.call(.allocateNodeCIDRs, Self.node("n1"))
        _ = changes.call(.allocatePodIPs, Self.pod("p1", on: "n1"))
        let table = try Reading.ctl(server.port, ["get", "pods", "-w"])
        let names = try Reading.ctl(server.port, ["get", "nodes,pods", "-w", "-o", "name"])
        #expect(table.line()?.hasPrefix("NAME   IP") == true)
        #expect(table.line()?.hasPrefix("p1     10.244.0.2,") == true)
        #expect(names.line() == "node/n1")
        #expect(names.line() == "pod/p1")
        _ = changes.call(.allocatePodIPs, Self.pod("p2", on: "n1"))
        #expect(table.line()?.hasPrefix("p2     10.244.0.3,") == true)
        #expect(names.line() == "pod/p2")
        #expect(Ctl(port: server.port)("get pools -w").status == 2)
        #expect(server.stop() == 0)
    }

    @Test(
        "the client's watch goes on where it was when its server is back, and begins anew where that is no longer known"
    )
    func clientGoesOn() async throws {
        let directory = ScratchDirectory()
        let ranges = ServerProcess.ranges + ["--watch-history-bytes=65536"]
        var server = try ServerProcess(directory.path, ranges)
        let port = server.port
        let client = try await TandemClient.connect(configuration(port))
        _ = try await client.call(.allocateNodeCIDRs, Self.node("n1"))
        var changes = client.watch(["kinds": ["Pod"]]).makeAsyncIterator()
        #expect(try await changes.next() == .bookmark(version: "1"))
        _ = try await client.call(.allocatePodIPs, Self.pod("p1", on: "n1"))
        #expect(name(try await changes.next()) == "added p1")
        server.crash()
        server = try ServerProcess(directory.path, ranges, port: port)
        let other = try await TandemClient.connect(configuration(port))
        _ = try await other.call(.release, Self.pod("p1", on: "n1"))
        var told = [name(try await changes.next())]
        if told == ["restarted"] {
            // Folded before the server was gone: then the existing objects.
            while told.last?.hasPrefix("bookmark") == false { told.append(name(try await changes.next())) }
            #expect(told.count <= 3)
        } else {
            #expect(told == ["deleted p1"])
        }
        await client.close()
        await other.close()
        #expect(server.stop() == 0)
    }

    private func configuration(_ port: Int) -> ClientConfiguration {
        let certificates = Certificates.shared
        return ClientConfiguration(
            host: "127.0.0.1", port: port, caFile: certificates.ca,
            identity: TLSIdentity(
                certificateChainFile: certificates.certificate("admin"), privateKeyFile: certificates.key("admin")))
    }

    private func name(_ change: WatchedChange?) -> String {
        switch change {
        case .added(let object): "added \(object["metadata"]?["name"]?.stringValue ?? "")"
        case .modified(let object): "modified \(object["metadata"]?["name"]?.stringValue ?? "")"
        case .deleted(let object): "deleted \(object["metadata"]?["name"]?.stringValue ?? "")"
        case .bookmark(let version): "bookmark \(version)"
        case .restarted: "restarted"
        case nil: "end"
        }
    }

    @Test("after a kill -9 a watch goes on where it was, and is told of each change once")
    func resumesAfterKill() throws {
        let directory = ScratchDirectory()
        var server = try ServerProcess(directory.path)
        var changes = try LineStream(port: server.port)
        _ = changes.call(.allocateNodeCIDRs, Self.node("n1"))
        var stream = try LineStream(port: server.port)
        _ = stream.call(.watch, ["resourceVersion": "1"])
        for number in 0..<20 { _ = changes.call(.allocatePodIPs, Self.pod("p\(number)", on: "n1")) }
        let first = events(10, of: stream)
        server.crash()
        server = try ServerProcess(directory.path)
        (changes, stream) = (try LineStream(port: server.port), try LineStream(port: server.port))
        let place = first.last?.split(separator: " ").last.map { JSONValue.string(String($0)) } ?? ""
        let answer = stream.call(.watch, ["resourceVersion": place])
        if answer?["result"] != nil {
            let rest = events(21 - first.count - 1, of: stream)
            #expect((first + rest) == (0..<20).map { "ADDED Pod/p\($0) \($0 + 2)" })
        } else {
            #expect(answer?["error"]?["data"]?["reason"] == "Expired", "folded changes are gone")
        }
        #expect(server.stop() == 0)
    }
}

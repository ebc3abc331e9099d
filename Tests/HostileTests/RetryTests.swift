import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing

/// Clients that go away, ask again, have no more time or race one another, over the sockets of a real server.
@Suite("Retries over real sockets", .serialized)
struct RetryTests {
    enum Transport: String, CaseIterable {
        case stream = "jsonrpc"
        case http = "http/1.1"
    }

    /// The request of a client.
    struct Change: Equatable {
        enum Kind: String, CaseIterable { case service, pod }

        var kind: Kind
        var name: String

        var method: TandemAPI.Method { kind == .service ? .allocateServiceIPs : .allocatePodIPs }

        var object: JSONValue {
            let metadata: JSONValue = ["name": .string(name)]
            return switch kind {
            case .service: ["metadata": metadata, "spec": ["ipFamilyPolicy": "RequireDualStack"]]
            case .pod: ["metadata": metadata, "spec": ["nodeName": "n1"]]
            }
        }

        func message(timeoutMs: Int? = nil) -> String {
            var params: JSONValue = [:]
            params[kind.rawValue] = object
            if let timeoutMs { params["timeoutMs"] = .number(String(timeoutMs)) }
            return RetryTests.message(method, params)
        }

        /// The addresses in an answer's result, of both families.
        func addresses(_ result: JSONValue?) -> [JSONValue] {
            switch kind {
            case .service: result?["service"]?["spec"]?["clusterIPs"]?.arrayValue ?? []
            case .pod: result?["pod"]?["status"]?["podIPs"]?.arrayValue?.compactMap { $0["ip"] } ?? []
            }
        }
    }

    private static func message(_ method: TandemAPI.Method, _ params: JSONValue = [:]) -> String {
        let request: JSONValue = ["jsonrpc": "2.0", "id": 1, "method": .string(method.rawValue), "params": params]
        return request.text.description
    }

    /// One message and its answer, on a connection of its own; nil where none came within half a minute.
    private func ask(_ message: String, _ server: ServerProcess, over transport: Transport = .http) throws -> JSONValue?
    {
        guard transport == .stream else { return Curl(port: server.port).rpc(message).json }
        let client = try WireClient(port: server.port)
        client.begin(message + "\n")
        return client.receiveAnswer()
    }

    /// Sends a change and goes away without reading, once `isTime`.
    private func drop(
        _ change: Change, _ server: ServerProcess, over transport: Transport, abruptly: Bool, once isTime: () -> Bool
    ) throws {
        let client = try WireClient(port: server.port, protocols: [transport.rawValue], reads: false)
        let text = change.message()
        client.begin(
            transport == .stream
                ? text + "\n"
                : "POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: \(text.utf8.count)\r\n\r\n"
                    + text)
        let wasTime = becomesTrue(isTime)
        try #require(wasTime, "\(change)")
        try client.leave(abruptly: abruptly)
        // The one that is left is that which asks.
        let isSeen = becomesTrue { metric("tandem_connections", server) == 1 }
        try #require(isSeen, "\(change)")
    }

    private func becomesTrue(_ condition: () -> Bool) -> Bool {
        (0..<400).contains { _ in condition() }
    }

    private func metric(_ name: String, _ server: ServerProcess) -> Double? {
        let lines = Curl(port: server.port).request("/metrics").body.split(separator: "\n")
        return lines.first { $0.hasPrefix(name + " ") }.flatMap { Double($0.dropFirst(name.count + 1)) }
    }

    private func isStored(_ change: Change, _ server: ServerProcess) -> Bool {
        var params: JSONValue = [:]
        params[change.kind.rawValue] = ["metadata": ["name": .string(change.name)]]
        let get = Self.message(change.kind == .service ? .getService : .getPod, params)
        return (try? ask(get, server))?["result"] != nil
    }

    /// Everything that was given is there, whole, once, and nothing else is taken.
    private func expectSound(_ server: ServerProcess, _ given: [(change: Change, addresses: [JSONValue])]) throws {
        let all = given.flatMap(\.addresses)
        #expect(Set(all.map { "\($0)" }).count == all.count && all.count == 2 * given.count)
        for (change, addresses) in given {
            let again = try ask(change.message(), server)?["result"]
            #expect(again?["replayed"] == true, "\(change)")
            #expect(change.addresses(again) == addresses, "\(change)")
        }
        for kind in Change.Kind.allCases {
            let count = given.count { $0.change.kind == kind }
            let list = try ask(Self.message(kind == .service ? .listServices : .listPods), server)
            #expect(list?["result"]?["items"]?.arrayValue?.count == count)
            let pools = try ask(Self.message(.getPools), server)?["result"]?["pools"]?.arrayValue ?? []
            let taken = pools.filter { $0["kind"]?.stringValue?.lowercased() == kind.rawValue }.map { $0["allocated"] }
            #expect(taken == [.string(String(count)), .string(String(count))], "\(kind)")
        }
        let check = Ctl(port: server.port)("check")
        #expect(check.status == 0, "\(check.output) \(check.errors)")
    }

    @Test(
        "a client that disconnects before the commit, or before it read the answer, and retries gets the whole allocation once",
        .enabled(if: StalledStorage.isAllowed), arguments: Transport.allCases)
    func survivesDrops(_ transport: Transport) throws {
        let directory = ScratchDirectory()
        var server = try ServerProcess(directory.path)
        var given: [(change: Change, addresses: [JSONValue])] = []
        /// nil where it may be either: the change of a client that has left before the journal takes it is dropped.
        func retry(_ change: Change, isReplayed: Bool?) throws {
            let result = try ask(change.message(), server, over: transport)?["result"]
            if let isReplayed { #expect((result?["replayed"] == true) == isReplayed, "\(change)") }
            #expect(change.addresses(result).count == 2, "\(change): \(String(describing: result))")
            given.append((change, change.addresses(result)))
        }
        for kind in Change.Kind.allCases {
            for isAbrupt in [false, true] {
                let early = Change(kind: kind, name: "early-\(isAbrupt)")
                let storage = try StalledStorage(server)
                try drop(early, server, over: transport, abruptly: isAbrupt) {
                    metric("tandem_journal_queue", server) == 1
                }
                storage.goOn()
                try retry(early, isReplayed: nil)

                let late = Change(kind: kind, name: "late-\(isAbrupt)")
                try drop(late, server, over: transport, abruptly: isAbrupt) { isStored(late, server) }
                try retry(late, isReplayed: true)

                // Killed before the commit: nothing was kept, and nothing is known of it.
                let lost = Change(kind: kind, name: "lost-\(isAbrupt)")
                let hung = try StalledStorage(server)
                try drop(lost, server, over: transport, abruptly: isAbrupt) {
                    metric("tandem_journal_queue", server) == 1
                }
                server.crash()
                hung.goOn()
                server = try ServerProcess(directory.path)
                try retry(lost, isReplayed: false)
            }
        }
        try expectSound(server, given)
        server.crash()
        server = try ServerProcess(directory.path)
        try expectSound(server, given)
        #expect(server.stop() == 0)
    }

    @Test(
        "a call whose time runs out while storage stands still gets an answer; its retry finds the committed result, or nothing",
        .enabled(if: StalledStorage.isAllowed), arguments: Transport.allCases)
    func keepsDeadlines(_ transport: Transport) throws {
        let directory = ScratchDirectory()
        var server = try ServerProcess(directory.path)
        func expectLate(_ answer: JSONValue?, _ change: Change) {
            let error = answer?["error"]
            #expect(error?["code"] == -32004, "\(change): \(String(describing: answer))")
            #expect(error?["data"]?["status"] == "DEADLINE_EXCEEDED")
            #expect(error?["data"]?["retryable"] == true)
            #expect(error?["message"]?.stringValue?.contains("took longer than 50 ms") == true)
        }
        var given: [(change: Change, addresses: [JSONValue])] = []
        let changes = Change.Kind.allCases.map { Change(kind: $0, name: "slow") }
        let storage = try StalledStorage(server)
        for change in changes {
            expectLate(try ask(change.message(timeoutMs: 50), server, over: transport), change)
            // So is the one behind it, which waits for it and not for storage.
            expectLate(try ask(change.message(timeoutMs: 50), server, over: transport), change)
        }
        // In a batch each has its own time: the others' answers come with it.
        let batch = "[\(changes[0].message(timeoutMs: 50)),\(Self.message(.getPools, ["timeoutMs": 600_000]))]"
        let answers = try ask(batch, server, over: transport)?.arrayValue
        expectLate(answers?.first, changes[0])
        #expect(answers?.last?["result"]?["pools"] != nil)
        storage.goOn()
        for change in changes {
            // The one that storage had taken is there; one that still waited when its time was over is dropped.
            let retried = try ask(change.message(timeoutMs: 600_000), server, over: transport)?["result"]
            #expect(change.addresses(retried).count == 2, "\(change)")
            given.append((change, change.addresses(retried)))
        }
        try expectSound(server, given)
        let lost = Change(kind: .service, name: "lost")
        let hung = try StalledStorage(server)
        expectLate(try ask(lost.message(timeoutMs: 50), server, over: transport), lost)
        server.crash()
        hung.goOn()
        server = try ServerProcess(directory.path)
        let retried = try ask(lost.message(), server, over: transport)?["result"]
        #expect(retried != nil && retried?["replayed"] != true)
        given.append((lost, lost.addresses(retried)))
        try expectSound(server, given)
        #expect(server.stop() == 0)
    }

    @Test(
        "calls whose time ran out still count as in flight: a client that gives up and goes on calling is refused in the end",
        .enabled(if: StalledStorage.isAllowed))
    func limitsWhoGivesUp() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let storage = try StalledStorage(server)
        let client = try WireClient(port: server.port)
        let change = Change(kind: .service, name: "web")
        for _ in 0..<1_024 { client.begin(change.message(timeoutMs: 1) + "\n") }
        for _ in 0..<1_024 { #expect(client.receive()?.occurrences(of: "DEADLINE_EXCEEDED") == 1) }
        client.begin(change.message(timeoutMs: 1) + "\n")
        #expect(client.receive()?.occurrences(of: "TooManyInFlight") == 1)
        // It has done so for itself alone.
        #expect(try ask(Self.message(.getPools), server)?["result"] != nil)
        storage.goOn()
        // Those that had no time left when storage went on are dropped.
        #expect(try ask(change.message(), server)?["result"] != nil)
        #expect(
            becomesTrue {
                client.begin(change.message() + "\n")
                return client.receive()?.occurrences(of: #""replayed":true"#) == 1
            })
        #expect(server.stop() == 0)
    }

    @Test("two clients that race for one name: one wins; the same request gets the same answer, another one a refusal")
    func racesForOneName() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let clients = try (0..<2).map { _ in try WireClient(port: server.port) }
        for round in 0..<40 {
            let isSame = round % 2 == 0
            let policies = ["RequireDualStack", isSame ? "RequireDualStack" : "SingleStack"]
            for (client, policy) in zip(clients, policies) {
                client.begin(
                    Self.message(
                        .allocateServiceIPs,
                        [
                            "service": [
                                "metadata": ["name": .string("s\(round)")], "spec": ["ipFamilyPolicy": .string(policy)],
                            ]
                        ]) + "\n")
            }
            let answers = clients.map { $0.receiveAnswer() }
            let first = answers.filter { $0?["result"] != nil && $0?["result"]?["replayed"] != true }
            #expect(first.count == 1, "\(answers)")
            let other = answers.first { $0?["result"] == nil || $0?["result"]?["replayed"] == true }
            if isSame {
                #expect(other??["result"]?["service"] == first.first??["result"]?["service"])
            } else {
                #expect(other??["error"]?["code"] == -32006)
                #expect(other??["error"]?["data"]?["reason"] == "AlreadyExists")
            }
        }
        let list = try ask(Self.message(.listServices), server)
        #expect(list?["result"]?["items"]?.arrayValue?.count == 40)
        let check = Ctl(port: server.port)("check")
        #expect(check.status == 0, "\(check.output) \(check.errors)")
        #expect(server.stop() == 0)
    }
}

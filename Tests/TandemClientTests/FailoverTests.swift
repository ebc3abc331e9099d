import NIOCore
import OpenSSLTLS
import TandemAPI
import Testing

@testable import TandemClient

@Suite("Where calls go when servers fail, on a clock of the test's own")
struct FailoverTests {
    private let done: Result<JSONValue, any Error> = .success(["result": 1])
    private let unavailable: Result<JSONValue, any Error> = .success(
        .refusal(.unavailable, reason: "ConfigurationChanged", isRetryable: true, "changed"))

    @Test("calls that a lost connection left unanswered go to the next server, each; those that were answered do not")
    func lost() throws {
        let servers = try EmbeddedServers("10.0.0.1,10.0.0.2,10.0.0.3")
        #expect(servers.connect().value != nil)
        let calls = [servers.call(.getPools), servers.call(.listNodes), servers.call(.listPods)]
        try servers.connection(0).call(1).answer(done)
        try servers.connection(0).lose()
        #expect(servers.connections.count == 2)
        #expect(try servers.connection(1).peer.host == "10.0.0.2")
        #expect(try servers.connection(1).calls.map(\.method) == [.getPools, .listPods])
        #expect(calls.map { $0.result != nil } == [false, true, false])
        for call in try servers.connection(1).calls { call.answer(done) }
        #expect(calls.allSatisfy { $0.value == 1 })
        // Later calls stay where the last one was answered.
        let next = servers.call(.listServices)
        try servers.connection(1).calls.last?.answer(done)
        #expect(next.value == 1)
        #expect(servers.tried == ["10.0.0.1", "10.0.0.2"])
    }

    @Test("calls of a batch go in one piece; of them, one that finds its server unavailable goes to the next, alone")
    func batches() throws {
        let servers = try EmbeddedServers("10.0.0.1,10.0.0.2")
        _ = servers.connect()
        let calls = servers.batch([.getPools, .listNodes, .listPods])
        #expect(try servers.connection(0).pieces == 1)
        try servers.connection(0).call(2).answer(done)
        try servers.connection(0).call(0).answer(.success(.refusal(.notFound)))
        try servers.connection(0).call(1).answer(unavailable)
        #expect(try servers.connection(1).calls.map(\.method) == [.listNodes])
        try servers.connection(1).call(0).answer(done)
        #expect((calls[0].error as? APIError)?.status == .notFound)
        #expect(calls[1].value == 1 && calls[2].value == 1)
        #expect(try servers.connection(0).pieces == 1)
    }

    @Test("UNAVAILABLE is taken to the next server, and the connection before is left when its last answer is there")
    func unavailableServer() throws {
        let servers = try EmbeddedServers("10.0.0.1,10.0.0.2")
        _ = servers.connect()
        let (call, slow) = (servers.call(.getPools), servers.call(.listPods))
        try servers.connection(0).call(0).answer(unavailable)
        #expect(try servers.connection(0).isRetired)
        #expect(try !servers.connection(0).isClosed)
        try servers.connection(1).call(0).answer(done)
        #expect(call.value == 1)
        try servers.connection(0).call(1).answer(done)
        #expect(slow.value == 1)
        #expect(try servers.connection(1).calls.count == 1)
    }

    @Test(
        "an error that another server would give as well is told at once",
        arguments: [
            JSONValue.refusal(.invalidArgument), .refusal(.notFound), .refusal(.alreadyExists),
            .refusal(.permissionDenied), .refusal(.failedPrecondition), .refusal(.aborted), .refusal(.unauthenticated),
            .refusal(.resourceExhausted, reason: "RangeFull", isRetryable: true),
            .refusal(.deadlineExceeded, isRetryable: true), .refusal(.unavailable, isRetryable: false),
        ])
    func told(_ answer: JSONValue) throws {
        let servers = try EmbeddedServers("10.0.0.1,10.0.0.2")
        _ = servers.connect()
        let call = servers.call()
        try servers.connection(0).call(0).answer(.success(answer))
        #expect(call.error as? APIError == (try APIError(decoding: answer["error"] ?? .null)))
        #expect(servers.tried == ["10.0.0.1"])
        let next = servers.call()
        try servers.connection(0).call(1).answer(done)
        #expect(next.value == 1)
    }

    @Test("an answer that can't be read is told, and its connection is used no more")
    func malformed() throws {
        let servers = try EmbeddedServers("10.0.0.1,10.0.0.2")
        _ = servers.connect()
        let call = servers.call()
        try servers.connection(0).call(0).answer(.failure(ClientError.malformedAnswer("it is not JSON")))
        #expect((call.error as? ClientError)?.code == .malformedAnswer)
        _ = servers.call()
        #expect(servers.connections.map(\.peer.host) == ["10.0.0.1", "10.0.0.2"])
    }

    @Test("a server that does not shake hands costs a quarter of a second; its later answer is not needed")
    func silentAtFirst() throws {
        let servers = try EmbeddedServers("10.0.0.1,10.0.0.2")
        servers.behaviours = ["10.0.0.1": .isSilent]
        let connected = servers.connect()
        servers.advance(by: .milliseconds(249))
        #expect(servers.tried == ["10.0.0.1"])
        servers.advance(by: .milliseconds(1))
        #expect(servers.tried == ["10.0.0.1", "10.0.0.2"])
        #expect(connected.value != nil)
        let late = servers.connect(servers.unopened[0].peer)
        servers.unopened[0].done(.success(late))
        #expect(late.isClosed)
        _ = servers.call()
        #expect(late.calls.isEmpty)
    }

    @Test("a server that is slow wins over one that is dead")
    func slowWins() throws {
        let servers = try EmbeddedServers("10.0.0.1,10.0.0.2")
        servers.behaviours = ["10.0.0.1": .isSilent, "10.0.0.2": .refuses]
        let connected = servers.connect()
        servers.advance(by: .seconds(1))
        #expect(connected.result == nil)
        servers.unopened[0].done(.success(servers.connect(servers.unopened[0].peer)))
        #expect(connected.value != nil)
    }

    @Test("a server that is silent with a call in flight is left after five seconds, or after half of the call's time")
    func silentLater() throws {
        for (timeout, patience) in [(60_000, 5_000), (2_000, 1_000)] as [(Int64, Int64)] {
            let servers = try EmbeddedServers("10.0.0.1,10.0.0.2")
            _ = servers.connect()
            let call = servers.call(timeout: .milliseconds(timeout))
            servers.advance(by: .milliseconds(patience - 1))
            #expect(servers.tried == ["10.0.0.1"])
            servers.advance(by: .milliseconds(1))
            #expect(servers.tried == ["10.0.0.1", "10.0.0.2"])
            try servers.connection(1).call(0).answer(done)
            #expect(call.value == 1)
            // The answer that comes late after all.
            try servers.connection(0).call(0).answer(.success(["result": 2]))
            #expect(call.value == 1)
        }
    }

    @Test("after a round over all of them a call pauses, 50 to 500 ms, and ends in time with the last error of each")
    func rounds() throws {
        let servers = try EmbeddedServers("10.0.0.1,10.0.0.2,nowhere")
        servers.names = ["nowhere": []]
        _ = servers.connect()
        servers.behaviours = ["10.0.0.2": .refuses]
        let call = servers.call(timeout: .seconds(2))
        try servers.connection(0).call(0).answer(unavailable)
        // The first is asked again, as the second refuses.
        #expect(servers.tried == ["10.0.0.1", "10.0.0.2", "10.0.0.1"])
        servers.behaviours = ["10.0.0.1": .refuses, "10.0.0.2": .refuses]
        try servers.connection(1).lose("reset")
        var times: [Int64] = []
        for time in 1..<2_000 as Range<Int64> {
            let before = servers.tried.count
            servers.advance(by: .milliseconds(1))
            if servers.tried.count > before { times.append(time) }
        }
        #expect(times == [50, 150, 350, 750, 1_250, 1_750])
        #expect(
            call.message
                == "no server answered: 10.0.0.1 port 8443: refused; nowhere port 8443: no such host; 10.0.0.2 port 8443: refused"
        )
        #expect((call.error as? ClientError)?.code == .connectionLost)
    }

    @Test("an error at the end says whether a server refused, or whether the call may have been done")
    func lastWords() throws {
        let servers = try EmbeddedServers("10.0.0.1,10.0.0.2")
        _ = servers.connect()
        let refused = servers.call(timeout: .milliseconds(40))
        try servers.connection(0).call(0).answer(unavailable)
        try servers.connection(1).lose()
        #expect((refused.error as? APIError)?.reason == "ConfigurationChanged")
        #expect((refused.error as? APIError)?.isRetryable == true)
        #expect(
            refused.message.hasPrefix("no server answered: 10.0.0.1 port 8443: changed; 10.0.0.2 port 8443: the conn"))
        let unknown = servers.call(timeout: .milliseconds(40))
        servers.behaviours = ["10.0.0.2": .refuses, "10.0.0.1": .refuses]
        servers.connections.last?.lose()
        #expect((unknown.error as? ClientError)?.code == .connectionLost)
    }

    @Test("the server whose failure is the longest ago comes first")
    func order() throws {
        let servers = try EmbeddedServers("10.0.0.1,10.0.0.2,10.0.0.3")
        _ = servers.connect()
        for _ in 0..<5 {
            let call = servers.call()
            servers.connections.last?.lose()
            servers.connections.last?.calls.last?.answer(done)
            #expect(call.value == 1)
        }
        #expect(servers.tried.map(\.last) == ["1", "2", "3", "1", "2", "3"])
    }

    @Test("each address of a name is a server of its own; each is verified under the name that it came by")
    func names() throws {
        let servers = try EmbeddedServers("tandem.test:1")
        servers.names = ["tandem.test": ["10.0.0.1", "10.0.0.2"]]
        _ = servers.connect()
        let call = servers.call()
        try servers.connection(0).lose()
        try servers.connection(1).call(0).answer(unavailable)
        #expect(call.result == nil)
        servers.advance(by: .milliseconds(50))
        try servers.connection(2).call(0).answer(done)
        #expect(call.value == 1)
        #expect(servers.tried == ["10.0.0.1", "10.0.0.2", "10.0.0.1"])
    }

    @Test("with one server nothing is sent again, and its connection does not come back")
    func alone() throws {
        let servers = try EmbeddedServers("10.0.0.1")
        _ = servers.connect()
        let calls = [servers.call(), servers.call(), servers.call(timeout: .seconds(20))]
        try servers.connection(0).call(0).answer(unavailable)
        #expect(calls[0].message == "changed")
        try servers.connection(0).call(1).answer(.failure(ClientError.connectionLost("reset")))
        #expect(calls[1].message == "the connection was lost: reset")
        servers.advance(by: .milliseconds(19_999))
        #expect(calls[2].result == nil)
        servers.advance(by: .milliseconds(1))
        #expect((calls[2].error as? ClientError)?.code == .timedOut)
        #expect(servers.tried == ["10.0.0.1"])
        let dead = try EmbeddedServers("10.0.0.1")
        dead.behaviours = ["10.0.0.1": .refuses]
        #expect(dead.connect().message == "can't reach the server: 10.0.0.1 port 8443: refused")
    }

    @Test("certificates that no side takes end a call at once")
    func certificates() throws {
        let servers = try EmbeddedServers("10.0.0.1,10.0.0.2")
        _ = servers.connect()
        let call = servers.call()
        let alert = TLSError(.refusedByPeer, "unknown ca")
        try servers.connection(0).lose("unknown ca", cause: alert)
        #expect(call.result == nil)
        try servers.connection(1).lose("unknown ca", cause: alert)
        #expect((call.error as? ClientError)?.cause as? TLSError == alert)
    }

    @Test("a client that was closed sends nothing again")
    func closed() throws {
        let servers = try EmbeddedServers("10.0.0.1,10.0.0.2")
        _ = servers.connect()
        let call = servers.call()
        _ = servers.failover.close()
        #expect(try servers.connection(0).isClosed)
        try servers.connection(0).lose("it was closed")
        #expect(call.message == "the connection was lost: it was closed")
        #expect(servers.tried == ["10.0.0.1"])
    }
}

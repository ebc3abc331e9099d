import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing

/// Clients without a certificate, many and hostile: no other client is kept out, and little is logged of them.
@Suite("Strangers", .serialized)
struct StrangerTests {
    private let list = #"{"jsonrpc":"2.0","id":1,"method":"GetPools"}"# + "\n"
    private static let probe = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"

    enum Kind: CaseIterable {
        /// Through their handshake, and no word from then on.
        case silent
        /// A byte of the handshake now and then.
        case trickling
        /// A probe a second over a connection that stays, and another one whenever it is closed.
        case probing
        /// Nothing at all.
        case mute
    }

    /// Forty of a kind, until it goes.
    private final class Crowd: @unchecked Sendable {
        // Proof: mutable state is used by the crowd's own thread, once it exists.
        private var clients: [WireClient] = []
        private var sockets: [TCPSocket] = []
        private let isDone = DispatchSemaphore(value: 0)
        private let hasEnded = DispatchSemaphore(value: 0)

        init(_ kind: Kind, port: Int) throws {
            for index in 0..<40 {
                switch kind {
                case .silent, .probing:
                    let client = try WireClient(port: port, role: nil, protocols: ["http/1.1"])
                    client.begin(probe)
                    // The cap on strangers may have closed it again.
                    #expect(client.receive() != nil || client.isClosed, "\(index)")
                    clients.append(client)
                case .trickling, .mute: sockets.append(try #require(TCPSocket(port: port)))
                }
            }
            // The head of a TLS record that promises a ClientHello of 512 bytes.
            if kind == .trickling { for socket in sockets { socket.send([22, 3, 1, 2, 0, 1]) } }
            Thread.detachNewThread { [self] in
                while isDone.wait(timeout: .now() + 1) == .timedOut {
                    if kind == .trickling { for socket in sockets { socket.send([0]) } }
                    guard kind == .probing else { continue }
                    for index in clients.indices {
                        if clients[index].isClosed,
                            let client = try? WireClient(port: port, role: nil, protocols: ["http/1.1"])
                        {
                            clients[index] = client
                        }
                        clients[index].begin(probe)
                    }
                }
                hasEnded.signal()
            }
        }

        func end() {
            isDone.signal()
            hasEnded.wait()
        }
    }

    /// A number of `/metrics`; -1 where it has none of that name.
    private func metric(_ name: String, _ server: ServerProcess) -> Int {
        let line = Curl(port: server.port).request("/metrics").body.split(separator: "\n")
            .first { $0.hasPrefix(name + " ") }
        return line.flatMap { Int($0.dropFirst(name.count + 1)) } ?? -1
    }

    @Test("forty of them keep no client out of forty places: no administrator, and no probe", arguments: Kind.allCases)
    func keepNobodyOut(_ kind: Kind) throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(
            directory.path, ServerProcess.ranges + ["--max-connections=40", "--handshake-timeout=600"])
        let first = try WireClient(port: server.port)
        first.begin(list)
        #expect(first.receive() != nil)
        let crowd = try Crowd(kind, port: server.port)
        defer { crowd.end() }
        var held: [WireClient] = []
        for _ in 0..<15 {
            let administrator = try WireClient(port: server.port)
            administrator.begin(list)
            #expect(administrator.receiveAnswer()?["result"] != nil)
            held.append(administrator)
            let stranger = Curl(port: server.port, role: nil)
            for path in ["/livez", "/readyz"] { #expect(stranger.request(path).status == 200) }
        }
        // No connection with a certificate was closed for any of that.
        for client in held + [first] {
            client.begin(list)
            #expect(client.receiveAnswer()?["result"] != nil)
        }
        #expect(metric("tandem_connections_evicted_total", server) >= 15)
        #expect(metric("tandem_connections", server) <= 40)
        #expect(server.stop() == 0)
        #expect(!server.log.text.contains("connections are refused"))
    }

    @Test("one identity with as many connections as there are places keeps half of them, and no other client out")
    func oneIdentityKeepsHalf() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path, ServerProcess.ranges + ["--max-connections=40"])
        var greedy: [WireClient] = []
        for _ in 0..<60 {
            let client = try WireClient(port: server.port, role: "viewer")
            client.begin(list)
            #expect(client.receiveAnswer()?["result"] != nil)
            greedy.append(client)
        }
        var held: [WireClient] = []
        for _ in 0..<8 {
            let administrator = try WireClient(port: server.port)
            administrator.begin(list)
            #expect(administrator.receiveAnswer()?["result"] != nil)
            held.append(administrator)
            #expect(Curl(port: server.port, role: nil).request("/livez").status == 200)
        }
        // The first half of its connections stays, and those of the others.
        for client in greedy[..<20] + held {
            client.begin(list)
            #expect(client.receiveAnswer()?["result"] != nil)
        }
        #expect(greedy[20..<48].allSatisfy { $0.isClosedByServer() })
        #expect(metric("tandem_connections", server) <= 40)
        #expect(server.stop() == 0)
    }

    @Test(
        "clients without a certificate after their handshake have a quarter of the places at most, though there are others left"
    )
    func haveOwnCap() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path, ServerProcess.ranges + ["--max-connections=40"])
        var clients: [WireClient] = []
        for _ in 0..<12 {
            let client = try WireClient(port: server.port, role: nil)
            client.begin(list)
            #expect(client.receiveAnswer()?["error"] != nil)
            clients.append(client)
        }
        // The oldest went first.
        #expect(clients[0].isClosedByServer() && clients[1].isClosedByServer())
        for client in clients[2...] {
            client.begin(list)
            #expect(client.receiveAnswer()?["error"] != nil)
        }
        #expect(metric("tandem_connections_evicted_total", server) == 2)
        #expect(server.stop() == 0)
    }

    @Test("where no certificates are asked for no client is a stranger")
    func isNobody() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(
            directory.path, ServerProcess.ranges + ["--max-connections=8", "--client-auth=none"])
        let clients = try (0..<8).map { _ in
            let client = try WireClient(port: server.port, role: nil)
            client.begin(list)
            #expect(client.receiveAnswer()?["result"] != nil)
            return client
        }
        #expect(try #require(TCPSocket(port: server.port)).isClosed(within: 20))
        for client in clients {
            client.begin(list)
            #expect(client.receiveAnswer()?["result"] != nil)
        }
        #expect(server.stop() == 0)
    }

    @Test(
        "60 messages of 64 KiB of calls that change something leave the audit log as it was, and hardly a line in the log"
    )
    func areNotWrittenDown() throws {
        let directory = ScratchDirectory()
        let audit = "\(directory.path)/audit.log"
        let server = try ServerProcess("\(directory.path)/data", ServerProcess.ranges + ["--audit-log-path=\(audit)"])
        let call = #"{"jsonrpc":"2.0","id":"\#(String(repeating: "i", count: 20))","method":"Release","params":{}}"#
        let count = 64_000 / (call.utf8.count + 1)
        let batch = "[" + Array(repeating: call, count: count).joined(separator: ",") + "]\n"
        // The last ones of each may be more than is kept for a stranger.
        for protocols in [["jsonrpc"], ["http/1.1"]] {
            let stranger = try WireClient(port: server.port, role: nil, protocols: protocols)
            for _ in 0..<30 {
                if protocols == ["jsonrpc"] {
                    stranger.begin(batch)
                    #expect(stranger.receive()?.occurrences(of: "-32016") ?? 0 > 100)
                } else {
                    let answer = Curl(port: server.port, role: nil).rpc(batch).body
                    #expect(answer.matches(of: /-32016/).count > 100)
                }
            }
        }
        #expect(server.stop() == 0)
        #expect(try Data(contentsOf: URL(fileURLWithPath: audit)).isEmpty)
        #expect(60 * count > 20_000)
        #expect(server.log.text.utf8.count < 20_000, "\(server.log.text.utf8.count) bytes")
        // Events without a line of their own are in the next one, or at least counted.
        #expect(server.log.text.contains(/"calls":"\d\d\d/))
    }

    @Test("20,000 calls of one viewer that he may not make are a few lines as well; at level debug each has its own")
    func knownCallersToo() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let viewer = try WireClient(port: server.port, role: "viewer")
        let call = #"{"jsonrpc":"2.0","id":1,"method":"AllocateNodeCIDRs","params":{"node":{"metadata":{"name":"n"}}}}"#
        let batch = "[" + Array(repeating: call, count: 1_000).joined(separator: ",") + "]\n"
        for _ in 0..<20 {
            viewer.begin(batch)
            #expect(viewer.receive()?.occurrences(of: "-32007") == 1_000)
        }
        #expect(server.log.text.utf8.count < 20_000, "\(server.log.text.utf8.count) bytes")
        #expect(metric("tandem_log_suppressed_lines_total", server) > 19_000)
        server.send(SIGUSR1)
        _ = server.log.entry { $0["to"] == "debug" }
        let before = server.log.text.matches(of: /"refused"/).count
        viewer.begin("[" + Array(repeating: call, count: 50).joined(separator: ",") + "]\n")
        #expect(viewer.receive()?.occurrences(of: "-32007") == 50)
        #expect(server.stop() == 0)
        #expect(server.log.text.matches(of: /"refused"/).count == before + 50)
    }

    @Test("nothing of theirs is decoded, whatever the method, alone, in a batch, by line or by HTTP")
    func areNotDecoded() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let stranger = try WireClient(port: server.port, role: nil)
        let curl = Curl(port: server.port, role: nil)
        // A member that no method has, an object of the wrong kind, and a list in the place of an object.
        for params in [#"{"unknown":1}"#, #"{"service":7,"node":7,"pod":7,"ip":7,"limit":"x"}"#, "[]"] {
            for method in TandemAPI.Method.allCases where method != .discover {
                for call in [
                    #"{"jsonrpc":"2.0","id":1,"method":"\#(method.rawValue)","params":\#(params)}"#,
                    #"{"params":\#(params),"jsonrpc":"2.0","id":1,"method":"\#(method.rawValue)"}"#,
                ] {
                    for message in [call, "[\(call)]"] {
                        stranger.begin(message + "\n")
                        let answer = try #require(stranger.receiveAnswer())
                        let error = (answer.arrayValue?.first ?? answer)["error"]
                        #expect(error?["code"] == -32016, "\(message): \(answer.text.description)")
                    }
                }
            }
        }
        let last = curl.rpc(#"[{"jsonrpc":"2.0","id":1,"method":"ListPods","params":{"unknown":1}}]"#)
        #expect(last.json?.arrayValue?.first?["error"]?["code"] == -32016)
        #expect(server.stop() == 0)
    }
}

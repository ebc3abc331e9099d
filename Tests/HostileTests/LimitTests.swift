import Foundation
import NIOCore
import ServerSupport
import TandemAPI
import TestSupport
import Testing

/// Clients that are slow, silent, greedy or many, against a real server: each meets a limit, and no other client is affected.
@Suite("Limits over real sockets", .serialized)
struct LimitTests {
    private let list = #"{"jsonrpc":"2.0","id":1,"method":"ListServices","params":{"limit":5000}}"#

    @Test("a handshake that does not go on is cut off, whether it began or not")
    func cutsOffHandshakes() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path, ServerProcess.ranges + ["--handshake-timeout=1"])
        let silent = try #require(TCPSocket(port: server.port))
        let begun = try #require(TCPSocket(port: server.port))
        // The head of a TLS record that promises a ClientHello of 512 bytes, and a byte of it.
        begun.send([22, 3, 1, 2, 0, 1])
        #expect(silent.isClosed(within: 20))
        #expect(begun.isClosed(within: 20))
        #expect(metric("tandem_tls_handshake_failures_total{cause=\"timeout\"}", server) == 2)
        #expect(Curl(port: server.port).request("/readyz").status == 200)
        #expect(server.stop() == 0)
    }

    @Test("a connection without a whole message is closed, though a byte comes now and then; one at work is not")
    func closesIdleConnections() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path, ServerProcess.ranges + ["--idle-timeout=3"])
        // The start of a message that never ends.
        let head = "POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
        for (protocols, start, call) in [(["jsonrpc"], " ", list + "\n"), (["http/1.1"], head, post(list))] {
            let busy = try WireClient(port: server.port, protocols: protocols)
            // An answer over HTTP has no line break behind it: its head has four.
            func makeCall() {
                busy.begin(call)
                for _ in 0..<(protocols == ["jsonrpc"] ? 1 : 4) { #expect(busy.receive() != nil) }
            }
            makeCall()
            // A later connection has a later time-out.
            let silent = try WireClient(port: server.port, protocols: protocols)
            let trickling = try WireClient(port: server.port, protocols: protocols)
            trickling.begin(start)
            let isDone = DispatchSemaphore(value: 0)
            Thread.detachNewThread {
                while isDone.wait(timeout: .now() + 0.1) == .timedOut { trickling.begin(" ") }
            }
            let deadline = Date(timeIntervalSinceNow: 30)
            while !(silent.isClosed && trickling.isClosed || busy.isClosed), Date() < deadline { makeCall() }
            #expect(silent.isClosed && trickling.isClosed && !busy.isClosed)
            isDone.signal()
            // Not for its fault.
            #expect(trickling.receive() == nil)
        }
        #expect(server.stop() == 0)
    }

    @Test("a further connection than the most takes the place of the oldest that has shown no certificate")
    func limitsConnections() throws {
        let isLong = ProcessInfo.processInfo.environment["TANDEM_SOAK"] != nil
        let most = isLong ? 10_000 : 300
        let directory = ScratchDirectory()
        let server = try ServerProcess(
            directory.path,
            ServerProcess.ranges + ["--max-connections=\(most)", "--handshake-timeout=600", "--event-loops=1"])
        let before = server.residentBytes.now
        var held: [TCPSocket] = []
        for _ in 0..<most { held.append(try #require(TCPSocket(port: server.port))) }
        let further = try #require(TCPSocket(port: server.port))
        #expect(held[0].isClosed(within: 20))
        let each = (server.residentBytes.now - before) / most
        #expect(each < 64 << 10, "\(each) bytes a connection")
        #expect(Curl(port: server.port).request("/readyz").status == 200)
        withExtendedLifetime(further) {}
        print("held \(most) connections at \(each) bytes each")
        #expect(server.stop() == 0)
    }

    @Test("a batch of 1,000 lists of everything, and the same one by one: bounded, and told so")
    func boundsAnswers() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path, ServerProcess.ranges + ["--max-object-bytes=131072"])
        let client = try WireClient(port: server.port)
        try fill(client)
        let before = server.residentBytes.highest
        client.begin("[" + Array(repeating: list, count: 1_000).joined(separator: ",") + "]\n")
        let answer = try #require(client.receive())
        let refused = answer.occurrences(of: #""reason":"TooMuchUnread","retryable":true"#)
        let served = answer.occurrences(of: #""result":{"items":"#)
        #expect(served >= 2 && served + refused == 1_000, "\(served) served, \(refused) refused")
        // A page ends by its bytes: it says where to go on.
        #expect(answer.occurrences(of: #""continue":"#) == served)
        #expect(answer.readableBytes < 30 << 20)
        #expect(server.residentBytes.highest - before < 200 << 20)
        // Once it was read there is room again.
        client.begin(list + "\n")
        #expect(client.receive()?.occurrences(of: #""result":{"items":"#) == 1)
        let http = Curl(port: server.port).rpc(
            "[" + Array(repeating: list, count: 10).joined(separator: ",") + "]", ["-o", "/dev/null", "-D", "-"])
        #expect(http.status == 200)
        #expect(server.stop() == 0)
    }

    @Test(
        "a client that never reads its answers is held down, and closed in the end",
        arguments: [["jsonrpc"], ["http/1.1"]])
    func holdsDownWhoNeverReads(_ protocols: [String]) throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(
            directory.path, ServerProcess.ranges + ["--idle-timeout=1", "--max-object-bytes=131072"])
        try fill(try WireClient(port: server.port))
        let before = server.residentBytes.highest
        let deaf = try WireClient(port: server.port, protocols: protocols, reads: false)
        let isStream = protocols == ["jsonrpc"]
        let request =
            isStream
            ? list + "\n"
            : "POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: \(list.utf8.count)\r\n\r\n"
                + list
        deaf.begin(String(repeating: request, count: 60))
        // Others are served meanwhile.
        for _ in 0..<20 { #expect(Curl(port: server.port).request("/readyz").status == 200) }
        let grown = server.residentBytes.highest - before
        #expect(grown < 150 << 20, "\(grown >> 20) MiB")
        // It is found to be of no use, with all that waits for it.
        var connections = ""
        for _ in 0..<400 where !connections.hasSuffix(" 1") {
            let metrics = Curl(port: server.port).request("/metrics").body
            connections =
                metrics.split(separator: "\n").first { $0.hasPrefix("tandem_connections") }.map(String.init) ?? ""
        }
        #expect(connections.hasSuffix(" 1"))
        withExtendedLifetime(deaf) {}
        #expect(server.stop() == 0)
    }

    @Test("a fault in each of 40,000 elements, and names of 300 KB: the answer and its log line are short")
    func boundsRefusals() throws {
        let directory = ScratchDirectory()
        let audit = "\(directory.path)/audit.log"
        let server = try ServerProcess("\(directory.path)/data", ServerProcess.ranges + ["--audit-log-path=\(audit)"])
        let client = try WireClient(port: server.port)
        let elements = (0..<40_000).map { "\"ip-\($0)\"" }.joined(separator: ",")
        let long = String(repeating: "x", count: 300_000)
        func call(_ id: String, _ service: String) throws -> ByteBuffer {
            client.begin(
                #"{"jsonrpc":"2.0","id":\#(id),"method":"AllocateServiceIPs","params":{"service":\#(service)}}"# + "\n")
            return try #require(client.receive())
        }
        let many = try call(
            "1", #"{"metadata":{"name":"web"},"spec":{"clusterIP":"ip-0","clusterIPs":[\#(elements)]}}"#)
        #expect(many.readableBytes < 32 << 10)
        #expect(many.occurrences(of: #""field":"spec.clusterIPs["#) == 32)
        #expect(many.occurrences(of: #"\"web\" is invalid (the first 32 of 40001 faults): "#) == 1)
        // The id comes back in full, as JSON-RPC has it.
        let named = try call("\"\(long)\"", #"{"metadata":{"name":"\#(long)"}}"#)
        #expect(named.readableBytes < 304_000)
        let unknown = try call("2", #"{"metadata":{"name":"web"}},"\#(long)":{}"#)
        #expect(unknown.readableBytes < 8 << 10)
        #expect(server.stop() == 0)
        let lines = server.log.text.split(separator: "\n")
        // A line a second for each cause.
        #expect((2...3).contains(lines.count { $0.contains("refused") }))
        #expect(lines.allSatisfy { $0.utf8.count < 4096 })
        let audited = try String(contentsOfFile: audit, encoding: .utf8).split(separator: "\n")
        #expect(audited.count == 2 && audited.allSatisfy { $0.utf8.count < 4096 })
    }

    /// Objects of 9 MiB together, which is more than one page; few at a time, as a client may have only so much in flight.
    private func fill(_ client: WireClient) throws {
        let text = String(repeating: "x", count: 95_000)
        for round in 0..<10 {
            for index in 0..<10 {
                client.begin(
                    #"{"jsonrpc":"2.0","id":1,"method":"AllocateServiceIPs","params":{"service":{"metadata":{"name":"s\#(round)-\#(index)","annotations":{"a":"\#(text)"}},"spec":{}}}}"#
                        + "\n")
            }
            for _ in 0..<10 {
                let answer = try #require(client.receive())
                #expect(answer.occurrences(of: #""result""#) == 1)
            }
        }
    }

    @Test(
        "incomplete messages of all clients are bounded; clients that send little are served meanwhile, others when it is freed",
        arguments: [["jsonrpc"], ["http/1.1"]])
    func boundsUnfinishedMessages(_ protocols: [String]) throws {
        let (limit, clients, bytes) = (64 << 20, 300, 1_000_000)
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path, ServerProcess.ranges + ["--max-buffered-bytes=\(limit)"])
        let isStream = protocols == ["jsonrpc"]
        let start =
            isStream
            ? ""
            : "POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: \(bytes + 1)\r\n\r\n"
        let text = start + String(repeating: " ", count: bytes)
        let modest = try WireClient(port: server.port)
        let before = server.residentBytes.highest
        var holders: [WireClient] = []
        for index in 0..<clients {
            let holder = try WireClient(port: server.port, protocols: protocols)
            holder.send(text)
            holders.append(holder)
            guard index % 20 == 0 else { continue }
            modest.begin(list + "\n")
            #expect(modest.receive()?.occurrences(of: #""result""#) == 1)
            #expect(Curl(port: server.port).rpc(list).json?["result"] != nil)
        }
        let grown = server.residentBytes.highest - before
        #expect(grown < 150 << 20, "\(grown >> 20) MiB")
        let refused = metric("tandem_calls_total{method=\"none\",status=\"RESOURCE_EXHAUSTED\"}", server)
        #expect((200..<clients).contains(refused), "\(refused) refused")
        let held = metric("tandem_buffered_bytes", server)
        // They are one identity, which may have half.
        #expect((limit / 2 - (1 << 20)..<limit / 2 + (4 << 20)).contains(held), "\(held) bytes held")
        print("\(clients) clients with \(bytes) bytes each: \(grown >> 20) MiB, \(refused) refused")
        let last = try #require(holders.last?.receive())
        if isStream {
            #expect(
                last.occurrences(of: #""status":"RESOURCE_EXHAUSTED","reason":"TooMuchBuffered","retryable":true"#) == 1
            )
        } else {
            #expect(last.occurrences(of: "HTTP/1.1 503 ") == 1)
            #expect(holders.last?.receive()?.occurrences(of: "content-type: text/plain") == 1)
        }
        #expect(holders.last?.isClosedByServer() ?? false)
        holders = []
        #expect(becomesZero("tandem_buffered_bytes", server))
        modest.begin(String(repeating: " ", count: bytes) + list + "\n")
        #expect(modest.receive()?.occurrences(of: #""result""#) == 1)
        #expect(server.stop() == 0)
    }

    @Test(
        "unread answers of all clients are bounded; a client with small calls is served meanwhile",
        arguments: [["jsonrpc"], ["http/1.1"]])
    func boundsUnreadAnswers(_ protocols: [String]) throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(
            directory.path,
            ServerProcess.ranges + ["--max-buffered-bytes=\(16 << 20)", "--event-loops=2", "--max-object-bytes=131072"])
        let modest = try WireClient(port: server.port)
        try fill(modest)
        let request = protocols == ["jsonrpc"] ? list + "\n" : post(list)
        var deaf: [WireClient] = []
        for _ in 0..<20 {
            deaf.append(try WireClient(port: server.port, protocols: protocols, reads: false))
            deaf.last?.begin(request)
        }
        // Pages of 8 MiB: one fits into half of the buffer, and each event loop may make one more before it sees that there is no room.
        func lists(_ status: String) -> Int {
            metric("tandem_calls_total{method=\"ListServices\",status=\"\(status)\"}", server)
        }
        #expect((0..<400).contains { _ in lists("OK") + lists("RESOURCE_EXHAUSTED") == 20 })
        #expect((1...5).contains(lists("OK")), "\(lists("OK")) served")
        modest.begin(#"{"jsonrpc":"2.0","id":1,"method":"GetPools"}"# + "\n")
        #expect(modest.receive()?.occurrences(of: #""result""#) == 1)
        deaf = []
        #expect(becomesZero("tandem_buffered_bytes", server))
        modest.begin(list + "\n")
        #expect(modest.receive()?.occurrences(of: #""result""#) == 1)
        #expect(server.stop() == 0)
    }

    @Test(
        "a connection that had a large message keeps little of it while it is silent",
        arguments: [["jsonrpc"], ["http/1.1"]])
    func letsGo(_ protocols: [String]) throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let isStream = protocols == ["jsonrpc"]
        let large = String(repeating: " ", count: 1_000_000) + list
        func clients(_ count: Int) throws -> [WireClient] {
            try (0..<count).map { _ in
                let client = try WireClient(port: server.port, protocols: protocols)
                client.begin(isStream ? large + "\n" : post(large))
                #expect(client.receive()?.occurrences(of: isStream ? #""result""# : "200 OK") == 1)
                return client
            }
        }
        _ = try clients(10)
        let before = server.residentBytes.now
        let held = try clients(100)
        let each = (server.residentBytes.now - before) / held.count
        #expect(each < 200 << 10, "\(each) bytes")
        print("a silent connection of \(protocols): \(each) bytes")
        #expect(server.stop() == 0)
    }

    private func post(_ message: String) -> String {
        "POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: \(message.utf8.count)\r\n\r\n"
            + message
    }

    /// A whole number of `/metrics`; 0 where it has none of that name.
    private func metric(_ name: String, _ server: ServerProcess) -> Int {
        let line = Curl(port: server.port).request("/metrics").body.split(separator: "\n")
            .first { $0.hasPrefix(name + " ") }
        return line.flatMap { Int($0.dropFirst(name.count + 1)) } ?? 0
    }

    private func becomesZero(_ name: String, _ server: ServerProcess) -> Bool {
        (0..<400).contains { _ in metric(name, server) == 0 }
    }

    @Test("headers of more than 16 KiB are refused, also without a client certificate")
    func limitsHeaders() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let client = try WireClient(port: server.port, role: nil, protocols: ["http/1.1"])
        client.begin("GET /livez HTTP/1.1\r\nHost: x\r\nA: " + String(repeating: "x", count: 20_000))
        #expect(client.receive()?.occurrences(of: "HTTP/1.1 431 ") == 1)
        #expect(client.isClosedByServer())
        #expect(
            Curl(port: server.port).request("/livez", ["-H", "A: " + String(repeating: "x", count: 10_000)]).status
                == 200)
        #expect(server.stop() == 0)
    }

    @Test("a client without a certificate can send only short messages")
    func limitsStrangers() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let stranger = try WireClient(port: server.port, role: nil)
        stranger.begin(String(repeating: " ", count: 70_000))
        #expect(stranger.receive()?.occurrences(of: "a message holds at most 65536 bytes") == 1)
        #expect(stranger.isClosedByServer())
        #expect(Curl(port: server.port, role: nil).rpc(String(repeating: " ", count: 70_000)).status == 413)
        let known = try WireClient(port: server.port, role: "viewer")
        known.begin(String(repeating: " ", count: 70_000) + list + "\n")
        #expect(known.receive()?.occurrences(of: "result") == 1)
        #expect(server.stop() == 0)
    }

    @Test("few answers are kept for a client without a certificate, and it takes no room from the others")
    func limitsStrangersAnswers() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let discover = #"{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}"#
        let batch = "[" + Array(repeating: discover, count: 1_000).joined(separator: ",") + "]\n"
        let stranger = try WireClient(port: server.port, role: nil)
        stranger.begin(batch)
        let answer = try #require(stranger.receive())
        #expect((1...30).contains(answer.occurrences(of: #""openrpc":"1.3.2""#)))
        let refused = answer.occurrences(of: #""reason":"TooMuchUnread","retryable":true"#)
        #expect(refused > 900)
        // One that does not read holds them, but nothing of the shared buffer.
        let deaf = try WireClient(port: server.port, role: nil, reads: false)
        deaf.begin(String(repeating: batch, count: 5))
        for _ in 0..<10 {
            let metrics = Curl(port: server.port).request("/metrics").body
            #expect(metrics.contains("\ntandem_buffered_bytes 0\n"))
        }
        withExtendedLifetime(deaf) {}
        #expect(server.stop() == 0)
        // A line a second stands for all of them.
        let lines = server.log.text.matches(of: /"reason":"TooMuchUnread"/).count
        #expect((1..<refused / 10).contains(lines), "\(lines)")
    }

    @Test("100,000 levels of nesting, wherever they are, are refused; the connection goes on")
    func refusesDepth() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let client = try WireClient(port: server.port)
        let deep = String(repeating: "[", count: 100_000)
        let objects = String(repeating: #"{"a":"#, count: 100_000)
        for text in [
            deep, objects, #"{"jsonrpc":"2.0","id":\#(deep)"#,
            #"{"jsonrpc":"2.0","id":1,"method":"GetPools","x":\#(deep)"#,
            #"{"jsonrpc":"2.0","id":1,"method":"AllocateServiceIPs","params":{"service":{"metadata":{"labels":\#(objects)"#,
        ] {
            client.begin(text + "\n")
            #expect(client.receive()?.occurrences(of: "-32700") == 1)
        }
        client.begin(list + "\n")
        #expect(client.receive()?.occurrences(of: "result") == 1)
        #expect(server.stop() == 0)
    }

    @Test("early data is not taken: a session that is taken up again offers none")
    func refusesEarlyData() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let certificates = Certificates.shared
        let (session, early) = ("\(directory.path)/session", "\(directory.path)/early")
        let request = "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        _ = FileManager.default.createFile(atPath: early, contents: Data(request.utf8))
        let base = [
            "s_client", "-connect", "127.0.0.1:\(server.port)", "-alpn", "http/1.1", "-CAfile", certificates.ca,
            "-tls1_3",
        ]
        let first = Command.run("openssl", base + ["-sess_out", session, "-ign_eof"], input: request)
        #expect(first.output.contains("Max Early Data: 0"))
        let second = Command.run(
            "openssl", base + ["-sess_in", session, "-early_data", early, "-ign_eof"], input: request)
        #expect(second.output.contains("Reused, TLSv1.3"))
        #expect(second.output.contains("Early data was not sent"))
        #expect(server.stop() == 0)
    }
}

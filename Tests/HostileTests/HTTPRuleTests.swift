import ServerSupport
import TandemAPI
import TestSupport
import Testing

/// RFC 9112 on real connections: each gets an answer to everything that it sent, and then its end.
@Suite("HTTP/1.1 by its rules")
struct HTTPRuleTests {
    private let directory = ScratchDirectory()
    private let server: ServerProcess

    init() throws { server = try ServerProcess(directory.path) }

    /// The statuses that `text` is answered with, and all of it.
    private func answers(_ text: String, role: String? = "admin") throws -> (statuses: [Int], text: String) {
        let client = try WireClient(port: server.port, role: role, protocols: ["http/1.1"])
        client.send(text)
        try client.endOutput()
        let text = try #require(client.rest())
        let statuses = text.matches(of: #/HTTP/1\.1 (\d\d\d) /#).compactMap { Int($0.1) }
        return (statuses, text)
    }

    private let list = #"{"jsonrpc":"2.0","id":1,"method":"GetPools"}"#
    private let end = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"

    private func post(_ headers: String, _ body: String, version: String = "1.1") -> String {
        "POST /rpc HTTP/\(version)\r\nHost: a\r\nContent-Type: application/json\r\n\(headers)\r\n\(body)"
    }

    @Test("targets of each form; an invalid target, and a host that is missing, double or invalid, is 400")
    func targets() throws {
        let good = [
            "GET https://a:1/livez HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        ]
        let (statuses, text) = try answers(good.joined() + end)
        #expect(statuses == [200, 204, 200, 200], "\(text)")
        #expect(text.contains("allow: GET, HEAD, POST, OPTIONS\r\n") && text.contains("connection: keep-alive\r\n"))
        for bad in [
            "GET * HTTP/1.1\r\nHost: a\r\n\r\n", "GET /livez HTTP/1.1\r\n\r\n",
            "GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET /livez HTTP/1.1\r\nHost: a/b\r\n\r\n",
        ] {
            let (statuses, text) = try answers(bad + end)
            #expect(statuses == [400] && text.contains("connection: close\r\n"), "\(bad): \(text)")
        }
    }

    @Test("a connection with Upgrade goes on; CONNECT is refused and ends it")
    func upgrades() throws {
        let upgrade = post(
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nContent-Length: \(list.utf8.count)\r\n", list)
        let (statuses, text) = try answers(upgrade + end)
        #expect(statuses == [200, 200] && text.contains(#""result""#), "\(text)")
        let connect = try answers("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n" + end)
        #expect(connect.statuses == [405] && connect.text.contains("allow: GET, HEAD, POST\r\n"), "\(connect)")
    }

    @Test("Expect: honoured over 1.1, ignored in 1.0; other expectations are 417")
    func expectations() throws {
        let body = "Content-Length: \(list.utf8.count)\r\n"
        #expect(try answers(post("Expect: 100-continue\r\n" + body, list)).statuses == [100, 200])
        #expect(try answers(post("Expect: 100-continue\r\n" + body, list, version: "1.0")).statuses == [200])
        #expect(try answers(post("Expect: the-best\r\n" + body, list) + end).statuses == [417])
        // A client that waits for permission to go on is refused at once.
        let encoded = try answers(post("Expect: 100-continue\r\nContent-Encoding: gzip\r\n" + body, ""))
        #expect(encoded.statuses == [415])
    }

    @Test(
        "a body's length that is none, double, past any number, or told in two ways is 400, and so is a chunk that is none"
    )
    func lengths() throws {
        for headers in [
            "Content-Length: 9223372036854775808\r\n", "Content-Length: 44\r\nContent-Length: 44\r\n",
            "Content-Length: 44\r\nTransfer-Encoding: chunked\r\n", "Content-Length: -1\r\n",
        ] {
            #expect(try answers(post(headers, list) + end).statuses == [400], "\(headers)")
        }
        let chunked = "Transfer-Encoding: chunked\r\n"
        #expect(try answers(post(chunked, "2c\r\n\(list)\r\n0\r\n\r\n") + end).statuses == [200, 200])
        for chunks in ["2c\r\n\(list)0\r\n\r\n", "xyz\r\n", "ffffffffffffffffff\r\n"] {
            #expect(try answers(post(chunked, chunks) + end).statuses == [400], "\(chunks)")
        }
    }

    @Test("a body that is encoded is 415; one that says it is not, is served")
    func encodings() throws {
        let body = "Content-Length: \(list.utf8.count)\r\n"
        let (statuses, text) = try answers(post("Content-Encoding: gzip\r\n" + body, list) + end)
        #expect(statuses == [415, 200] && text.contains("accept-encoding: identity\r\n"), "\(text)")
        #expect(try answers(post("Content-Encoding: identity\r\n" + body, list)).statuses == [200])
    }

    @Test("HTTP without TLS is answered in words", arguments: ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "D", "POST /rpc"])
    func plain(_ text: String) throws {
        let socket = try #require(TCPSocket(port: server.port))
        socket.send(Array(text.utf8))
        let answer = socket.rest()
        #expect(answer.hasPrefix("HTTP/1.0 400 Bad Request\r\n"), "\(answer)")
        #expect(answer.hasSuffix("Client sent an HTTP request to an HTTPS server.\n"))
        let line = server.log.entry { $0["message"] == "a handshake was refused" }
        #expect(line?["cause"] == "plain_text", "\(line?.text.description ?? "none")")
    }
}

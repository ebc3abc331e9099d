import NIOHTTP1
import TandemAPI
import Testing

@testable import Dashboard

@Suite("Access to the dashboard")
struct GateTests {
    private static let token = "0123456789abcdef0123456789abcdef"
    private let gate = Gate(token: Token(text: token), port: 4000, servers: 2)

    private func head(
        _ path: String = "/\(token)/servers", _ method: HTTPMethod = .GET, host: String? = "127.0.0.1:4000",
        _ headers: HTTPHeaders = [:]
    ) -> HTTPRequestHead {
        var all = headers
        if let host { all.add(name: "Host", value: host) }
        return HTTPRequestHead(version: .http1_1, method: method, uri: path, headers: all)
    }

    private func status(_ head: HTTPRequestHead) -> UInt {
        switch gate.route(head) {
        case .success: 200
        case .failure(let refusal): refusal.status.code
        }
    }

    @Test("paths lead where they say, behind the token alone")
    func finds() {
        let paths: [(String, Route)] = [
            ("/", .asset(.index)), ("/main.js", .asset(.main)), ("/servers", .servers),
            ("/servers/1/changes", .changes(1)), ("/servers/0/health", .look(0, .health)),
            ("/servers/1/metrics", .look(1, .metrics)), ("/servers/0/peers?x", .look(0, .peers)),
        ]
        for (path, route) in paths {
            #expect(gate.route(head("/\(Self.token)\(path)")) == .success(route), "\(path)")
            #expect(status(head(path)) == 404)
        }
        for path in [
            "/servers/2/health", "/servers/-1/health", "/servers/+1/health", "/servers/00/health", "/servers/0",
            "/servers/0/backup", "/servers/0/health/x", "/../servers", "/nothing.js", "//",
        ] {
            #expect(status(head("/\(Self.token)\(path)")) == 404, "\(path)")
        }
    }

    @Test("a wrong token finds nothing, however much of it is right")
    func checksToken() {
        for token in [
            "", "0", String(Self.token.dropLast()), Self.token + "0", String(Self.token.dropLast()) + "e",
            "1" + Self.token.dropFirst(), Self.token.uppercased(),
        ] {
            #expect(status(head("/\(token)/servers")) == 404, "\(token)")
        }
        #expect(status(head("/\(Self.token)")) == 404)
        let tokens = (0..<100).map { _ in Token().text }
        #expect(Set(tokens).count == 100)
        #expect(tokens.allSatisfy { $0.utf8.count == 32 && $0.allSatisfy(\.isHexDigit) })
    }

    @Test("a ticket leads to the page once, and the next one takes its place")
    func takesTickets() {
        func path(_ ticket: Token) -> String { "/\(ticket.text)" }
        let (lost, ticket) = (gate.ticket.issue(), gate.ticket.issue())
        #expect(status(head(path(lost))) == 404)
        #expect(status(head(path(ticket), host: "evil.example")) == 421)
        #expect(status(head(path(ticket) + "/servers")) == 404)
        #expect(gate.route(head(path(ticket))) == .success(.entrance))
        #expect(status(head(path(ticket))) == 404)
        #expect(status(head("/")) == 404)
    }

    @Test("another host's name is not this one, also where it leads here; nor is none, nor are two")
    func checksHost() {
        #expect(status(head(host: "localhost:4000")) == 200)
        #expect(status(head(host: "LocalHost:4000")) == 200)
        for host in [
            "evil.example", "evil.example:4000", "127.0.0.1", "127.0.0.1:4001", "localhost",
            "127.0.0.1:4000.evil.example",
            "[::1]:4000", "0.0.0.0:4000", "",
        ] {
            #expect(status(head(host: host)) == 421, "\(host)")
        }
        #expect(status(head(host: nil)) == 421)
        #expect(status(head(host: "127.0.0.1:4000", ["Host": "evil.example"])) == 421)
        // Before the token: a stranger learns nothing of it.
        #expect(status(head("/x/servers", host: "evil.example")) == 421)
    }

    @Test("pages of other sites are refused, by Origin and by Sec-Fetch-Site")
    func checksOrigin() {
        #expect(status(head(["Origin": "http://127.0.0.1:4000"])) == 200)
        for origin in [
            "http://evil.example", "null", "https://127.0.0.1:4000", "http://127.0.0.1:4001", "http://localhost:4000",
        ] {
            #expect(status(head(["Origin": origin])) == 403, "\(origin)")
        }
        #expect(status(head(["Sec-Fetch-Site": "same-origin"])) == 200)
        #expect(status(head(["Sec-Fetch-Site": "none"])) == 200)
        for site in ["cross-site", "same-site", "?"] {
            #expect(status(head(["Sec-Fetch-Site": site])) == 403, "\(site)")
        }
        // A link to the page itself may stand anywhere; an embedded resource may not be it.
        let page = "/\(Self.token)/"
        #expect(status(head(page, ["Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"])) == 200)
        #expect(status(head(page, ["Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "iframe"])) == 403)
        #expect(status(head(["Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"])) == 403)
    }

    private func head(_ headers: HTTPHeaders) -> HTTPRequestHead { head(host: "127.0.0.1:4000", headers) }

    private func head(_ path: String, _ headers: HTTPHeaders) -> HTTPRequestHead {
        head(path, host: "127.0.0.1:4000", headers)
    }

    @Test("each path has one method, and calls have one type that no form can send")
    func checksMethod() {
        let calls = "/\(Self.token)/servers/0/rpc"
        let json: HTTPHeaders = ["Content-Type": "application/json"]
        #expect(gate.route(head(calls, .POST, json)) == .success(.calls(0)))
        guard case .failure(let refusal) = gate.route(head(calls, .GET)) else {
            Issue.record("GET is taken for a call")
            return
        }
        #expect(refusal.status == .methodNotAllowed && refusal.allow == "POST")
        for method in [HTTPMethod.POST, .PUT, .DELETE, .OPTIONS, .HEAD] {
            #expect(status(head("/\(Self.token)/", method)) == 405)
            #expect(status(head("/\(Self.token)/servers/0/changes", method)) == 405)
        }
        for type in ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8", ""] {
            #expect(status(head(calls, .POST, ["Content-Type": type])) == 415, "\(type)")
        }
        #expect(status(head(calls, .POST)) == 415)
    }

    private func head(_ path: String, _ method: HTTPMethod, _ headers: HTTPHeaders) -> HTTPRequestHead {
        head(path, method, host: "127.0.0.1:4000", headers)
    }
}

@Suite("The dashboard's calls to servers")
struct CallsTests {
    private func refusal(_ text: String) -> HTTPResponseStatus? {
        do throws(Refusal) {
            _ = try Calls(text.utf8)
            return nil
        } catch {
            return error.status
        }
    }

    @Test("methods that look, and no other one, by themselves and in a batch", arguments: Method.allCases)
    func looks(method: TandemAPI.Method) {
        let call = #"{"id":1,"method":"\#(method.rawValue)"}"#
        let mayBe = !method.isChange && method != .watch && method != .unwatch
        #expect((refusal(call) == nil) == mayBe)
        #expect((refusal(#"[{"id":2,"method":"GetPools"},\#(call)]"#) == nil) == mayBe)
    }

    @Test("an invalid call is refused, and so is a batch that is too long")
    func refuses() {
        for text in [
            "", "{", "[]", "1", "{}", #"{"id":1}"#, #"{"method":"GetPools"}"#, #"{"id":1,"method":"getpools"}"#, "[[]]",
        ] {
            #expect(refusal(text) != nil, "\(text)")
        }
        let call = #"{"id":1,"method":"GetPools"}"#
        let many = { (count: Int) in "[\(Array(repeating: call, count: count).joined(separator: ","))]" }
        #expect(refusal(many(Calls.maximumCalls)) == nil)
        #expect(refusal(many(Calls.maximumCalls + 1)) == .badRequest)
    }

    @Test("answers stand in the order of the calls, refusals among them")
    func answers() throws {
        let calls = try Calls(#"[{"id":"a","method":"GetPools"},{"id":2,"method":"GetNode"}]"#.utf8)
        let refusal = APIError(.notFound, reason: "NotFound", "no such node")
        let answer = calls.answer([.success(["pools": []]), .failure(refusal)])
        let expected: JSONValue = [
            ["jsonrpc": "2.0", "id": "a", "result": ["pools": []]],
            [
                "jsonrpc": "2.0", "id": 2,
                "error": [
                    "code": -32005, "message": "no such node", "data": ["status": "NOT_FOUND", "reason": "NotFound"],
                ],
            ],
        ]
        #expect(answer == expected)
        let one = try Calls(#"{"id":7,"method":"GetPools"}"#.utf8)
        #expect(one.answer([.success([:])])["id"] == 7)
    }
}

import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing

/// A real server, spoken to by `curl` and `openssl s_client`.
@Suite("Calls over the wire", .serialized)
struct CallTests {
    private let web =
        #"{"jsonrpc":"2.0","id":1,"method":"AllocateServiceIPs","params":{"service":{"metadata":{"name":"web"},"spec":{"ipFamilyPolicy":"PreferDualStack"}}}}"#

    @Test("one address of each family; again the same, also after kill -9")
    func allocatesDurably() throws {
        let directory = ScratchDirectory()
        var server = try ServerProcess(directory.path)
        let first = try #require(Curl(port: server.port).request("/rpc", ["-d", web]).json)
        let addresses = try #require(first["result"]?["service"]?["spec"]?["clusterIPs"]?.arrayValue)
        #expect(addresses.count == 2)
        #expect(first["result"]?["replayed"] == nil)
        let again = try #require(Curl(port: server.port).rpc(web).json)
        #expect(again["result"]?["service"] == first["result"]?["service"])
        #expect(again["result"]?["replayed"] == true)
        server.crash()
        server = try ServerProcess(directory.path)
        let afterwards = try #require(
            LineStream(port: server.port).call(
                .allocateServiceIPs,
                ["service": ["metadata": ["name": "web"], "spec": ["ipFamilyPolicy": "PreferDualStack"]]]))
        #expect(afterwards["result"]?["service"] == first["result"]?["service"])
        #expect(afterwards["result"]?["replayed"] == true)
        #expect(server.stop() == 0)
    }

    @Test("the stream: pipelined requests, batches, notifications, and lines that are none")
    func speaksStream() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let stream = try LineStream(port: server.port)
        for id in 0..<50 {
            stream.send(
                #"{"jsonrpc":"2.0","id":\#(id),"method":"AllocateServiceIPs","params":{"service":{"metadata":{"name":"s\#(id)"},"spec":{}}}}"#
            )
        }
        let ids = (0..<50).compactMap { _ in stream.receive()?["id"]?.intValue }
        #expect(Set(ids) == Set(0..<50))
        stream.send(#"{"jsonrpc":"2.0","method":"GetPools"}"#)  // a notification has no answer
        stream.send("")
        stream.send(
            #"[{"jsonrpc":"2.0","id":"a","method":"GetPools"},{"jsonrpc":"2.0","method":"GetPools"},{"jsonrpc":"2.0","id":"b","method":"Nope"}]"#
        )
        let batch = stream.receive()?.arrayValue
        #expect(batch?.map { $0["id"] } == ["a", "b"])
        #expect(batch?.last?["error"]?["code"] == -32601)
        stream.send("not json")
        #expect(stream.receive()?["error"]?["code"] == -32700)
        stream.send(String(repeating: "[", count: 100_000))
        #expect(stream.receive()?["error"]?["code"] == -32700)
        stream.send("[]\r")
        #expect(stream.receive()?["error"]?["code"] == -32600)
        #expect(server.stop() == 0)
    }

    @Test("a line that is too long is refused, and ends the connection")
    func limitsLines() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let stream = try LineStream(port: server.port)
        stream.send(String(repeating: " ", count: RPCMessage.maximumBytes + 10))
        #expect(stream.receive()?["error"]?["data"]?["status"] == "RESOURCE_EXHAUSTED")
        #expect(stream.receive() == nil)
        #expect(server.stop() == 0)
    }

    @Test("HTTP: paths, verbs, media types, sizes, notifications, keep-alive")
    func speaksHTTP() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let curl = Curl(port: server.port)
        #expect(curl.request("/nothing").status == 404)
        let wrongVerb = curl.request("/rpc")
        #expect(wrongVerb.status == 405)
        #expect(wrongVerb.headers["allow"] == "POST")
        #expect(curl.request("/livez", ["-X", "POST"]).headers["allow"] == "GET, HEAD")
        #expect(curl.request("/rpc", ["-d", web, "-H", "Content-Type: text/plain"]).status == 415)
        #expect(curl.rpc(#"{"jsonrpc":"2.0","method":"GetPools"}"#).status == 204)
        #expect(curl.rpc(#"[{"jsonrpc":"2.0","method":"GetPools"}]"#).status == 204)
        #expect(curl.rpc(String(repeating: " ", count: RPCMessage.maximumBytes + 1)).status == 413)
        #expect(
            curl.rpc(String(repeating: " ", count: RPCMessage.maximumBytes + 1), ["-H", "Transfer-Encoding: chunked"])
                .status == 413)
        let error = curl.rpc("{}")
        #expect(error.status == 200)
        #expect(error.headers["content-type"] == "application/json")
        #expect(error.json?["error"]?["code"] == -32600)
        #expect(curl.request("/openrpc.json").json?["openrpc"] != nil)
        #expect(
            curl.rpc(#"{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}"#).json?["result"]?["info"]?["title"]
                == "Tandem")
        #expect(server.stop() == 0)
    }

    @Test("HTTP: pipelined requests are answered one by one, in their order, down to the last")
    func pipelinesHTTP() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        var requests = ""
        for id in 0..<300 {
            requests += "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
            let call =
                #"{"jsonrpc":"2.0","id":\#(id),"method":"AllocateServiceIPs","params":{"service":{"metadata":{"name":"s\#(id)"},"spec":{}}}}"#
            let isLast = id == 299
            requests += "POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Type: application/json; charset=utf-8\r\n"
            requests += isLast ? "Connection: close\r\n" : ""
            requests += "Content-Length: \(call.utf8.count)\r\n\r\n\(call)"
        }
        let answers = exchange(requests, with: server)
        let bodies = answers.components(separatedBy: "HTTP/1.1 200 OK\r\n").dropFirst().map {
            $0.components(separatedBy: "\r\n\r\n").dropFirst().joined()
        }
        // A check is answered at once, a call once it is committed: only waiting keeps them in order.
        let order = bodies.map { $0 == "ok" ? "check" : (try? JSONValue(parsing: $0))?["id"]?.text.description ?? $0 }
        #expect(order == (0..<300).flatMap { ["check", "\($0)"] })
        #expect(answers.components(separatedBy: "connection: close").count == 2)
        #expect(server.stop() == 0)
    }

    @Test(
        "HTTP: a malformed request is told so, behind the answers that are due",
        arguments: ["", "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"])
    func refusesWhatIsNoHTTP(_ before: String) throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let answers = exchange(before + "this is not HTTP\r\n\r\n", with: server)
        #expect(answers.hasPrefix(before.isEmpty ? "HTTP/1.1 400 " : "HTTP/1.1 200 "))
        #expect(answers.contains("HTTP/1.1 400 ") && answers.contains("connection: close"))
        #expect(server.stop() == 0)
    }

    /// Sends bytes over TLS, and reads until the server ends the connection.
    private func exchange(_ bytes: String, with server: ServerProcess) -> String {
        let certificates = Certificates.shared
        return Command.run(
            "openssl",
            [
                "s_client", "-quiet", "-connect", "127.0.0.1:\(server.port)", "-alpn", "http/1.1", "-CAfile",
                certificates.ca, "-cert", certificates.certificate("admin"), "-key", certificates.key("admin"),
            ], input: bytes
        ).output
    }

    @Test("health needs no certificate; metrics need a reader's")
    func showsItsHealth() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let anyone = Curl(port: server.port, role: nil)
        for path in ["/livez", "/readyz", "/healthz"] {
            #expect(anyone.request(path).status == 200)
            #expect(anyone.request(path).body == "ok")
        }
        #expect(anyone.request("/readyz?verbose").body.contains("[+]storage ok"))
        #expect(anyone.request("/metrics").status == 401)
        #expect(Curl(port: server.port, role: "services").request("/metrics").status == 403)
        let metrics = Curl(port: server.port, role: "viewer").request("/metrics")
        #expect(metrics.status == 200)
        #expect(metrics.body.contains(#"kube_apiserver_clusterip_allocator_available_ips{cidr="10.96.0.0/20"} 4094"#))
        #expect(server.stop() == 0)
    }

    @Test("a call whose time runs out is told so; a dry run keeps nothing")
    func minds() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let stream = try LineStream(port: server.port)
        let params: JSONValue = [
            "service": ["metadata": ["name": "dry"], "spec": [:]], "dryRun": true, "timeoutMs": 600_000,
        ]
        #expect(stream.call(.allocateServiceIPs, params)?["result"]?["service"] != nil)
        #expect(stream.call(.getService, ["service": ["metadata": ["name": "dry"]]])?["error"]?["code"] == -32005)
        #expect(server.stop() == 0)
    }

    @Test("a client that has ended is answered, and then let go at once", arguments: ["jsonrpc", "http/1.1"])
    func endsWithClients(_ name: String) throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let certificates = Certificates.shared
        // Ends its side of TLS behind its request, and reads on.
        let request =
            name == "jsonrpc"
            ? #"{"jsonrpc":"2.0","id":7,"method":"GetPools"}"# + "\n" : "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
        let program = """
            import socket, ssl, sys
            context = ssl.create_default_context(cafile=sys.argv[2])
            context.load_cert_chain(sys.argv[3], sys.argv[4])
            context.set_alpn_protocols([sys.argv[5]])
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
            with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as raw:
                raw.settimeout(20)
                def pump(step):
                    while True:
                        try:
                            result = step()
                            raw.sendall(outgoing.read())
                            return result
                        except ssl.SSLWantReadError:
                            raw.sendall(outgoing.read())
                            data = raw.recv(65536)
                            incoming.write(data) if data else incoming.write_eof()
                pump(tls.do_handshake)
                pump(lambda: tls.write(sys.argv[6].encode()))
                try:
                    tls.unwrap()
                except ssl.SSLWantReadError:
                    pass
                raw.sendall(outgoing.read())
                answer = b""
                try:
                    while chunk := pump(lambda: tls.read(65536)):
                        answer += chunk
                except ssl.SSLError:
                    pass
                print("ended", b'"id":7' in answer or b"ok" in answer)
            """
        let result = Command.run(
            "python3",
            [
                "-c", program, String(server.port), certificates.ca, certificates.certificate("admin"),
                certificates.key("admin"), name, request,
            ])
        #expect(result.output == "ended True\n", "\(result.output) \(result.errors)")
        #expect(server.stop() == 0)
    }

    @Test("Python's ssl speaks with it too")
    func speaksWithPython() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let certificates = Certificates.shared
        let program = """
            import json, socket, ssl, sys
            context = ssl.create_default_context(cafile=sys.argv[2])
            context.load_cert_chain(sys.argv[3], sys.argv[4])
            context.set_alpn_protocols(["jsonrpc"])
            with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as raw:
                with context.wrap_socket(raw, server_hostname="localhost") as tls:
                    assert tls.selected_alpn_protocol() == "jsonrpc", tls.selected_alpn_protocol()
                    assert tls.version() == "TLSv1.3", tls.version()
                    tls.sendall(b'{"jsonrpc":"2.0","id":7,"method":"GetPools"}\\n')
                    print(json.loads(tls.makefile().readline())["id"])
            """
        let result = Command.run(
            "python3",
            [
                "-c", program, String(server.port), certificates.ca, certificates.certificate("admin"),
                certificates.key("admin"),
            ])
        #expect(result.output == "7\n", "\(result.errors)")
        #expect(server.stop() == 0)
    }
}

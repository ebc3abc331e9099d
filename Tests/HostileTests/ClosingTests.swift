import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing

/// The last word of the server gets to its client, whatever the client is sending meanwhile.
@Suite("How connections end")
struct ClosingTests {
    private let directory = ScratchDirectory()
    private let list = #"{"jsonrpc":"2.0","id":1,"method":"GetPools"}"#

    @Test(
        "a client that has said all it wants to say gets all its answers, in whichever way it has said so",
        arguments: [true, false], [["jsonrpc"], ["http/1.1"]])
    func halfClosed(_ byTCPAlone: Bool, _ protocols: [String]) throws {
        let server = try ServerProcess(directory.path)
        let isStream = protocols == ["jsonrpc"]
        let request =
            isStream
            ? list + "\n" : "POST /rpc HTTP/1.1\r\nHost: a\r\nContent-Length: \(list.utf8.count)\r\n\r\n\(list)"
        for _ in 0..<20 {
            let client = try WireClient(port: server.port, protocols: protocols)
            // The last one is cut off, and nothing waits for it.
            client.send(String(repeating: request, count: 50) + request.prefix(30))
            try client.endOutput(byTCPAlone: byTCPAlone)
            let answers = try #require(client.rest())
            #expect(answers.matches(of: /"result"/).count == 50, "\(answers.count) bytes")
        }
    }

    /// The results of a Python client, which sends `request` with or after the end of its handshake, and then reads: counts by result.
    private func meets(
        _ port: Int, _ role: String?, times: Int = 30,
        request: String = String(repeating: "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n", count: 200), pieces: Int = 3
    ) -> [String: Int] {
        let certificates = Certificates.shared
        let program = """
            import collections, socket, ssl, sys
            port, ca, certificate, key, times, pieces = sys.argv[1:]
            request = sys.stdin.buffer.read()
            context = ssl.create_default_context(cafile=ca)
            if certificate: context.load_cert_chain(certificate, key)
            seen = collections.Counter()
            for _ in range(int(times)):
                try:
                    with context.wrap_socket(socket.create_connection(("127.0.0.1", int(port))), server_hostname="localhost") as s:
                        for _ in range(int(pieces)): s.sendall(request)
                        seen[s.recv(12).decode() or "nothing"] += 1
                except ssl.SSLError as error: seen[error.reason or "EOF"] += 1
                except OSError as error: seen[type(error).__name__] += 1
            for what, count in seen.items(): print(f"{what}={count}")
            """
        let result = Command.run(
            "python3",
            [
                "-c", program, String(port), certificates.ca, role.map(certificates.certificate) ?? "",
                role.map(certificates.key) ?? "", String(times), String(pieces),
            ], input: request)
        var seen: [String: Int] = [:]
        for line in result.output.split(separator: "\n") {
            let parts = line.split(separator: "=")
            seen[String(parts[0])] = Int(parts[1])
        }
        return seen
    }

    @Test("a client whose certificate is refused gets the alert, each time; the log says why")
    func alerts() throws {
        CertificateAuthority(directory).issue("expired-client", years: 2020...2021)
        CertificateAuthority(directory, other: true).issue("foreign-client")
        let server = try ServerProcess(directory.path)
        #expect(meets(server.port, "expired-client") == ["SSLV3_ALERT_CERTIFICATE_EXPIRED": 30])
        #expect(meets(server.port, "foreign-client") == ["TLSV1_ALERT_UNKNOWN_CA": 30])
        #expect(meets(server.port, "admin", times: 3) == ["HTTP/1.1 200": 3])
        let line = server.log.entry { $0["message"] == "a handshake was refused" && $0["cause"] == "certificate" }
        #expect(line?["error"]?.stringValue?.contains("it expired on 2") ?? false)
        #expect(server.stop() == 0)
        // A line a second stands for all of them.
        let lines = server.log.text.split(separator: "\n").count { $0.contains("a handshake was refused") }
        #expect((1..<40).contains(lines), "\(lines)")
    }

    @Test("one connection too many gets an alert")
    func tooMany() throws {
        let server = try ServerProcess(directory.path, ServerProcess.ranges + ["--max-connections=2"])
        let first = try WireClient(port: server.port)
        // One identity alone keeps half of the places.
        let second = try WireClient(port: server.port, role: "viewer")
        for client in [first, second] {
            client.begin(list + "\n")
            #expect(client.receive() != nil)
        }
        #expect(meets(server.port, "admin", times: 20) == ["TLSV1_ALERT_INTERNAL_ERROR": 20])
        let refused = server.log.entry { $0["message"]?.stringValue?.hasPrefix("connections are refused") ?? false }
        #expect(refused != nil)
        withExtendedLifetime((first, second)) {}
    }

    @Test("a client refused while it still sends gets the answer")
    func refusedMidway() throws {
        let server = try ServerProcess(directory.path)
        // Ten messages of a megabyte, the first of which announces a length that is too large.
        let request =
            "POST /rpc HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n"
            + String(repeating: " ", count: 1_000_000)
        #expect(meets(server.port, "admin", times: 20, request: request, pieces: 10) == ["HTTP/1.1 413": 20])
    }

    @Test("sockets are looked after by TCP: a peer that is gone without a word is noticed")
    func keepsAlive() throws {
        let server = try ServerProcess(directory.path)
        let client = try WireClient(port: server.port)
        client.begin(list + "\n")
        #expect(client.receive() != nil)
        let port = ":" + String(server.port, radix: 16, uppercase: true).leftPadded(to: 4)
        // Local address, state 1 (established), and the timer: 2 is the one of SO_KEEPALIVE.
        var own: [[String]] = []
        for _ in 0..<500 {
            let lines = Command.run("cat", ["/proc/net/tcp", "/proc/net/tcp6"]).output.split(separator: "\n").map {
                $0.split(separator: " ").map(String.init)
            }
            own = lines.filter { $0.count > 5 && $0[1].hasSuffix(port) && $0[3] == "01" }
            // Until the answer is acknowledged its timer is that of sending again.
            if own.allSatisfy({ !$0[5].hasPrefix("01:") }) { break }
        }
        #expect(own.count == 1 && own.allSatisfy { $0[5].hasPrefix("02:") }, "\(own)")
        withExtendedLifetime(client) {}
    }

    @Test("all addresses of the machine are those of both families", arguments: ["0.0.0.0", "::"])
    func bothFamilies(_ address: String) throws {
        let server = try ServerProcess(
            directory.path, ServerProcess.ranges + ["--bind-address=\(address)", "--log-level=debug"])
        let certificates = Certificates.shared
        for host in ["127.0.0.1", "[::1]"] {
            let answer = Command.run(
                "curl", ["-sS", "--cacert", certificates.ca, "https://\(host):\(server.port)/livez"])
            #expect(answer.output == "ok", "\(host): \(answer.errors)")
        }
        // An IPv4 client has its IPv4 address, whatever the socket.
        _ = Curl(port: server.port, role: nil).rpc(list)
        let refused = server.log.entry { $0["message"] == "refused" }
        #expect(
            refused?["peer"]?.stringValue?.hasPrefix("127.0.0.1:") ?? false, "\(refused?.text.description ?? "none")")
    }
}

extension String {
    fileprivate func leftPadded(to length: Int) -> String {
        String(repeating: "0", count: max(0, length - count)) + self
    }
}

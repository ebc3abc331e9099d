import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing

@Suite("Certificates", .serialized)
struct CertificateTests {
    /// The answers for a client of a role: over HTTP and over the stream.
    private func isServed(_ role: String, _ server: ServerProcess) throws -> [Bool] {
        let call = #"{"jsonrpc":"2.0","id":1,"method":"ListServices"}"#
        let http = Curl(port: server.port, role: role).rpc(call).json?["result"] != nil
        let stream = try LineStream(port: server.port, role: role).call(.listServices)?["result"] != nil
        return [http, stream]
    }

    @Test("one that is expired, not yet valid, of another authority, or for another purpose ends the handshake")
    func refusesBadCertificates() throws {
        let directory = ScratchDirectory()
        let authority = CertificateAuthority(directory)
        authority.issue("good")
        authority.issue("expired", years: 2020...2021)
        authority.issue("early", years: 2080...2090)
        authority.issue("serving", purpose: "serverAuth")
        CertificateAuthority(directory, other: true).issue("foreign")
        let server = try ServerProcess(directory.path)
        #expect(try isServed("good", server) == [true, true])
        for role in ["expired", "early", "serving", "foreign"] {
            #expect(try isServed(role, server) == [false, false], "\(role)")
            // Not even calls without a need for a certificate: one that is shown must be good.
            #expect(Curl(port: server.port, role: role).request("/livez").status == 0, "\(role)")
        }
        #expect(server.stop() == 0)
    }

    @Test("one without a CN, or with several, makes a stranger of its holder, whatever its groups: each call says so")
    func refusesNameless() throws {
        let directory = ScratchDirectory()
        let authority = CertificateAuthority(directory)
        authority.issue("without-name", subject: "/O=system:masters")
        authority.issue("two-names", subject: "/O=system:masters/CN=admin/CN=system:node:n1")
        let audit = "\(directory.path)/audit.log"
        let server = try ServerProcess(directory.path, ServerProcess.ranges + ["--audit-log-path=\(audit)"])
        for (role, reason) in [("without-name", "has no CN"), ("two-names", "has 2 CNs, where one is a user")] {
            let stream = try LineStream(port: server.port, role: role)
            for method in [TandemAPI.Method.listServices, .getPools, .allocateNodeCIDRs] {
                let error = stream.call(method, ["node": ["metadata": ["name": "n"]]])?["error"]
                #expect(error?["data"]?["status"] == "UNAUTHENTICATED" && error?["code"] == -32016, "\(role)")
                let message = error?["message"]?.stringValue ?? ""
                #expect(message.hasSuffix("the subject of the one shown \(reason)"), "\(message)")
            }
            let client = Curl(port: server.port, role: role)
            for path in ["/metrics", "/servers", "/backup"] {
                let answer = client.request(path)
                #expect(answer.status == 401 && answer.body.contains(reason), "\(role) \(path): \(answer.body)")
            }
            // Requests that need no certificate are answered.
            #expect(client.request("/livez").status == 200)
        }
        #expect(server.stop() == 0)
        #expect(try String(contentsOfFile: audit, encoding: .utf8).isEmpty)
    }

    @Test("one that is revoked is refused once the list says so; open connections stay")
    func refusesRevoked() throws {
        let directory = ScratchDirectory()
        let authority = CertificateAuthority(directory)
        let list = directory.path + "/revoked.pem"
        authority.issue("leaver")
        authority.issue("stayer")
        authority.writeRevocations(list)
        let server = try ServerProcess(directory.path, ServerProcess.ranges + ["--client-crl-file=\(list)"])
        #expect(try isServed("leaver", server) == [true, true])
        let open = try LineStream(port: server.port, role: "stayer")
        #expect(open.call(.listServices)?["result"] != nil)
        // Without a signal: the file is watched.
        authority.revoke("leaver")
        authority.writeRevocations(list)
        #expect(server.nextLogLine(with: "certificates are read again") != nil)
        #expect(try isServed("leaver", server) == [false, false])
        #expect(try isServed("stayer", server) == [true, true])
        #expect(open.call(.listServices)?["result"] != nil)
        #expect(server.stop() == 0)
    }

    @Test("one for any usage is good for this one; so is one of an authority that is listed without the one above it")
    func acceptsAsGoDoes() throws {
        let directory = ScratchDirectory()
        let authority = CertificateAuthority(directory)
        let (intermediate, above) = (authority.subordinate(directory), CertificateAuthority(directory, other: true))
        authority.issue("any-usage", purpose: "anyExtendedKeyUsage")
        intermediate.issue("of-intermediate")
        above.issue("of-above")
        let server = try ServerProcess(directory.path)
        #expect(try isServed("any-usage", server) == [true, true])
        let narrow = try ServerProcess(
            directory.path + "/narrow", ServerProcess.ranges + ["--client-ca-file=\(intermediate.certificate)"])
        #expect(try isServed("of-intermediate", narrow) == [true, true])
        for role in ["any-usage", "of-above"] { #expect(try isServed(role, narrow) == [false, false], "\(role)") }
    }

    @Test(
        "a list of revocations is its authority's alone: clients of one without a list are let in, and it is named at the start"
    )
    func listsOfOneAuthority() throws {
        let directory = ScratchDirectory()
        // They have one name, as before and after a change of keys.
        let (listed, unlisted) = (
            CertificateAuthority(directory, other: true), CertificateAuthority(directory, other: true)
        )
        listed.issue("listed-stayer")
        listed.issue("listed-leaver")
        unlisted.issue("unlisted")
        listed.revoke("listed-leaver")
        let (list, authorities) = ("\(directory.path)/revoked.pem", "\(directory.path)/authorities.pem")
        listed.writeRevocations(list)
        let both = try [listed, unlisted].map { try String(contentsOfFile: $0.certificate, encoding: .utf8) }.joined()
        try both.write(toFile: authorities, atomically: true, encoding: .utf8)
        let server = try ServerProcess(
            directory.path,
            ServerProcess.ranges + ["--client-ca-file=\(authorities)", "--client-crl-file=\(list)"])
        #expect(try isServed("listed-stayer", server) == [true, true])
        #expect(try isServed("listed-leaver", server) == [false, false])
        #expect(try isServed("unlisted", server) == [true, true])
        let warnings = server.startLog.filter { $0.contains("no revocation list") }
        #expect(warnings.count == 1 && warnings[0].contains(#""authorities":"another authority""#), "\(warnings)")
    }

    /// Over HTTP, by a client that shows all the certificates of its file.
    private func isServedWithChain(_ role: String, _ server: ServerProcess) -> Bool {
        Curl(port: server.port, role: role).rpc(#"{"jsonrpc":"2.0","id":1,"method":"ListServices"}"#).json?["result"]
            != nil
    }

    @Test("no client of an authority revoked by the one above is let in any more, be it sent by the client or listed")
    func revokesAuthorities() throws {
        let directory = ScratchDirectory()
        let root = CertificateAuthority(directory)
        let (revoked, kept) = (root.subordinate(directory), root.subordinate(directory))
        revoked.issue("of-revoked")
        kept.issue("of-kept")
        root.issue("of-root")
        try revoked.join("of-revoked")
        try kept.join("of-kept")
        root.revoke(revoked)
        let (list, authorities) = ("\(directory.path)/revoked.pem", "\(directory.path)/authorities.pem")
        root.writeRevocations(list)
        let all = try [revoked, kept, root].map { try String(contentsOfFile: $0.certificate, encoding: .utf8) }.joined()
        try all.write(toFile: authorities, atomically: true, encoding: .utf8)
        for file in [Certificates.shared.ca, authorities] {
            let server = try ServerProcess(
                directory.path,
                ServerProcess.ranges + ["--client-crl-file=\(list)", "--client-ca-file=\(file)"])
            #expect(isServedWithChain("of-kept", server) == true, "\(file)")
            #expect(isServedWithChain("of-root", server) == true, "\(file)")
            #expect(isServedWithChain("of-revoked", server) == false, "\(file)")
            let line = server.log.entry { $0["message"] == "a handshake was refused" }?["error"]?.stringValue ?? ""
            #expect(
                line.contains(
                    #""tandem development CA" revoked the authority above it, "an intermediate authority", on 20"#),
                "\(line)")
            #expect(server.stop() == 0)
        }
    }

    @Test("a list that has run out is warned about and measured, revokes whom it names, and lets the others in")
    func listsThatRanOut() throws {
        let directory = ScratchDirectory()
        let authority = CertificateAuthority(directory)
        authority.issue("old-leaver")
        authority.issue("old-stayer")
        authority.revoke("old-leaver")
        let list = "\(directory.path)/revoked.pem"
        authority.writeRevocations(list, ofYear: 2021)
        let server = try ServerProcess(directory.path, ServerProcess.ranges + ["--client-crl-file=\(list)"])
        #expect(try isServed("old-stayer", server) == [true, true])
        #expect(try isServed("old-leaver", server) == [false, false])
        let warnings = server.startLog.filter { $0.contains("a list of revocations has run out") }
        #expect(warnings.count == 1 && warnings[0].contains(#""end":"2022-01-01T00:00:00Z""#), "\(server.startLog)")
        let name = #"tandem_tls_trust_expiration_seconds{what="client_crl"} -"#
        #expect(Curl(port: server.port, role: "viewer").request("/metrics").body.contains(name))
        // A newer one of the same authority takes its place.
        authority.writeRevocations(list)
        #expect(server.nextLogLine(with: "certificates are read again") != nil)
        #expect(!Curl(port: server.port, role: "viewer").request("/metrics").body.contains(name))
        #expect(try isServed("old-leaver", server) == [false, false])
        #expect(server.stop() == 0)
    }

    @Test("a start warns of an expiry within a week: the server's certificate, an authority, a list")
    func warnsInTime() throws {
        let directory = ScratchDirectory()
        let authority = CertificateAuthority(directory)
        let day = 86_400
        authority.issue("week-server", user: "soon", purpose: "serverAuth", secondsLeft: 6 * day)
        authority.issue("later-server", user: "later", purpose: "serverAuth", secondsLeft: 9 * day)
        authority.issue(
            "week-authority", user: "an ending authority", secondsLeft: 5 * day,
            constraints: "CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign")
        let (shared, list) = (Certificates.shared, "\(directory.path)/revoked.pem")
        authority.writeRevocations(list)
        func warnings(_ role: String, _ authority: String) throws -> [String] {
            let server = try ServerProcess(
                directory.path,
                ServerProcess.ranges + [
                    "--tls-cert-file=\(shared.certificate(role))", "--tls-private-key-file=\(shared.key(role))",
                    "--client-ca-file=\(authority)", "--client-crl-file=\(list)",
                ])
            return server.startLog.compactMap { try? JSONValue(parsing: $0)["message"]?.stringValue }
                .filter { $0.contains("ends soon") || $0.contains("runs out soon") }
        }
        #expect(try warnings("later-server", shared.ca) == [])
        #expect(try warnings("week-server", shared.ca) == ["the server's certificate ends soon"])
        #expect(
            try warnings("later-server", shared.certificate("week-authority"))
                == ["an authority of clients ends soon"])
    }

    @Test(
        "a client whose certificate ends while it is connected is served no more: calls over both protocols, and the metrics"
    )
    func endsWhileConnected() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        CertificateAuthority(directory).issue("brief", secondsLeft: 10)
        let stream = try WireClient(port: server.port, role: "brief")
        let http = try WireClient(port: server.port, role: "brief", protocols: ["http/1.1"])
        let metrics = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"
        func status() -> JSONValue? {
            stream.begin(#"{"jsonrpc":"2.0","id":1,"method":"ListServices"}"# + "\n")
            return stream.receiveAnswer()
        }
        #expect(status()?["result"] != nil)
        http.begin(metrics)
        #expect(http.receive()?.occurrences(of: "HTTP/1.1 200 OK") == 1)
        var last = status()
        let end = ContinuousClock.now + .seconds(60)
        while last?["result"] != nil, .now < end { last = status() }
        #expect(last?["error"]?["data"]?["status"] == "UNAUTHENTICATED", "\(last?.text.description ?? "none")")
        http.send(metrics)
        try http.endOutput()
        #expect(http.rest()?.contains("HTTP/1.1 401 Unauthorized") ?? false)
        // Requests that need no certificate are answered.
        stream.begin(#"{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}"# + "\n")
        #expect(stream.receiveAnswer()?["result"] != nil)
    }

    @Test("a server's certificate that is over, or not begun, is warned about, and measured")
    func warnsOfItsOwn() throws {
        let directory = ScratchDirectory()
        let authority = CertificateAuthority(directory)
        authority.issue("past-server", user: "past", purpose: "serverAuth", years: 2020...2021)
        authority.issue("early-server", user: "early", purpose: "serverAuth", years: 2080...2090)
        let shared = Certificates.shared
        for (role, word) in [("past-server", "has expired"), ("early-server", "is not valid yet"), ("server", "")] {
            let server = try ServerProcess(
                "\(directory.path)/\(role)",
                ServerProcess.ranges + [
                    "--tls-cert-file=\(shared.certificate(role))", "--tls-private-key-file=\(shared.key(role))",
                ])
            let warnings = server.startLog.filter { $0.contains("the server's certificate") }
            #expect(warnings.count == (word.isEmpty ? 0 : 1) && warnings.allSatisfy { $0.contains(word) })
            let metrics = Curl(port: server.port).request("/metrics", ["-k"]).body
            let line = metrics.split(separator: "\n").first {
                $0.hasPrefix("tandem_tls_certificate_expiration_seconds ")
            }
            let seconds = try #require(line?.split(separator: " ").last.flatMap { Int($0) })
            #expect(role == "past-server" ? seconds < -86_400 : seconds > 86_400)
        }
    }

    @Test("a list that can't be read keeps the server from starting, and names the flag")
    func refusesBadLists() throws {
        let directory = ScratchDirectory()
        let list = directory.path + "/none.pem"
        _ = FileManager.default.createFile(atPath: list, contents: Data("nothing\n".utf8))
        let result = Command.run(
            ServerProcess.program,
            ServerProcess.tls + ServerProcess.ranges + ["--data-dir=\(directory.path)", "--client-crl-file=\(list)"])
        #expect(result.status == 1)
        #expect(result.errors.hasPrefix("tandemd: --client-crl-file: \(list) holds no certificate revocation list"))
    }

    @Test("SIGHUP and a changed file bring a new certificate; open connections stay; a bad file changes nothing")
    func reloads() throws {
        let directory = ScratchDirectory()
        let authority = CertificateAuthority(directory)
        let shared = Certificates.shared
        let (certificate, key) = (directory.path + "/live.crt", directory.path + "/live.key")
        func install(_ role: String) throws {
            for (from, to) in [(shared.key(role), key), (shared.certificate(role), certificate)] {
                try Data(contentsOf: URL(fileURLWithPath: from)).write(to: URL(fileURLWithPath: to + ".new"))
                chmod(to + ".new", 0o600)
                rename(to + ".new", to)
            }
        }
        authority.issue("second-server", user: "second", purpose: "serverAuth")
        try install("server")
        let server = try ServerProcess(
            directory.path,
            ServerProcess.ranges + ["--tls-cert-file=\(certificate)", "--tls-private-key-file=\(key)"])
        func subject() -> String {
            let shown = Command.run(
                "openssl", ["s_client", "-connect", "127.0.0.1:\(server.port)", "-alpn", "http/1.1"], input: "")
            return Command.run("openssl", ["x509", "-noout", "-subject"], input: shown.output).output
        }
        let open = try LineStream(port: server.port)
        #expect(open.call(.getPools)?["result"] != nil)
        #expect(subject().contains("tandemd"))
        try install("second-server")
        kill(server.processID, SIGHUP)
        #expect(
            server.log.entry { $0["message"] == "certificates are read again" && $0["cause"] == "SIGHUP" } != nil)
        var shown = subject()
        // A signal may come between the two files: then the watch takes up the rest.
        for _ in 0..<100 where !shown.contains("second") { shown = subject() }
        #expect(shown.contains("second"))
        #expect(open.call(.getPools)?["result"] != nil)
        try Data("rubbish\n".utf8).write(to: URL(fileURLWithPath: certificate))
        kill(server.processID, SIGHUP)
        let complaint = server.nextLogLine(with: "certificates can't be read again")
        #expect(complaint?.contains("live.crt holds no certificate") ?? false)
        #expect(subject().contains("second"))
        #expect(open.call(.getPools)?["result"] != nil)
        #expect(server.stop() == 0)
    }

    @Test("a key that others can read is warned about; one that its owner alone can read is not")
    func warnsOfLooseKeys() throws {
        let directory = ScratchDirectory()
        let key = directory.path + "/server.key"
        try FileManager.default.copyItem(atPath: Certificates.shared.key("server"), toPath: key)
        for (mode, isLoose) in [(mode_t(0o600), false), (0o640, false), (0o644, true), (0o660, true)] {
            chmod(key, mode)
            let server = try ServerProcess(
                directory.path, ServerProcess.ranges + ["--tls-private-key-file=\(key)"])
            let isWarned = server.startLog.contains { $0.contains("the private key can be read") }
            #expect(isWarned == isLoose, "\(String(mode, radix: 8))")
            #expect(server.stop() == 0)
        }
    }

    @Test("no log, not even of everything, has a key in it")
    func keepsSecrets() throws {
        let directory = ScratchDirectory()
        CertificateAuthority(directory).issue("expired", years: 2020...2021)
        let server = try ServerProcess(directory.path, ServerProcess.ranges + ["--log-level=trace"])
        _ = try isServed("admin", server)
        _ = try isServed("expired", server)
        TCPSocket(port: server.port)?.send(Array("GET / HTTP/1.1\r\n\r\n".utf8))
        kill(server.processID, SIGHUP)
        #expect(server.nextLogLine(with: "certificates are read again") != nil)
        kill(server.processID, SIGTERM)
        // To its end; and then all of it, not only the part waited for.
        while server.nextLogLine(with: "") != nil {}
        let text = server.log.text
        #expect(text.contains("certificates are read again") && text.contains("stopped"))
        #expect(!text.contains("PRIVATE KEY") && !text.contains("BEGIN"))
        for role in ["server", "admin", "expired"] {
            let key = try String(contentsOfFile: Certificates.shared.key(role), encoding: .utf8)
            for line in key.split(separator: "\n") where !line.contains("-----") {
                #expect(!text.contains(line), "a line of \(role).key")
            }
        }
    }
}

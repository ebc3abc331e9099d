import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing

/// Whom a running server trusts, when that changes: by new connections, by open ones, and by sessions that are taken up
/// again.
@Suite("Changes of trust", .serialized)
struct TrustChangeTests {
    /// `openssl s_client`, which keeps a session and takes it up again.
    private struct Sessions {
        var port: Int
        var file: String

        /// Whether the call gets an answer for known clients only, and whether the session was resumed.
        func call(_ role: String?, _ session: String) -> (isServed: Bool, isResumed: Bool) {
            let certificates = Certificates.shared
            let body = #"{"jsonrpc":"2.0","id":1,"method":"ListServices"}"#
            let request =
                "POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
                + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
            let identity = role.map { ["-cert", certificates.certificate($0), "-key", certificates.key($0)] } ?? []
            let shown = Command.run(
                "timeout",
                [
                    "30", "openssl", "s_client", "-connect", "127.0.0.1:\(port)", "-alpn", "http/1.1", "-CAfile",
                    certificates.ca, "-ign_eof", session, file,
                ] + identity, input: request
            ).output
            return (shown.contains(#""result":{"items""#), shown.contains("Reused, "))
        }

        func keep(_ role: String) -> (isServed: Bool, isResumed: Bool) { call(role, "-sess_out") }
        /// Without a certificate: the session stands for it.
        func takeUp(_ role: String? = nil) -> (isServed: Bool, isResumed: Bool) { call(role, "-sess_in") }
    }

    private func isServed(_ role: String, _ server: ServerProcess) -> Bool {
        Curl(port: server.port, role: role).rpc(#"{"jsonrpc":"2.0","id":1,"method":"ListServices"}"#)
            .json?["result"] != nil
    }

    /// In one step, as a careful operator does it.
    private func install(_ data: Data, at file: String) throws {
        try data.write(to: URL(fileURLWithPath: file + ".new"))
        rename(file + ".new", file)
    }

    @Test(
        "another authority: its clients get in and those of the one before don't, not even by a session of before",
        arguments: ["SIGHUP", "a file changed"])
    func changesAuthority(_ cause: String) throws {
        let directory = ScratchDirectory()
        let (before, after) = (CertificateAuthority(directory), CertificateAuthority(directory, other: true))
        before.issue("veteran")
        after.issue("newcomer")
        let file = "\(directory.path)/clients.pem"
        func install(_ authority: CertificateAuthority) throws {
            try self.install(Data(contentsOf: URL(fileURLWithPath: authority.certificate)), at: file)
        }
        try install(before)
        let server = try ServerProcess(directory.path, ServerProcess.ranges + ["--client-ca-file=\(file)"])
        #expect(isServed("veteran", server) && !isServed("newcomer", server))
        let open = try LineStream(port: server.port, role: "veteran")
        #expect(open.call(.listServices)?["result"] != nil)
        let sessions = Sessions(port: server.port, file: "\(directory.path)/session")
        #expect(sessions.keep("veteran") == (true, false))
        #expect(sessions.takeUp() == (true, true))
        // A certificate that is no authority changes nothing.
        try self.install(Data("nobody\n".utf8), at: file)
        if cause == "SIGHUP" { server.send(SIGHUP) }
        let refusal = server.log.entry {
            $0["cause"]?.stringValue == cause && $0["error"]?.stringValue?.contains("clients.pem holds no") == true
        }
        #expect(refusal?["message"] == "certificates can't be read again; those of before stay in use")
        #expect(isServed("veteran", server) && !isServed("newcomer", server))
        #expect(sessions.takeUp() == (true, true))

        try install(after)
        if cause == "SIGHUP" { server.send(SIGHUP) }
        #expect(
            server.log.entry {
                $0["message"] == "certificates are read again" && $0["cause"]?.stringValue == cause
            } != nil)
        #expect(isServed("newcomer", server) && !isServed("veteran", server))
        #expect(open.call(.listServices)?["result"] != nil)
        // Taken up neither with its certificate nor without, which makes it a stranger.
        #expect(sessions.takeUp("veteran") == (false, false))
        #expect(sessions.takeUp() == (false, false))
        #expect(server.stop() == 0)
    }

    /// A server with a list of revocations, to which `revoke` adds the client `gone`: it returns once the server has read the list again.
    private func serverWithList(_ directory: ScratchDirectory) throws -> (ServerProcess, revoke: () -> Void) {
        let authority = CertificateAuthority(directory)
        authority.issue("gone")
        let list = "\(directory.path)/revoked.pem"
        authority.writeRevocations(list)
        let server = try ServerProcess(directory.path, ServerProcess.ranges + ["--client-crl-file=\(list)"])
        return (
            server,
            {
                authority.revoke("gone")
                authority.writeRevocations(list)
                server.send(SIGHUP)
                #expect(server.log.entry { $0["message"] == "certificates are read again" } != nil)
            }
        )
    }

    @Test("one that is revoked does not get in by a session of before")
    func forgetsSessionsOfRevoked() throws {
        let directory = ScratchDirectory()
        let (server, revoke) = try serverWithList(directory)
        let sessions = Sessions(port: server.port, file: "\(directory.path)/session")
        #expect(sessions.keep("gone") == (true, false))
        #expect(sessions.takeUp() == (true, true))
        revoke()
        #expect(sessions.takeUp("gone") == (false, false))
        #expect(sessions.takeUp() == (false, false))
        #expect(server.stop() == 0)
    }

    @Test("a connection of one that is revoked stays, and so do its calls and its watches; a new one does not get in")
    func keepsConnectionsOfRevoked() throws {
        let directory = ScratchDirectory()
        let (server, revoke) = try serverWithList(directory)
        let open = try LineStream(port: server.port, role: "gone")
        let watch = try LineStream(port: server.port, role: "gone")
        #expect(watch.call(.watch, ["kinds": ["Node"]])?["result"] != nil)
        #expect(watch.receive()?["params"]?["events"]?.arrayValue?.count == 1)
        revoke()
        #expect(!isServed("gone", server))
        #expect(open.call(.allocateNodeCIDRs, ["node": ["metadata": ["name": "n1"]]])?["result"] != nil)
        let told = watch.receive()?["params"]?["events"]?.arrayValue
        #expect(told?.first?["object"]?["metadata"]?["name"] == "n1")
        // An open connection is asked for no certificate: it ends with the process.
        #expect(server.stop() == 0)
        let last = watch.receive()
        #expect(last == nil || last?["params"]?["events"]?.arrayValue?.first?["type"] == "BOOKMARK")
        #expect(watch.receive() == nil)
    }
}

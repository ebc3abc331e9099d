import Foundation
import TestSupport
import Testing

@testable import OpenSSLTLS

/// Each side's fault report on the other one's certificate, and the error for the side with the refused one.
@Suite("Faults of a certificate, in words", .serialized)
struct CertificateFaultTests {
    private let directory = ScratchDirectory()
    private let authority: CertificateAuthority

    init() {
        authority = CertificateAuthority(directory)
    }

    private func server(_ identity: String = "server", list: String? = nil) throws -> TLSContext {
        try TLSContext(
            server: TLSServerConfiguration(
                identity: .of(identity), clientCAFile: Certificates.shared.ca, clientCRLFile: list,
                applicationProtocols: ["jsonrpc"]))
    }

    /// The server's log, and the client's error.
    private func refusal(of role: String, list: String? = nil) throws -> (server: String, client: String) {
        let pair = try TLSPair(client: .client(role: role), server: server(list: list))
        pair.connect()
        pair.carry()
        #expect(pair.serverEvents.errors.first?.code == .certificateRejected, "\(pair.serverEvents.errors)")
        return (pair.serverEvents.errors.first?.message ?? "", pair.clientEvents.errors.first?.message ?? "")
    }

    @Test("a client's: the date, the authority or the usage; the client is told which of its files it is about")
    func ofClients() throws {
        authority.issue("cf-expired", user: "old", years: 2020...2021)
        authority.issue("cf-early", user: "new", years: 2080...2090)
        authority.issue("cf-serving", user: "serving", purpose: "serverAuth")
        authority.issue("cf-gone", user: "gone")
        CertificateAuthority(directory, other: true).issue("cf-foreign", user: "foreign")
        authority.revoke("cf-gone")
        let list = "\(directory.path)/revoked.pem"
        authority.writeRevocations(list)
        let (ca, file) = (Certificates.shared.ca, Certificates.shared.certificate)
        let cases: [(role: String, server: String, client: String)] = [
            (
                "cf-expired", #"the client's certificate of "old" does not verify: it expired on 2021-01-01T00:00:00Z"#,
                "(certificate expired): it expired on 2021-01-01T00:00:00Z"
            ),
            (
                "cf-early",
                #"the client's certificate of "new" does not verify: it is not valid before 2080-01-01T00:00:00Z"#,
                "(bad certificate): it is not valid before 2080-01-01T00:00:00Z"
            ),
            (
                "cf-foreign",
                #"the client's certificate of "foreign" does not verify: the authority above it, "another authority", is not in \#(ca)"#,
                #"(unknown CA): it is signed by "another authority", which the server does not know as an authority of clients"#
            ),
            (
                "cf-serving",
                #"the client's certificate of "serving" does not verify: its extended key usage is serverAuth, not for clients (clientAuth)"#,
                "(unsupported certificate); the server's log says why"
            ),
        ]
        for (role, log, told) in cases {
            let refusal = try refusal(of: role)
            #expect(refusal.server == log)
            #expect(refusal.client == "the server refused this client's certificate, \(file(role)) \(told)")
        }
        let revoked = try refusal(of: "cf-gone", list: list)
        #expect(revoked.server.contains(#""gone" does not verify: "tandem development CA" revoked it on 20"#))
        #expect(revoked.client.hasSuffix("(certificate revoked): its authority has revoked it"))
    }

    @Test("a weak key and a weak signature, which a client of another making may show")
    func ofWeakness() async throws {
        authority.issue("cf-small", user: "small", key: ["rsa:1024"])
        authority.issue("cf-sha1", user: "weak", digest: "sha1")
        let shared = Certificates.shared
        for (role, words) in [
            ("cf-small", "its key of 1024 bits is too small: RSA needs 2048"),
            ("cf-sha1", "its signature, ecdsa-with-SHA1, is too weak: sign it with SHA-256"),
        ] {
            let echo = try EchoServer(server())
            let shown = echo.ask(
                ["-cert", shared.certificate(role), "-key", shared.key(role), "-cipher", "DEFAULT:@SECLEVEL=0"])
            #expect(!shown.output.contains("/"), "\(shown.output)")
            while echo.errors.all.isEmpty { await Task.yield() }
            #expect(echo.errors.all[0].contains(words), "\(echo.errors.all)")
        }
    }

    @Test("a server's: the names it has and the one that was asked for, the date, or the authority that a file lacks")
    func ofServers() throws {
        authority.issue("cf-names", user: "names", purpose: "serverAuth", names: "DNS:a.example,IP:10.0.0.1")
        authority.issue(
            "cf-past", user: "past", purpose: "serverAuth", years: 2020...2021, names: "DNS:localhost")
        let other = CertificateAuthority(directory, other: true).certificate
        func fault(_ identity: String, _ client: TLSContext) throws -> String {
            let pair = try TLSPair(client: client, server: server(identity))
            pair.connect()
            pair.carry()
            #expect(pair.serverEvents.errors.first?.code == .refusedByPeer, "\(pair.serverEvents.errors)")
            #expect(pair.serverEvents.errors.first?.message.hasPrefix("the client refused this server's") == true)
            return pair.clientEvents.errors.first?.message ?? ""
        }
        let begin = #"the server's certificate of "#
        for host in ["b.example", "10.0.0.2"] {
            #expect(
                try fault("cf-names", .client(serverName: host))
                    == begin + #""names" does not verify: it is for a.example, 10.0.0.1, not for \#(host)"#)
        }
        #expect(
            try fault("cf-past", .client())
                == begin + #""past" does not verify: it expired on 2021-01-01T00:00:00Z"#)
        #expect(
            try fault("server", .client(ca: other))
                == begin
                + #""tandemd" does not verify: the authority above it, "tandem development CA", is not in \#(other)"#)
    }
}

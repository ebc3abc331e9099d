import Foundation
import NIOCore
import NIOHPACK
import OpenSSLTLS
import TestSupport
import Testing

@testable import EtcdClient

/// Certificates and passwords, both ways, as files have them.
@Suite("The identities of client and member")
struct IdentityTests {
    private let range = RangeRequest(.of("k"))
    private let certificates = Certificates.shared
    private let scratch = ScratchDirectory()

    private func server(protocols: [String] = ["h2"]) throws -> TLSContext {
        try TLSContext(
            server: TLSServerConfiguration(
                identity: TLSIdentity(
                    certificateChainFile: certificates.certificate("server"), privateKeyFile: certificates.key("server")
                ),
                clientCAFile: certificates.ca, applicationProtocols: protocols))
    }

    private func client(
        of member: FakeMember, ca: String? = nil, certificate: String? = nil, key: String? = nil,
        notice: @escaping @Sendable (String) -> Void = { _ in }
    ) throws -> EtcdClient {
        var configuration = try EtcdConfiguration(
            servers: member.url, caFile: ca ?? certificates.ca,
            certificateFile: certificate ?? certificates.certificate("admin"), keyFile: key ?? certificates.key("admin")
        )
        configuration.connectTimeout = .seconds(60)
        configuration.notice = notice
        return EtcdClient(configuration)
    }

    /// The fault reported for the unusable member, once it is.
    private func failure(of member: FakeMember, ca: String? = nil) async throws -> String {
        let notices = AsyncStream<String>.makeStream()
        let client = try client(of: member, ca: ca) { notices.continuation.yield($0) }
        client.call(range, deadline: .now() + .seconds(60)) { _ in }
        var iterator = notices.stream.makeAsyncIterator()
        let notice = await iterator.next() ?? ""
        client.close()
        #expect(notice.hasPrefix("etcd's member is lost"))
        return notice
    }

    @Test("both show their certificates")
    func mutual() async throws {
        let member = try await FakeMember(tls: try server()) { $0.answer() }
        let client = try client(of: member)
        _ = try await client(range)
        #expect(member.clients.all == ["admin"])
    }

    @Test("a member that another authority signed, that has another name, or that speaks another protocol is refused")
    func refused() async throws {
        let other = CertificateAuthority(scratch, other: true)
        let member = try await FakeMember(tls: try server()) { $0.answer() }
        #expect(try await failure(of: member, ca: other.certificate).contains("certificate"))
        let elsewhere = try await FakeMember(tls: try server(), host: "127.0.0.2") { $0.answer() }
        #expect(try await failure(of: elsewhere).contains("certificate"))
        let speechless = try await FakeMember(tls: try server(protocols: [])) { $0.answer() }
        #expect(try await failure(of: speechless).contains("HTTP/2"))
        let old = try await FakeMember(tls: try server(protocols: ["http/1.1"])) { $0.answer() }
        _ = try await failure(of: old)
        #expect(member.clients.all.isEmpty)
    }

    @Test(
        "a connection shows the certificate that is in the files then; files that can't be used leave the one of before"
    )
    func renewed() async throws {
        let (certificate, key) = ("\(scratch.path)/client.crt", "\(scratch.path)/client.key")
        func put(_ role: String) throws {
            for (file, source) in [(certificate, certificates.certificate(role)), (key, certificates.key(role))] {
                try Data(contentsOf: URL(fileURLWithPath: source)).write(to: URL(fileURLWithPath: file))
            }
        }
        try put("admin")
        let member = try await FakeMember(tls: try server()) { $0.answer() }
        let notices = Noted<String>()
        let client = try client(of: member, certificate: certificate, key: key) { notices.add($0) }
        _ = try await client(range)
        client.leave(EtcdConnectionID(number: 1, member: member.url))
        try put("viewer")
        _ = try await client(range)
        try Data("nothing".utf8).write(to: URL(fileURLWithPath: certificate))
        client.leave(EtcdConnectionID(number: 2, member: member.url))
        _ = try await client(range)
        #expect(member.clients.all == ["admin", "viewer", "viewer"])
        #expect(notices.all.contains { $0.contains("can't be read") && $0.contains(certificate) })
    }

    @Test("a token is got by the password that is in the file then, and shown with each call and watch")
    func password() async throws {
        let (name, password) = ("\(scratch.path)/name", "\(scratch.path)/password")
        try "tandem\n".write(toFile: name, atomically: true, encoding: .utf8)
        try "one\n".write(toFile: password, atomically: true, encoding: .utf8)
        let logins = Noted<String>()
        let member = try await FakeMember { call in
            if call.path == "/etcdserverpb.Auth/Authenticate" {
                logins.add(String(buffer: call.message))
                let count = logins.all.count
                return call.answer {
                    $0.header(revision: 1)
                    $0.string(2, "token \(count)")
                }
            }
            // The first token is good for one call.
            let token = call.headers.first(name: "token") ?? "none"
            if call.path.hasSuffix("Watch") { return call.beginWatch() }
            if token == "token 1", call.path.hasSuffix("Status") {
                return call.refuse(16, "etcdserver: invalid auth token")
            }
            call.answer { $0.header(revision: token == "token 1" ? 1 : 2) }
        }
        var configuration = try EtcdConfiguration(servers: member.url, username: "tandem", passwordFile: password)
        configuration.connectTimeout = .seconds(60)
        let client = EtcdClient(configuration)
        #expect(try await client(range).header.revision == 1)
        try "two".write(toFile: password, atomically: true, encoding: .utf8)
        #expect(try await client(StatusRequest()).header.revision == 2)
        #expect(try await client(range).header.revision == 2)
        #expect(logins.all == ["\n\u{6}tandem\u{12}\u{3}one", "\n\u{6}tandem\u{12}\u{3}two"])
        var updates = client.updates(WatchRequest(.of("k"))).stream.makeAsyncIterator()
        _ = try await updates.began()
        #expect(member.connections == 1)
    }

    @Test("a password that is refused is said to be so at once; a member without passwords needs none")
    func refusedPassword() async throws {
        let file = "\(scratch.path)/name"
        try "tandem".write(toFile: file, atomically: true, encoding: .utf8)
        func client(_ status: Int) async throws -> EtcdClient {
            let member = try await FakeMember { call in
                if call.path == "/etcdserverpb.Auth/Authenticate" { return call.refuse(status, "etcdserver: so") }
                if call.path.hasSuffix("Status") { return call.refuse(16, "etcdserver: never") }
                call.answer()
            }
            var configuration = try EtcdConfiguration(servers: member.url, username: "tandem", passwordFile: file)
            configuration.connectTimeout = .seconds(60)
            return EtcdClient(configuration)
        }
        let error = try await client(3).error(range)
        #expect(error.code == .unauthenticated)
        #expect(error.message == "etcdserver: so")
        #expect(!error.mayHaveBeenApplied)
        let open = try await client(9)
        _ = try await open(range)
        // A token that is refused time and again is not asked for without end.
        #expect(try await open.error(StatusRequest()).code == .unauthenticated)
    }
}

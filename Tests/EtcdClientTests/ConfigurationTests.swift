import EtcdClient
import Foundation
import TestSupport
import Testing

@Suite("The addresses of etcd, and the client's identity")
struct ConfigurationTests {
    private static let certificates = Certificates.shared

    @Test("members are read with their ports, also IPv6's")
    func members() throws {
        let configuration = try EtcdConfiguration(
            servers: "https://etcd-0.etcd:2379,https://10.0.0.1,https://[fd00::1]:2380,http://127.0.0.1:1,http://[::1]",
            caFile: "ca")
        #expect(
            configuration.members.map(\.description) == [
                "https://etcd-0.etcd:2379", "https://10.0.0.1:2379", "https://[fd00::1]:2380", "http://127.0.0.1:1",
                "http://[::1]:2379",
            ])
        #expect(configuration.members.map(\.host) == ["etcd-0.etcd", "10.0.0.1", "fd00::1", "127.0.0.1", "::1"])
    }

    @Test(
        "an invalid member is refused with its flag",
        arguments: [
            "", "etcd:2379", "ftp://etcd", "https://", "https://:2379", "https://etcd:", "https://etcd:0",
            "https://etcd:65536",
            "https://etcd:-1", "https://etcd/", "https://user@etcd", "https://[fd00::1", "https://[etcd]",
            "https://[::1]2379",
            "https://fd00::1", "https://etcd,", "https://etcd,https://etcd", "https://etcd:2379,https://etcd",
            "http://etcd", "http://10.0.0.1", "http://127.0.0.1.evil.example", "http://[fd00::1]",
            "http://localhost.example",
        ])
    func refused(_ servers: String) {
        let error = #expect(throws: EtcdConfigurationError.self) {
            try EtcdConfiguration(servers: servers, caFile: "ca")
        }
        #expect(error?.flag == .servers)
        #expect(error?.description.hasPrefix("--etcd-servers: ") == true)
    }

    @Test("there are at most 32 members")
    func count() throws {
        let servers = (0...32).map { "https://etcd-\($0)" }
        _ = try EtcdConfiguration(servers: servers.dropLast().joined(separator: ","), caFile: "ca")
        #expect(throws: EtcdConfigurationError.self) {
            try EtcdConfiguration(servers: servers.joined(separator: ","), caFile: "ca")
        }
    }

    @Test("a file that is missing from a pair, or is of no use, is named by its flag")
    func pairs() {
        func flag(_ body: () throws -> EtcdConfiguration) -> String? {
            do { _ = try body() } catch { return (error as? EtcdConfigurationError)?.flag.description }
            return nil
        }
        let secure = "https://etcd"
        #expect(flag { try EtcdConfiguration(servers: secure) } == "--etcd-cafile")
        #expect(flag { try EtcdConfiguration(servers: secure, caFile: "a", certificateFile: "b") } == "--etcd-keyfile")
        #expect(flag { try EtcdConfiguration(servers: secure, caFile: "a", keyFile: "b") } == "--etcd-certfile")
        #expect(
            flag { try EtcdConfiguration(servers: secure, caFile: "a", username: "b") } == "--etcd-password-file")
        #expect(
            flag { try EtcdConfiguration(servers: secure, caFile: "a", passwordFile: "b") } == "--etcd-username")
        #expect(flag { try EtcdConfiguration(servers: "http://127.0.0.1", caFile: "a") } == "--etcd-cafile")
        #expect(
            flag { try EtcdConfiguration(servers: "http://127.0.0.1", certificateFile: "a", keyFile: "b") }
                == "--etcd-certfile")
    }

    @Test("a file that can't be used is named with its flag before anything else is done")
    func files() throws {
        let scratch = ScratchDirectory()
        func flag(
            ca: String = Self.certificates.ca, key: String = Self.certificates.key("admin"), username: String? = nil,
            password: String? = nil
        ) -> String? {
            do throws(EtcdConfigurationError) {
                try EtcdConfiguration(
                    servers: "https://localhost", caFile: ca, certificateFile: Self.certificates.certificate("admin"),
                    keyFile: key, username: username, passwordFile: password
                ).checkFiles()
            } catch {
                return error.flag.description
            }
            return nil
        }
        #expect(flag() == nil)
        #expect(flag(ca: "\(scratch.path)/none") == "--etcd-cafile")
        #expect(flag(key: "\(scratch.path)/none") == "--etcd-keyfile")
        #expect(flag(key: Self.certificates.key("viewer")) == "--etcd-keyfile")
        let (name, empty, long) = ("\(scratch.path)/name", "\(scratch.path)/empty", "\(scratch.path)/long")
        try "tandem\n".write(toFile: name, atomically: true, encoding: .utf8)
        try "\n".write(toFile: empty, atomically: true, encoding: .utf8)
        try String(repeating: "x", count: 4_097).write(toFile: long, atomically: true, encoding: .utf8)
        #expect(flag(username: name, password: name) == nil)
        #expect(flag(username: "a", password: "\(scratch.path)/none") == "--etcd-password-file")
        #expect(flag(username: name, password: empty) == "--etcd-password-file")
        #expect(flag(username: name, password: long) == "--etcd-password-file")
    }
}

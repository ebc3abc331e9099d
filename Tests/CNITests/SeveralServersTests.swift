import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing

/// Servers of data directories of their own, so that it is seen which one answered.
@Suite("tandem-cni and several servers", .serialized)
struct SeveralServersTests {
    private let directory = ScratchDirectory()

    private func start(_ name: String) throws -> ServerProcess { try ServerProcess("\(directory.path)/\(name)") }

    private func plugin(_ ports: [Int], isArray: Bool = false, timeoutMs: Int = 20_000) -> PluginProcess {
        let servers = ports.map { "127.0.0.1:\($0)" }
        let list: JSONValue =
            isArray ? .array(servers.map { .string($0) }) : .string(servers.joined(separator: ","))
        return PluginProcess(
            port: 1, ipam: ["server": list, "timeoutMs": .number(String(timeoutMs))])
    }

    private func podCount(_ server: ServerProcess) throws -> Int? {
        try LineStream(port: server.port).call(.listPods)?["result"]?["items"]?.arrayValue?.count
    }

    @Test("a dead one costs nothing: ADD, CHECK's like and DEL go to the next", arguments: [false, true])
    func dead(_ isArray: Bool) throws {
        let (dead, server) = (try start("a"), try start("b"))
        dead.crash()
        let plugin = plugin([dead.port, server.port], isArray: isArray)
        #expect(plugin("ADD").addresses == ["10.244.0.2/24", "fd00:10:244::2/64"])
        #expect(plugin("ADD").addresses == ["10.244.0.2/24", "fd00:10:244::2/64"])
        #expect(try podCount(server) == 1)
        #expect(plugin("DEL").status == 0)
        #expect(try podCount(server) == 0)
    }

    @Test("one that does not shake hands is not waited for")
    func silent() throws {
        let (stopped, server) = (try start("a"), try start("b"))
        stopped.send(SIGSTOP)
        // Were it waited for, half of the time would not be over before the test is.
        let answer = plugin([stopped.port, server.port], timeoutMs: 600_000)("ADD")
        #expect(answer.addresses.count == 2, "\(answer.text)")
        stopped.send(SIGCONT)
    }

    @Test("one that is silent with the call in flight costs half of the time; the retry finds the allocation")
    func silentLater() throws {
        let server = try start("a")
        let relay = try Relay(to: server.port)
        let answer = plugin([relay.port, server.port], timeoutMs: 10_000)("ADD")
        #expect(answer.addresses == ["10.244.0.2/24", "fd00:10:244::2/64"], "\(answer.text)")
        #expect(try podCount(server) == 1)
    }

    @Test("UNAVAILABLE goes to the next one; a refusal that all would give does not")
    func unavailable() throws {
        let restarting = try AnsweringServer(
            status: "UNAVAILABLE", code: -32014, reason: "ConfigurationChanged", isRetryable: true, "changed by another"
        )
        let server = try start("a")
        #expect(plugin([restarting.port, server.port])("ADD").addresses.count == 2)

        let refusing = try AnsweringServer(
            status: "FAILED_PRECONDITION", code: -32009, reason: "NoCIDR", isRetryable: false, "not for you")
        server.crash()
        let refused = plugin([server.port, refusing.port], timeoutMs: 600_000)("ADD", "c2")
        #expect(refused.code == 109 && refused.message == "not for you", "\(refused.text)")
    }

    @Test("where none answers the error is 11 and has the error of each")
    func none() throws {
        let (first, second) = (try start("a"), try start("b"))
        first.crash()
        second.crash()
        let answer = plugin([first.port, second.port], timeoutMs: 100)("ADD")
        #expect(answer.code == 11)
        #expect(
            answer.message
                == "no server answered: 127.0.0.1 port \(first.port): Connection refused; 127.0.0.1 port \(second.port): Connection refused"
        )
    }

    @Test("the time is over though servers are left that were not asked")
    func timeIsUp() throws {
        let stopped = try start("a")
        stopped.send(SIGSTOP)
        let answer = plugin([stopped.port, stopped.port - 1, stopped.port + 1], timeoutMs: 100)("ADD")
        #expect(answer.code == 11, "\(answer.text)")
        stopped.send(SIGCONT)
    }

    @Test("each is verified under its own name; where all are refused nothing is tried again")
    func names() throws {
        let authority = CertificateAuthority(directory)
        authority.issue("by-name", user: "by-name", purpose: "serverAuth\nsubjectAltName=DNS:localhost")
        let (dead, certificates) = (try start("a"), Certificates.shared)
        dead.crash()
        let server = try ServerProcess(
            command: [
                ServerProcess.program, "--tls-cert-file=\(certificates.certificate("by-name"))",
                "--tls-private-key-file=\(certificates.key("by-name"))", "--client-ca-file=\(certificates.ca)",
                "--data-dir=\(directory.path)/b", "--secure-port=0", "--log-format=json",
            ] + ServerProcess.ranges)
        var plugin = plugin([])
        plugin.ipam = ["server": .string("127.0.0.1:\(dead.port),localhost:\(server.port)"), "timeoutMs": 20_000]
        #expect(plugin("ADD").addresses.count == 2)
        plugin.ipam = ["server": .string("127.0.0.1:\(server.port)"), "timeoutMs": 600_000]
        let refused = plugin("ADD")
        #expect(refused.code == 116 && refused.message.contains("not for 127.0.0.1"), "\(refused.text)")
    }
}

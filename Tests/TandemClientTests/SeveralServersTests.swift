import Foundation
import NIOCore
import OpenSSLTLS
import ServerSupport
import TandemAPI
import TandemClient
import TestSupport
import Testing

/// Two servers of data directories of their own, so that it is seen which one answered.
@Suite("A client of several real servers", .serialized)
struct SeveralServersTests {
    private let directory = ScratchDirectory()

    private func start(_ name: String) throws -> ServerProcess { try ServerProcess("\(directory.path)/\(name)") }

    private func connect(_ servers: String) async throws -> TandemClient {
        let certificates = Certificates.shared
        return try await TandemClient.connect(
            ClientConfiguration(
                servers: try ServerAddress.list(servers), caFile: certificates.ca,
                identity: TLSIdentity(
                    certificateChainFile: certificates.certificate("admin"), privateKeyFile: certificates.key("admin")))
        )
    }

    private func pod(_ name: String) -> JSONValue {
        ["pod": ["metadata": ["name": .string(name)], "spec": ["nodeName": "n1"]]]
    }

    private func pods(_ server: ServerProcess) throws -> [JSONValue] {
        let items = try LineStream(port: server.port).call(.listPods)?["result"]?["items"]
        return items?.arrayValue?.compactMap { $0["metadata"]?["name"] } ?? []
    }

    @Test("one that refuses connections is passed over at the start, and one that is killed later")
    func killed() async throws {
        let dead = try start("a")
        dead.crash()
        let (first, second) = (try start("b"), try start("c"))
        let client = try await connect("127.0.0.1:\(dead.port),127.0.0.1:\(first.port),127.0.0.1:\(second.port)")
        _ = try await client.call(.allocatePodIPs, pod("p1"))
        // Which of them it was is not said: a slow handshake is overtaken.
        let isFirst = try pods(first) == ["p1"]
        let (asked, other) = isFirst ? (first, second) : (second, first)
        #expect(try pods(asked) == ["p1"])
        asked.crash()
        _ = try await client.call(.allocatePodIPs, pod("p2"))
        #expect(try pods(other) == ["p2"])
        // And back: the one that came again.
        let again = try ServerProcess("\(directory.path)/\(isFirst ? "b" : "c")", port: asked.port)
        other.crash()
        #expect(try await client.call(.allocatePodIPs, pod("p1"))["replayed"] == true)
        #expect(again.stop() == 0)
        await client.close()
    }

    @Test("a call whose connection is lost before its answer finds its own allocation at the next")
    func lostAnswer() async throws {
        let server = try start("a")
        let relay = try Relay(to: server.port)
        let client = try await connect("127.0.0.1:\(relay.port),127.0.0.1:\(server.port)")
        async let answer = client.call(.allocatePodIPs, pod("p1"))
        // The relay keeps the answer to itself; that there is one is seen at the server.
        let watch = try LineStream(port: server.port)
        while watch.call(.listPods)?["result"]?["items"]?.arrayValue?.isEmpty != false { await Task.yield() }
        relay.cut()
        let result = try await answer
        #expect(result["replayed"] == true)
        #expect(result["pod"]?["status"]?["podIP"] == "10.244.0.2")
        await client.close()
    }

    @Test("one that is stopped is passed over, before its handshake and with a call in flight")
    func silent() async throws {
        let (first, second) = (try start("a"), try start("b"))
        let servers = "127.0.0.1:\(first.port),127.0.0.1:\(second.port)"
        let client = try await connect(servers)
        first.send(SIGSTOP)
        let newcomer = try await connect(servers)
        async let inFlight = client.call(.allocatePodIPs, pod("p1"), timeout: .seconds(60))
        _ = try await newcomer.call(.allocatePodIPs, pod("p2"))
        _ = try await inFlight
        #expect(try pods(second).map(\.text.description).sorted() == ["\"p1\"", "\"p2\""])
        first.send(SIGCONT)
        await client.close()
        await newcomer.close()
    }

    @Test("one that answers UNAVAILABLE is passed over; a refusal that all would give comes from the first")
    func unavailable() async throws {
        let restarting = try AnsweringServer(
            status: "UNAVAILABLE", code: -32014, reason: "ConfigurationChanged", isRetryable: true, "changed by another"
        )
        let server = try start("a")
        let client = try await connect("127.0.0.1:\(restarting.port),127.0.0.1:\(server.port)")
        _ = try await client.call(.allocatePodIPs, pod("p1"))
        #expect(try pods(server) == ["p1"])
        await client.close()

        let refusing = try AnsweringServer(
            status: "NOT_FOUND", code: -32005, reason: "NotFound", isRetryable: false, "no such pod")
        let dead = try start("b")
        dead.crash()
        let other = try await connect("127.0.0.1:\(dead.port),127.0.0.1:\(refusing.port)")
        let error = await #expect(throws: APIError.self) { try await other.call(.getPod, pod("p1")) }
        #expect(error?.message == "no such pod")
        await other.close()
    }

    @Test("each server is verified under its own name")
    func names() async throws {
        let authority = CertificateAuthority(directory)
        func start(_ name: String, _ alternative: String) throws -> ServerProcess {
            authority.issue(name, user: name, purpose: "serverAuth\nsubjectAltName=\(alternative)")
            let certificates = Certificates.shared
            return try ServerProcess(
                command: [
                    ServerProcess.program, "--tls-cert-file=\(certificates.certificate(name))",
                    "--tls-private-key-file=\(certificates.key(name))", "--client-ca-file=\(certificates.ca)",
                    "--data-dir=\(directory.path)/\(name)", "--secure-port=0", "--log-format=json",
                ] + ServerProcess.ranges)
        }
        let byAddress = try start("by-address", "IP:127.0.0.1")
        let byName = try start("by-name", "DNS:localhost")
        let client = try await connect("127.0.0.1:\(byAddress.port),localhost:\(byName.port)")
        _ = try await client.call(.allocatePodIPs, pod("p1"))
        byAddress.crash()
        _ = try await client.call(.allocatePodIPs, pod("p2"))
        await client.close()
        let error = await #expect(throws: ClientError.self) {
            try await connect("127.0.0.1:\(byAddress.port),127.0.0.1:\(byName.port)")
        }
        #expect(
            error?.message.contains("\(byAddress.port): Connection refused; 127.0.0.1") == true,
            "\(String(describing: error))")
        #expect(error?.message.contains("\(byName.port): the server's certificate of ") == true)
        #expect(error?.message.contains("it is for localhost, not for 127.0.0.1") == true)
    }
}

import EtcdSupport
import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing

/// Real servers over a real etcd: any of them answers, and the death of one, or of a member, is noticed by nobody who asks again.
@Suite("Servers over etcd", .enabled(if: EtcdCluster.program != nil), .serialized)
struct EtcdServersTests {
    private func allocate(_ stream: LineStream, _ name: String) -> JSONValue? {
        stream.call(
            .allocateServiceIPs,
            ["service": ["metadata": ["name": .string(name)], "spec": ["ipFamilyPolicy": "RequireDualStack"]]])?[
                "result"]
    }

    private func addresses(_ result: JSONValue?) -> [String] {
        result?["service"]?["spec"]?["clusterIPs"]?.arrayValue?.compactMap(\.stringValue) ?? []
    }

    @Test(
        "what one server was asked for any other shows; servers and a member are killed, and nothing is lost or given twice"
    )
    func survives() async throws {
        let cluster = try await EtcdCluster(members: 3)
        var servers = try (0..<3).map { _ in try ServerProcess(etcd: cluster.servers) }
        var given: [String: [String]] = [:]
        func allocateSome(_ round: Int) throws {
            for number in 0..<30 {
                let name = "s\(round)-\(number)"
                // A client whose server does not answer goes to the next, and asks for the same.
                for attempt in 0..<40 {
                    let server = servers[(number + attempt) % servers.count]
                    guard let stream = try? LineStream(port: server.port) else { continue }
                    let found = addresses(allocate(stream, name))
                    guard found.count == 2 else { continue }
                    given[name] = found
                    break
                }
            }
        }
        try allocateSome(0)
        servers.removeFirst().crash()
        try allocateSome(1)
        cluster.members[0].crash()
        try allocateSome(2)
        servers.append(try ServerProcess(etcd: cluster.servers))
        try await cluster.members[0].restart()
        servers.removeFirst().crash()
        try allocateSome(3)
        #expect(given.count == 120)
        #expect(Set(given.values.joined()).count == 240)
        for server in servers {
            let stream = try LineStream(port: server.port)
            for (name, addresses) in given {
                let service = stream.call(.getService, ["service": ["metadata": ["name": .string(name)]]])?["result"]
                #expect(self.addresses(service) == addresses, "\(name)")
            }
            #expect(server.stop() == 0)
        }
    }

    @Test(
        "a server is not ready while etcd takes connections and says nothing, is again by itself, and ends when it is told to"
    )
    func readiness() async throws {
        let cluster = try await EtcdCluster()
        let member = cluster.members[0]
        let server = try await onOwnThread {
            try ServerProcess(etcd: cluster.servers, ServerProcess.ranges + ["--etcd-healthcheck-timeout=1s"])
        }
        // A question waits for its answer: not on a thread that others' tests need.
        let port = server.port
        func readiness() async throws -> Curl.Answer {
            try await onOwnThread { Curl(port: port, role: nil).request("/readyz?verbose") }
        }
        func turns(_ status: Int) async throws -> String {
            for _ in 0..<2_000 {
                let answer = try await readiness()
                if answer.status == status { return answer.body }
            }
            return "never \(status)"
        }
        #expect(try await turns(200).contains("storage ok"))
        member.send(SIGSTOP)
        #expect(try await turns(503).contains("etcd does not answer"))
        member.send(SIGCONT)
        #expect(try await turns(200).contains("storage ok"))
        member.send(SIGSTOP)
        #expect(try await turns(503).contains("etcd does not answer"))
        server.send(SIGTERM)
        // To the end of its log.
        _ = try await onOwnThread { [log = server.log] in log.entry { _ in false } == nil }
        #expect(server.exitStatus(within: 60) == 0)
    }

    @Test("a start over an etcd that takes connections and says nothing ends, and says why")
    func silentAtStart() async throws {
        let cluster = try await EtcdCluster()
        cluster.members[0].send(SIGSTOP)
        let ended = try await onOwnThread {
            Command.run(
                "timeout",
                ["120", ServerProcess.program] + ServerProcess.tls + ServerProcess.ranges + [
                    "--secure-port=0", "--etcd-servers=\(cluster.servers)",
                ])
        }
        #expect(ended.status == 1)
        #expect(ended.errors.contains(cluster.servers), "\(ended.errors)")
    }

    @Test("flags that do not go together, or that other servers have otherwise, are named")
    func refusesFlags() async throws {
        let cluster = try await EtcdCluster()
        func message(_ arguments: [String]) -> String {
            Command.run(
                ServerProcess.program, ServerProcess.tls + ServerProcess.ranges + ["--secure-port=0"] + arguments
            ).errors
        }
        let servers = "--etcd-servers=\(cluster.servers)"
        #expect(message(["--data-dir=x", servers]).contains("--data-dir"))
        #expect(message(["--data-dir=x", "--etcd-prefix=/a"]).contains("--etcd-prefix"))
        #expect(message(["--storage=etcd"]).contains("--etcd-servers"))
        #expect(message([servers, "--etcd-prefix=tandem"]).contains("--etcd-prefix"))
        #expect(message([servers, "--etcd-compaction-interval=5x"]).contains("5m0s"))
        #expect(message(["--etcd-servers=http://192.0.2.1:2379"]).contains("--etcd-servers"))
        let server = try ServerProcess(etcd: cluster.servers)
        let other = Command.run(
            ServerProcess.program,
            ServerProcess.tls + [
                "--service-cluster-ip-range=10.97.0.0/20", ServerProcess.ranges[1], "--secure-port=0", servers,
            ]
        ).errors
        #expect(other.contains("--service-cluster-ip-range=10.96.0.0/20,fd00:10:96::/112"))
        #expect(server.stop() == 0)
    }
}

import EtcdSupport
import Foundation
import ServerSupport
import TestSupport
import Testing

/// Members of etcd and servers on hosts of their own, between which the network is cut.
@Suite(
    "Servers and members that are cut off", .serialized,
    .enabled(if: EtcdCluster.program != nil && Hosts.obstacle == nil, Comment(rawValue: Hosts.obstacle ?? "")))
struct PartitionTests {
    /// Questions while the network is cut, each of which waits for some two seconds: `make soak` asks for half a minute.
    private static let questions = ProcessInfo.processInfo.environment["TANDEM_SOAK"] == nil ? 2 : 15

    @Test("a server that is cut off from etcd, or hears nothing from it, says so, and never gives stale answers")
    func server() async throws {
        let partition = try await Partition(members: 1)
        let cuts = [
            (cut: "ip link set eth0 down", mend: "ip link set eth0 up"),
            (
                cut: """
                nft add table inet cut
                nft add chain inet cut in '{ type filter hook input priority 0; }'
                nft add rule inet cut in iifname eth0 drop
                """, mend: "nft delete table inet cut"
            ),
        ]
        for (round, (cut, mend)) in cuts.enumerated() {
            #expect(try await partition.allocate(2, "s\(round)").status == 0)
            #expect(try await partition.ask(1, "get service s\(round)").status == 0)
            try await partition.run("s1", cut)
            #expect(try await partition.ask(2, "delete service s\(round)").status == 0)
            for _ in 0..<Self.questions {
                let answer = try await partition.ask(1, "get service s\(round)")
                #expect(answer.status != 0)
                #expect(answer.errors.contains("StorageUnavailable"), "\(answer.output)\(answer.errors)")
            }
            #expect(try await partition.allocate(1, "t\(round)").errors.contains("StorageUnavailable"))
            try await partition.run("s1", mend)
            var answer = try await partition.ask(1, "get service s\(round)")
            for _ in 0..<100 where answer.errors.contains("StorageUnavailable") {
                answer = try await partition.ask(1, "get service s\(round)")
            }
            #expect(answer.errors.contains("not found"), "\(answer.output)\(answer.errors)")
        }
        try await checkBooks(partition)
        try await partition.end()
    }

    @Test("each member in turn is cut off from the others and from the servers: all goes on through the rest")
    func member() async throws {
        let partition = try await Partition(members: 3)
        for member in 1...3 {
            try await partition.run("m\(member)", "ip link set eth0 down")
            for server in 1...2 {
                for question in 0..<Self.questions {
                    let name = "s\(member)-\(server)-\(question)"
                    var answer = try await partition.allocate(server, name)
                    for _ in 0..<30 where answer.status != 0 { answer = try await partition.allocate(server, name) }
                    #expect(answer.status == 0, "\(answer.errors)")
                }
            }
            try await partition.run("m\(member)", "ip link set eth0 up")
        }
        try await checkBooks(partition)
        try await partition.end()
    }

    private func checkBooks(_ partition: Partition) async throws {
        var lists: [String] = []
        for server in 1...2 {
            for words in ["get services -o json", "check"] {
                var answer = try await partition.ask(server, words)
                for _ in 0..<30 where answer.errors.contains("StorageUnavailable") {
                    answer = try await partition.ask(server, words)
                }
                #expect(answer.status == 0, "\(answer.output)\(answer.errors)")
                if words != "check" { lists.append(answer.output) }
            }
        }
        #expect(lists[0] == lists[1])
    }
}

/// Its work runs on a thread of its own.
///
/// Proof of `@unchecked Sendable`: nothing changes once it is made.
private final class Partition: @unchecked Sendable {
    private let hosts = Hosts()
    private let directory = ScratchDirectory()
    private let cluster: EtcdCluster
    private var servers: [ServerProcess] = []

    init(members count: Int) async throws {
        let members = (1...count).map { (host: "m\($0)", number: $0) }
        let servers = (1...2).map { (host: "s\($0)", number: 10 + $0) }
        for (host, number) in members + servers { try hosts.addNode(host, number) }
        let names = members.map { "IP:192.0.2.\($0.number)" }.joined(separator: ",")
        try hosts.run("m1", "certs/generate.sh --names \(names) \(directory.path)")
        cluster = try await EtcdCluster(
            members.map { [hosts] in
                EtcdCluster.Place(
                    command: ["ip", "netns", "exec", hosts.namespace($0.host)], address: "192.0.2.\($0.number)")
            }, certificates: directory.path)
        let files = directory.path
        for (host, _) in servers {
            let command =
                ["ip"] + hosts.command(host) + [
                    """
                    exec tandemd \(ServerProcess.ranges.joined(separator: " ")) --secure-port=8443 --log-format=json \
                        --tls-cert-file=\(files)/server.crt --tls-private-key-file=\(files)/server.key \
                        --client-ca-file=\(files)/ca.crt --etcd-servers=\(cluster.servers) --etcd-cafile=\(files)/ca.crt \
                        --etcd-certfile=\(files)/admin.crt --etcd-keyfile=\(files)/admin.key
                    """
                ]
            self.servers.append(try await onOwnThread { try ServerProcess(command: command) })
        }
    }

    func allocate(_ server: Int, _ name: String) async throws -> Command.Result {
        try await ask(server, "apply -f -", input: #"{"kind":"Service","metadata":{"name":"\#(name)"},"spec":{}}"#)
    }

    /// A server's own host asks it.
    func ask(_ server: Int, _ words: String, input: String? = nil) async throws -> Command.Result {
        try await onOwnThread { [self] in
            let files = directory.path
            return hosts.attempt(
                "s\(server)",
                """
                tandemctl \(words) --server 127.0.0.1:8443 --ca-file \(files)/ca.crt --cert-file \(files)/admin.crt \
                    --key-file \(files)/admin.key
                """, input: input)
        }
    }

    /// The end of the process waits for no thread that has the last reference, and programs that live on keep its output open.
    func end() async throws {
        try await onOwnThread { [self] in
            for server in servers { server.crash() }
            for member in cluster.members { member.crash() }
            hosts.remove()
        }
    }

    func run(_ host: String, _ script: String) async throws {
        _ = try await onOwnThread { [self] in try hosts.run(host, script) }
    }
}

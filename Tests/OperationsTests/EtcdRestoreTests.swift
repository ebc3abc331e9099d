import EtcdClient
import EtcdSupport
import Foundation
import NIOCore
import ServerSupport
import TandemAPI
import TestSupport
import Testing

/// A real server that fills a prefix of a real etcd, and is killed half-way.
@Suite("A restore into etcd that is killed", .enabled(if: EtcdCluster.program != nil), .serialized)
struct EtcdRestoreTests {
    private static let services = 4_000
    private static let flags = [
        "--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112", "--cluster-cidr=10.244.0.0/16,fd00:10:244::/48",
    ]

    /// How many keys there are from one on, before another.
    private func count(_ client: EtcdClient, from start: String, to end: String) async throws -> Int64 {
        let request = RangeRequest(
            ByteBuffer(string: start), to: ByteBuffer(string: end), limit: 1, isKeysOnly: true)
        return try await withCheckedContinuation { continuation in
            client.call(request, deadline: .now() + .seconds(10)) { continuation.resume(returning: $0) }
        }.get().count
    }

    private func restored(_ client: EtcdClient) async throws -> Int64 {
        try await count(client, from: "/tandem/services/", to: "/tandem/services0")
    }

    @Test("no server starts over an unfinished restore, each is told the cure; the same command again fills it whole")
    func isKilled() async throws {
        let cluster = try await EtcdCluster()
        let files = ScratchDirectory()
        let single = try ServerProcess("\(files.path)/single", Self.flags)
        let items = (0..<Self.services).map { #"{"kind":"Service","metadata":{"name":"s\#($0)"}}"# }
        let applied = Ctl(port: single.port)(
            "apply -f -",
            input: #"{"apiVersion":"v1","kind":"List","items":[\#(items.joined(separator: ","))]}"#)
        #expect(applied.status == 0, "\(applied.errors)")
        #expect(Ctl(port: single.port)("backup \(files.path)/single.db").status == 0)
        let before = Ctl(port: single.port)("get svc -o json").output
        #expect(single.stop() == 0)

        let client = EtcdClient(try EtcdConfiguration(servers: cluster.servers))
        defer { client.close() }
        let arguments = ServerProcess.tls + Self.flags + ["--secure-port=0", "--etcd-servers=\(cluster.servers)"]
        let restore = arguments + ["--restore=\(files.path)/single.db"]
        var isBegun = false
        while !isBegun {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: ServerProcess.program)
            process.arguments = restore
            process.standardError = FileHandle.nullDevice
            try Children.start(process)
            while process.isRunning, try await restored(client) < 300 { await Task.yield() }
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            // It may have come to its end before the signal did, or have put everything: another one then, into a prefix that is empty again.
            let isUnfinished =
                try await count(client, from: "/tandem/journal/restoring", to: "/tandem/journal/restoring0") == 1
            let left = try await restored(client)
            isBegun = isUnfinished && left < Self.services
            if !isBegun { try await clear(client) }
        }
        let left = try await restored(client)
        #expect(left > 0 && left < Self.services, "\(left)")

        let refused = Command.run(ServerProcess.program, arguments)
        #expect(refused.status == 1)
        #expect(
            refused.errors.contains("--restore FILE again") && refused.errors.contains("etcdctl del --prefix /tandem/"),
            "\(refused.errors)")
        let server = try ServerProcess(
            etcd: cluster.servers, Self.flags + ["--restore=\(files.path)/single.db"])
        #expect(Ctl(port: server.port)("get svc -o json").output == before)
        #expect(Ctl(port: server.port)("check").output.hasPrefix("ok:"))
        #expect(server.stop() == 0)
    }

    private func clear(_ client: EtcdClient) async throws {
        let request = DeleteRangeRequest(ByteBuffer(string: "/tandem/"), to: ByteBuffer(string: "/tandem0"))
        _ = try await withCheckedContinuation { continuation in
            client.call(request, deadline: .now() + .seconds(10)) { continuation.resume(returning: $0) }
        }.get()
    }
}

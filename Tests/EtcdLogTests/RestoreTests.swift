import EngineSupport
import EtcdClient
import EtcdSupport
import Foundation
import IPAM
import Ledger
import NIOCore
import Synchronization
import TandemAPI
import TestSupport
import Testing

@testable import EtcdLog

/// An empty prefix is filled with the content of a database: completely, or not at all for a server that would start there.
@Suite("Restores into etcd", .enabled(if: EtcdCluster.program != nil), .serialized)
struct RestoreTests {
    private static let count = 240

    /// The content of a database, with a hook during its reading.
    private final class Source: Log {
        let database: SQLiteLog
        private let seen = Atomic<Int>(0)
        private let look: @Sendable (_ number: Int) throws -> Void

        init(_ database: SQLiteLog, _ look: @escaping @Sendable (_ number: Int) throws -> Void = { _ in }) {
            self.database = database
            self.look = look
        }

        func load(_ body: @Sendable (StoredObject) throws -> Void) throws -> UInt64 {
            try database.load { object in
                try body(object)
                try look(seen.wrappingAdd(1, ordering: .sequentiallyConsistent).newValue)
            }
        }

        func replay(_ body: (Proposal) throws -> Bool) throws {}
        func append(_ group: [Proposal]) {}
        func next() -> LogEvent? { nil }
        func noteRefused(_ index: Int) {}
        func maintain(isIdle: Bool) throws(LedgerError) -> Bool { false }
        func close() {}
    }

    private func settings(_ cluster: EtcdCluster) throws -> EtcdLog.Settings {
        EtcdLog.Settings(
            try EtcdConfiguration(servers: cluster.servers), shared: ["service-cluster-ip-range": "10.96.0.0/24"])
    }

    /// A database with many Services, of which nothing is left in the journal, and its digest.
    private func database(_ directory: ScratchDirectory) async throws -> (log: SQLiteLog, digest: UInt64) {
        let engine = try Engine(cluster: .small, log: try SQLiteLog(directory: directory.path))
        for number in 0..<Self.count {
            let name: JSONValue = ["name": .string("s\(number)")]
            _ = try await engine.answer(.allocateServiceIPs, ["service": ["metadata": name]]).get()
        }
        let digest = engine.digest
        engine.stop()
        return (try SQLiteLog(directory: directory.path), digest)
    }

    private func message(_ body: () throws -> Void) -> String {
        do {
            try body()
            return "nothing was thrown"
        } catch {
            return "\(error)"
        }
    }

    @Test(
        "while it runs, and after it broke off, no server starts; the next one begins anew, and fills etcd with the database's contents"
    )
    func survivesItsEnd() async throws {
        let cluster = try await EtcdCluster()
        let directory = ScratchDirectory()
        let (database, digest) = try await database(directory)
        let settings = try settings(cluster)
        let refusals = Noted<String>()
        let broken = message {
            try EtcdRestore.run(
                settings,
                from: Source(database) { number in
                    guard number == 150 else { return }
                    refusals.add(message { _ = try Server(cluster) })
                    throw LedgerError(.inputOutput, "the disk broke")
                })
        }
        #expect(broken == "the disk broke")
        refusals.add(message { _ = try Server(cluster) })
        #expect(refusals.all.count == 2)
        for refusal in refusals.all {
            #expect(refusal.contains("--restore FILE again") && refusal.contains("etcdctl del --prefix /tandem/"))
        }
        // Keys of the first one that the second one does not have: a restore begins anew.
        let client = EtcdClient(settings.client)
        let stray = PutRequest(EtcdKeys(prefix: "/tandem").object(ObjectKey(.service, "default/stray")), ByteBuffer())
        _ = try client.askPersistently(stray)
        try EtcdRestore.run(settings, from: database)
        let server = try Server(cluster)
        #expect(try await server.digest() == digest)
        guard case .success(let given) = await server.allocateService("new", ["ipFamilyPolicy": "SingleStack"]) else {
            Issue.record("nothing is given out after a restore")
            return
        }
        let version = given["service"]?["metadata"]?["resourceVersion"]?.stringValue.flatMap { Int($0) }
        #expect(version == Self.count + 1)
        let refused = message { try EtcdRestore.run(settings, from: database) }
        #expect(refused.contains("the prefix /tandem is not empty (/tandem/"), "\(refused)")
        #expect(try await server.call(.listServices).get()["items"]?.arrayValue?.count == Self.count + 1)
        server.stop()
        database.close()
    }

    @Test("of two at once the one that began first ends, and nothing of it is left")
    func oneAtATime() async throws {
        let cluster = try await EtcdCluster()
        let directory = ScratchDirectory()
        let (database, digest) = try await database(directory)
        let other = ScratchDirectory()
        let second = try await self.database(other)
        let settings = try settings(cluster)
        let displaced = message {
            try EtcdRestore.run(
                settings,
                from: Source(database) { number in
                    if number == 120 { try EtcdRestore.run(settings, from: second.log) }
                })
        }
        #expect(displaced.contains("another restore into this prefix has begun"), "\(displaced)")
        let server = try Server(cluster)
        #expect(try await server.digest() == second.digest && digest != second.digest)
        server.stop()
        database.close()
        second.log.close()
    }

    @Test("a prefix that a server was started in is not empty, and stays as it is")
    func refusesAServersPrefix() async throws {
        let cluster = try await EtcdCluster()
        let directory = ScratchDirectory()
        let (database, _) = try await database(directory)
        let server = try Server(cluster)
        let refused = message { try EtcdRestore.run(try settings(cluster), from: database) }
        #expect(refused.contains("is not empty"), "\(refused)")
        #expect(try await server.call(.listServices).get()["items"]?.arrayValue == [])
        server.stop()
        database.close()
    }

    @Test("a backup during which etcd was compacted is made anew; where that never ends it says so, and leaves no file")
    func compactedMeanwhile() async throws {
        let cluster = try await EtcdCluster()
        let server = try Server(cluster)
        for number in 0..<5 { _ = await server.allocateService("s\(number)") }
        let digest = try await server.digest()
        // No fold may come between: a revision before it does not have what it folded.
        while server.log.backlog > 0 { await Task.yield() }
        let handled = server.log.state.withLock { $0.handled }
        let client = EtcdClient(try EtcdConfiguration(servers: cluster.servers))
        let compacted = await withCheckedContinuation { continuation in
            client.call(CompactionRequest(revision: handled), deadline: .now() + .seconds(60)) {
                continuation.resume(returning: $0.map { _ in () })
            }
        }
        try compacted.get()
        client.close()
        // As if the compaction had come behind the first look.
        server.log.state.withLock { $0.handled = 1 }
        let files = ScratchDirectory()
        var attempts = 0
        try server.log.backUp(to: "\(files.path)/backup.db") {
            attempts += 1
            server.log.state.withLock { $0.handled = handled }
        }
        #expect(attempts == 1)
        server.log.state.withLock { $0.handled = 1 }
        let refused = message {
            try server.log.backUp(to: "\(files.path)/none.db") { server.log.state.withLock { $0.handled = 1 } }
        }
        #expect(refused.contains("begin again"))
        server.log.state.withLock { $0.handled = handled }
        #expect(try FileManager.default.contentsOfDirectory(atPath: files.path) == ["backup.db"])
        server.stop()
        try Backup.restore(from: "\(files.path)/backup.db", into: "\(files.path)/data")
        let engine = try Engine(cluster: .small, log: try SQLiteLog(directory: "\(files.path)/data"))
        #expect(engine.digest == digest)
        engine.stop()
    }

    @Test("a backup has the folded and the unfolded changes, and none that was refused")
    func backsUp() async throws {
        let cluster = try await EtcdCluster()
        let servers = [try Server(cluster), try Server(cluster)]
        let files = ScratchDirectory()
        // One address asked for at both at once: one of them is refused at its place in the log.
        var digests: [UInt64] = []
        for round in 0..<8 {
            let address = "10.96.0.\(100 + round)"
            await withTaskGroup(of: Void.self) { group in
                for (number, server) in servers.enumerated() {
                    group.addTask {
                        _ = await server.allocateService(
                            "s\(round)-\(number)", ["ipFamilyPolicy": "SingleStack", "clusterIP": .string(address)])
                    }
                }
            }
            digests.append(try await servers[0].digest())
            try servers[0].log.backUp(to: "\(files.path)/\(round).db")
        }
        for server in servers { server.stop() }
        for (round, digest) in digests.enumerated() {
            let data = "\(files.path)/\(round)"
            try Backup.restore(from: "\(files.path)/\(round).db", into: data)
            let engine = try Engine(cluster: .small, log: try SQLiteLog(directory: data))
            #expect(engine.digest == digest)
            engine.stop()
        }
    }
}

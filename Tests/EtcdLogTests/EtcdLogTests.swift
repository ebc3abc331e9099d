import Addressing
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

@Suite("Engines that share a real etcd", .enabled(if: EtcdCluster.program != nil), .serialized)
struct EtcdLogTests {
    @Test("addresses given out at two servers are given once; both, and one that starts later, have the same books")
    func shares() async throws {
        let cluster = try await EtcdCluster()
        let servers = [try Server(cluster), try Server(cluster)]
        let given = await withTaskGroup(of: [String].self) { group in
            for number in 0..<120 {
                group.addTask { await servers[number % 2].insistOnService("s\(number)").clusterIPs }
            }
            return await group.reduce(into: []) { $0 += $1 }
        }
        #expect(given.count == 240)
        #expect(Set(given).count == 240)
        for name in 0..<40 {
            _ = try await servers[0].insist(.release, ["service": ["metadata": ["name": .string("s\(name)")]]])
        }
        _ = try await servers[1].insist(.allocateNodeCIDRs, ["node": ["metadata": ["name": "n1"]]])
        for number in 0..<30 {
            let pod: JSONValue = ["metadata": ["name": .string("p\(number)")], "spec": ["nodeName": "n1"]]
            _ = try await servers[number % 2].insist(.allocatePodIPs, ["pod": pod])
        }
        let digest = try await servers[0].digest()
        #expect(try await servers[1].digest() == digest)
        // With entries that are not folded, and with none.
        for _ in 0..<2 {
            let late = try Server(cluster)
            #expect(try await late.digest() == digest)
            late.stop()
            // Each read is a round of etcd's: the fold has its time.
            for _ in 0..<5_000 where servers[0].log.backlog > 0 { _ = try await servers[0].digest() }
            #expect(servers[0].log.backlog == 0)
        }
        for server in servers { server.stop() }
        let last = try Server(cluster)
        #expect(try await last.digest() == digest)
        last.stop()
    }

    @Test("more nodes than etcd takes in one transaction are folded, and found again")
    func foldsManyNodes() async throws {
        let cluster = try await EtcdCluster()
        var large = ClusterConfiguration.small
        large.clusterCIDRs = [CIDR("10.0.0.0/12")!, CIDR("fd00:10:244::/48")!]
        let server = try Server(cluster, large)
        let count = 150
        let kept = await withTaskGroup(of: Bool.self) { group in
            for number in 0..<count {
                group.addTask {
                    let node: JSONValue = ["metadata": ["name": .string("n\(number)")]]
                    return (try? await server.call(.allocateNodeCIDRs, ["node": node]).get()) != nil
                }
            }
            return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(kept == count)
        // It folds when nothing is asked of it.
        for _ in 0..<2_000_000 where server.log.backlog > 0 { await Task.yield() }
        #expect(server.log.backlog == 0)
        let digest = try await server.digest()
        server.stop()
        let late = try Server(cluster, large)
        #expect(try await late.digest() == digest)
        late.stop()
    }

    @Test("one address asked for at two servers at once has one owner")
    func judges() async throws {
        let cluster = try await EtcdCluster()
        let servers = [try Server(cluster), try Server(cluster)]
        for number in 1...20 {
            let spec: JSONValue = ["ipFamilyPolicy": "SingleStack", "clusterIP": .string("10.96.0.\(number)")]
            async let first = servers[0].allocateService("a\(number)", spec)
            async let second = servers[1].allocateService("b\(number)", spec)
            let answers = await [first, second]
            #expect(answers.count { (try? $0.get()) != nil } == 1, "\(answers)")
        }
        #expect(try await servers[0].digest() == servers[1].digest())
        for server in servers { server.stop() }
    }

    @Test("a server whose lease was taken goes on under another name, and changes in flight land once")
    func survivesItsLease() async throws {
        let cluster = try await EtcdCluster()
        let server = try Server(cluster)
        let client = EtcdClient(try EtcdConfiguration(servers: cluster.servers))
        for number in 0..<5 {
            let before = try #require(server.log.state.withLock { $0.registration })
            _ = await withCheckedContinuation { continuation in
                client.call(LeaseRevokeRequest(id: before.lease), deadline: .now() + .seconds(60)) {
                    continuation.resume(returning: $0.map { _ in () })
                }
            }
            let answer = await server.allocateService("s\(number)")
            #expect(answer.clusterIPs.count == 2, "\(answer)")
            #expect(server.log.state.withLock { $0.registration?.id } != before.id)
        }
        let digest = try await server.digest()
        server.stop()
        let late = try Server(cluster)
        #expect(try await late.digest() == digest)
        late.stop()
    }

    @Test("a member that is silent while a group is in flight: it is sent again, and lands once")
    func sendsAgain() async throws {
        let cluster = try await EtcdCluster()
        let server = try Server(cluster)
        for number in 0..<3 {
            cluster.members[0].send(SIGSTOP)
            async let answer = server.allocateService("s\(number)")
            // The call is fenced first; the fence is asked for again and again.
            while server.log.state.withLock({ $0.silence == nil }) { await Task.yield() }
            cluster.members[0].send(SIGCONT)
            let given = await answer
            #expect(given.clusterIPs.count == 2 || (try? given.get()) == nil, "\(given)")
            let again = await server.allocateService("s\(number)")
            #expect(again.clusterIPs.count == 2)
        }
        let digest = try await server.digest()
        let late = try Server(cluster)
        #expect(try await late.digest() == digest)
        late.stop()
        server.stop()
    }

    @Test("a member of three is killed: callers that try again see nothing of it")
    func survivesAMember() async throws {
        let cluster = try await EtcdCluster(members: 3)
        let servers = [try Server(cluster), try Server(cluster)]
        var given: [String] = []
        for number in 0..<60 {
            if number == 20 { cluster.members[0].crash() }
            if number == 40 { try await cluster.members[0].restart() }
            var answer = await servers[number % 2].allocateService("s\(number)")
            for _ in 0..<20 {
                guard case .failure(let error) = answer, error.status == .unavailable else { break }
                answer = await servers[number % 2].allocateService("s\(number)")
            }
            given += answer.clusterIPs
        }
        #expect(given.count == 120)
        #expect(Set(given).count == 120)
        #expect(try await servers[0].digest() == servers[1].digest())
        for server in servers { server.stop() }
    }

    @Test("a name that another server has is not taken for this one's")
    func registersOnce() async throws {
        let cluster = try await EtcdCluster()
        let server = try Server(cluster)
        let id = try #require(server.log.state.withLock { $0.registration?.id })
        let outcome = await withCheckedContinuation { continuation in
            server.log.register(as: id) { continuation.resume(returning: $0) }
        }
        guard case .taken = try outcome.get() else {
            Issue.record("\(outcome)")
            return
        }
        #expect(await server.allocateService("a").clusterIPs.count == 2)
        server.stop()
    }

    @Test("reads that come without a pause keep nothing from being folded")
    func foldsBesideReads() async throws {
        let cluster = try await EtcdCluster()
        let server = try Server(cluster)
        #expect(await server.allocateService("a").clusterIPs.count == 2)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<20_000 where server.log.backlog > 0 { _ = await server.call(.listNodes) }
                }
            }
        }
        #expect(server.log.backlog == 0)
        server.stop()
    }

    @Test("where folding is far behind, groups are small until it has caught up")
    func waitsForFolding() async throws {
        let cluster = try await EtcdCluster()
        let server = try Server(cluster) { $0.maximumBacklogBytes = 1_000 }
        let client = EtcdClient(try EtcdConfiguration(servers: cluster.servers))
        // A server that never says how far it has come: nothing can be folded.
        let silent = server.log.keys.server("zz")
        _ = try client.askPersistently(PutRequest(silent, ByteBuffer(string: "{}")))
        // Its key comes with the watch of the journal.
        while server.log.state.withLock({ $0.servers["zz"] == nil }) { await Task.yield() }
        #expect(server.log.groupLimits.proposals > EtcdLog.farBehindLimits.proposals)
        for number in 0..<20 { #expect(await server.allocateService("s\(number)").clusterIPs.count == 2) }
        while server.log.groupLimits.proposals != EtcdLog.farBehindLimits.proposals { await Task.yield() }
        #expect(await server.allocateService("more").clusterIPs.count == 2)
        _ = try client.askPersistently(DeleteRangeRequest(silent))
        while server.log.groupLimits.proposals == EtcdLog.farBehindLimits.proposals || server.log.backlog > 0 {
            await Task.yield()
        }
        server.stop()
    }

    @Test("from three quarters of the quota nothing is added, releases are taken, and the message has the cure")
    func isNearlyFull() async throws {
        let cluster = try await EtcdCluster()
        let client = EtcdClient(try EtcdConfiguration(servers: cluster.servers))
        // Enough that the pages which etcd adds later, some two megabytes, leave the share of the quota between the limits.
        for number in 0..<32 {
            let put = PutRequest(ByteBuffer(string: "/other/\(number)"), ByteBuffer(repeating: 120, count: 1 << 20))
            _ = try client.askPersistently(put)
        }
        let first = try Server(cluster)
        #expect(await first.allocateService("a").clusterIPs.count == 2)
        let bytes = try client.askPersistently(StatusRequest()).databaseBytes
        let second = try Server(cluster) { $0.quotaBytes = bytes * 10 / 8 }
        while second.log.additionRefusal == nil { await Task.yield() }
        guard case .failure(let error) = await second.allocateService("b") else {
            Issue.record("an address was given out")
            return
        }
        #expect(error.status == .resourceExhausted && error.reason == "StorageNearlyFull")
        #expect(error.message.contains("\(bytes * 10 / 8)") && error.message.contains("etcdctl defrag"))
        // Existing objects need no room.
        #expect(await second.allocateService("a").clusterIPs.count == 2)
        #expect(second.engine.impairment == nil)
        let released = await second.call(.release, ["service": ["metadata": ["name": "a"]]])
        #expect((try? released.get()) != nil, "\(released)")
        #expect(try await first.call(.listServices).get()["items"]?.arrayValue == [])
        first.stop()
        second.stop()
    }

    @Test("a server that does not apply etcd's entries says so, until it has")
    func fallsBehind() async throws {
        let cluster = try await EtcdCluster()
        let server = try Server(cluster)
        var settings = EtcdLog.Settings(
            try EtcdConfiguration(servers: cluster.servers), shared: ["service-cluster-ip-range": "10.96.0.0/24"])
        settings.healthSeconds = 1
        let log = try EtcdLog(settings)
        _ = try log.load { _ in }
        try log.replay { _ in true }
        log.start {}
        func fault() -> String? { log.checks.first { $0.name == "watch" }?.fault }
        #expect(await server.allocateService("a").clusterIPs.count == 2)
        while fault() == nil { await Task.yield() }
        #expect(log.trouble?.message == fault())
        // All of it: on a busy machine etcd may have let a probe wait for longer than a second as well.
        while log.checks.contains(where: { $0.fault != nil }) {
            _ = log.next()
            await Task.yield()
        }
        #expect(log.checks.map(\.name) == ["etcd", "watch", "configuration", "books"])
        // Servers whose books differ do not serve.
        log.state.withLock { $0.hasDisagreement = true }
        #expect(log.checks.first { $0.name == "books" }?.fault != nil)
        log.close()
        server.stop()
    }

    @Test("two prefixes of one etcd give the same addresses, each for itself; neither drops the other's history")
    func keepsPrefixesApart() async throws {
        let cluster = try await EtcdCluster()
        func mayCompact(_ server: Server) async -> Bool {
            await withCheckedContinuation { continuation in
                server.log.mayCompact { continuation.resume(returning: $0) }
            }
        }
        let west = try Server(cluster) { $0.prefix = "/tandem/west" }
        #expect(await mayCompact(west))
        let east = try Server(cluster, shared: ["service-cluster-ip-range": "10.97.0.0/24"]) {
            $0.prefix = "/tandem/east"
        }
        #expect(await !mayCompact(east))
        #expect(await !mayCompact(west))
        for number in 0..<20 {
            let spec: JSONValue = ["clusterIP": .string("10.96.0.\(100 + number)"), "ipFamilyPolicy": "SingleStack"]
            for server in [west, east] {
                #expect(await server.allocateService("s\(number)", spec).clusterIPs == ["10.96.0.\(100 + number)"])
            }
        }
        _ = try await west.call(.release, ["service": ["metadata": ["name": "s0"]]]).get()
        #expect(try await west.call(.listServices).get()["items"]?.arrayValue?.count == 19)
        #expect(try await east.call(.listServices).get()["items"]?.arrayValue?.count == 20)
        #expect(west.log.members.count == 1 && east.log.members.count == 1)
        let digests = (try await west.digest(), try await east.digest())
        #expect(digests.0 != digests.1)
        west.stop()
        east.stop()
        let late = try Server(cluster) { $0.prefix = "/tandem/west" }
        #expect(try await late.digest() == digests.0)
        late.stop()
    }

    @Test("servers have the same flags: another is refused, or makes its own those of all")
    func guardsConfiguration() async throws {
        let cluster = try await EtcdCluster()
        let first = try Server(cluster)
        #expect {
            try Server(cluster, shared: ["service-cluster-ip-range": "10.96.0.0/25"])
        } throws: { error in
            "\(error)".contains("--service-cluster-ip-range=10.96.0.0/24") && "\(error)".contains("10.96.0.0/25")
        }
        let second = try Server(cluster, shared: ["service-cluster-ip-range": "10.96.0.0/25"]) {
            $0.acceptsConfiguration = true
        }
        guard case .failure(let error) = await first.allocateService("a") else {
            Issue.record("a server with other flags changed something")
            return
        }
        #expect(error.reason == "ConfigurationChanged")
        #expect((try? await first.call(.listNodes).get()) != nil)
        // It goes on serving, and logs its state.
        #expect(first.engine.impairment == nil)
        #expect(first.log.checks.allSatisfy { $0.fault == nil })
        #expect(first.log.checks.first { $0.name == "configuration" }?.note?.contains("10.96.0.0/25") == true)
        #expect(await second.allocateService("a").clusterIPs.count == 2)
        first.stop()
        second.stop()
    }

    @Test("a server that can't get its missed entries from etcd any more exits, and says so; a new one has everything")
    func isLeftBehind() async throws {
        let cluster = try await EtcdCluster()
        let server = try Server(cluster)
        for number in 0..<5 { _ = await server.allocateService("s\(number)") }
        let digest = try await server.digest()
        let client = EtcdClient(try EtcdConfiguration(servers: cluster.servers))
        let revision = server.log.state.withLock { $0.handled }
        _ = await withCheckedContinuation { continuation in
            client.call(CompactionRequest(revision: revision), deadline: .now() + .seconds(60)) {
                continuation.resume(returning: $0.map { _ in () })
            }
        }
        let fault = await withCheckedContinuation { continuation in
            server.engine.onFailure { continuation.resume(returning: $0) }
            // As if it had been cut off all the while.
            server.log.state.withLock { state in
                state.arrived = 1
                return state.watch
            }?.cancel()
        }
        #expect(fault.code == .leftBehind)
        guard case .failure(let error) = await server.call(.listNodes) else {
            Issue.record("a server that was left behind answers")
            return
        }
        #expect(error.status == .unavailable)
        server.stop()
        let late = try Server(cluster)
        #expect(try await late.digest() == digest)
        late.stop()
    }

    @Test("where etcd has no room a change is refused with the cure; reads go on, and nothing is half there")
    func isFull() async throws {
        let cluster = try await EtcdCluster(arguments: ["--quota-backend-bytes=\(4 << 20)"])
        let server = try Server(cluster) { $0.quotaBytes = 1 << 40 }
        #expect(await server.allocateService("before").clusterIPs.count == 2)
        let client = EtcdClient(try EtcdConfiguration(servers: cluster.servers))
        var isFull = false
        for number in 0..<64 where !isFull {
            isFull = await withCheckedContinuation { continuation in
                let put = PutRequest(
                    ByteBuffer(string: "/other/\(number)"), ByteBuffer(repeating: 120, count: 256 << 10))
                client.call(put, deadline: .now() + .seconds(60)) { result in
                    if case .failure = result {
                        continuation.resume(returning: true)
                    } else {
                        continuation.resume(returning: false)
                    }
                }
            }
        }
        #expect(isFull)
        guard case .failure(let error) = await server.allocateService("after") else {
            Issue.record("a full etcd took a change")
            return
        }
        #expect(error.message.contains("etcdctl alarm disarm"), "\(error.message)")
        let found = try await server.call(.listServices).get()
        #expect(found["items"]?.arrayValue?.count == 1)
        server.stop()
    }
}

import EtcdSupport
import Foundation
import NIOCore
import TestSupport
import Testing

@testable import EtcdClient

@Suite("A real etcd", .enabled(if: EtcdCluster.program != nil), .serialized)
struct RealEtcdTests {
    private func client(
        of cluster: EtcdCluster, certificate: String? = nil, change: (inout EtcdConfiguration) -> Void = { _ in }
    ) throws -> EtcdClient {
        let certificates = Certificates.shared
        var configuration = try EtcdConfiguration(
            servers: cluster.servers, caFile: certificate == nil ? nil : certificates.ca,
            certificateFile: certificate.map(certificates.certificate), keyFile: certificate.map(certificates.key))
        configuration.connectTimeout = .seconds(60)
        change(&configuration)
        return EtcdClient(configuration)
    }

    @Test("keys are put, compared, read in pages and at revisions, and deleted")
    func keys() async throws {
        let cluster = try await EtcdCluster()
        let client = try client(of: cluster)
        let put = TxnRequest(
            compare: [Compare(.of("a"), .createRevision(0))],
            success: [.put(PutRequest(.of("a"), .of("1"))), .put(PutRequest(.of("b"), .of("2")))],
            failure: [.range(RangeRequest(.of("a"), to: .of("c")))])
        let first = try await client(put)
        #expect(first.isSucceeded)
        #expect(first.responses.count == 2)
        let second = try await client(put)
        #expect(!second.isSucceeded)
        guard case .range(let found)? = second.responses.first else {
            Issue.record("\(second)")
            return
        }
        #expect(found.keyValues.map { String(buffer: $0.value) } == ["1", "2"])
        #expect(found.keyValues.map(\.version) == [1, 1])
        #expect(found.keyValues.map(\.modRevision) == [first.header.revision, first.header.revision])

        let page = try await client(RangeRequest(.of("a"), to: .of("c"), limit: 1))
        #expect(page.keyValues.map { String(buffer: $0.key) } == ["a"])
        #expect(page.hasMore)
        #expect(page.count == 2)

        let compares = TxnRequest(
            compare: [
                Compare(.of("a"), .version(1)), Compare(.of("a"), .modRevision(first.header.revision)),
                Compare(.of("a"), .value(.of("1"))), Compare(.of("none"), .version(0)),
                Compare(.of("a"), to: .of("c"), is: .less, .createRevision(first.header.revision + 1)),
                Compare(.of("a"), is: .greater, .value(.of("0"))), Compare(.of("a"), is: .notEqual, .version(2)),
            ],
            success: [.txn(TxnRequest(success: [.delete(DeleteRangeRequest(.of("a"), to: .of("c")))]))])
        let deleted = try await client(compares)
        guard deleted.isSucceeded, case .txn(let inner)? = deleted.responses.first,
            case .delete(let delete)? = inner.responses.first
        else {
            Issue.record("\(deleted)")
            return
        }
        #expect(delete.deleted == 2)
        #expect(try await client(RangeRequest(.of("a"))).keyValues.isEmpty)
        let before = try await client(RangeRequest(.of("a"), revision: first.header.revision))
        #expect(before.keyValues.count == 1)

        // An entry as large as they come, there and back.
        let entry = ByteBuffer(repeating: 0x2a, count: 256 << 10)
        _ = try await client(TxnRequest(success: [.put(PutRequest(.of("entry"), entry))]))
        #expect(try await client(RangeRequest(.of("entry"))).keyValues.first?.value == entry)
        let huge = try await client.error(PutRequest(.of("huge"), ByteBuffer(repeating: 0, count: 1_700_000)))
        #expect(huge.code == .invalidArgument)
        #expect(huge.message == "etcdserver: request is too large")
        #expect(!huge.mayHaveBeenApplied)
        let twice = try await client.error(
            TxnRequest(success: [.put(PutRequest(.of("k"), .of("1"))), .put(PutRequest(.of("k"), .of("2")))]))
        #expect(twice.message == "etcdserver: duplicate key given in txn request")
    }

    @Test("a watch goes on from a revision, in order, and says so where that is compacted")
    func watch() async throws {
        let cluster = try await EtcdCluster()
        let client = try client(of: cluster)
        var revisions: [Int64] = []
        for index in 0..<5 {
            let txn = TxnRequest(
                success: [
                    .put(PutRequest(.of("journal/\(index)"), ByteBuffer(repeating: 1, count: 100_000))),
                    .put(PutRequest(.of("journal/head"), .of(""))), .put(PutRequest(.of("other"), .of(""))),
                ])
            revisions.append(try await client(txn).header.revision)
        }
        let (stream, watch) = client.updates(
            WatchRequest(.of("journal/"), to: .of("journal0"), startRevision: revisions[2]))
        var updates = stream.makeAsyncIterator()
        _ = try await updates.began()
        for index in 2..<5 {
            #expect(try await updates.changed() == (revisions[index], ["journal/\(index)", "journal/head"]))
        }
        let deleted = try await client(DeleteRangeRequest(.of("journal/0")))
        guard case .changed(deleted.header.revision, let events)? = await updates.next() else {
            Issue.record("no deletion")
            return
        }
        #expect(events.map(\.isDeletion) == [true])
        watch.cancel()
        #expect(try await updates.ended().code == .cancelled)

        _ = try await client(CompactionRequest(revision: revisions[3]))
        var compacted = client.updates(WatchRequest(.of("journal/"), startRevision: revisions[1])).stream
            .makeAsyncIterator()
        var error = await compacted.next()
        if case .began? = error { error = await compacted.next() }
        guard case .ended(let end)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(end.code == .outOfRange)
        #expect(end.compactRevision == revisions[3])
        let old = try await client.error(RangeRequest(.of("journal/1"), revision: revisions[1]))
        #expect(old.code == .outOfRange)
        #expect(old.message == "etcdserver: mvcc: required revision has been compacted")
        #expect(try await client.error(CompactionRequest(revision: revisions[3])).code == .outOfRange)
    }

    @Test("a lease is kept, and its keys go with it")
    func lease() async throws {
        let cluster = try await EtcdCluster()
        let client = try client(of: cluster)
        let lease = try await client(LeaseGrantRequest(timeToLive: 60))
        #expect(lease.timeToLive == 60)
        _ = try await client(PutRequest(.of("server"), .of("1"), lease: lease.id))
        #expect(try await client(RangeRequest(.of("server"))).keyValues.first?.lease == lease.id)
        let kept = try await client(LeaseKeepAliveRequest(id: lease.id))
        #expect(kept.id == lease.id)
        #expect(kept.timeToLive == 60)
        _ = try await client(LeaseRevokeRequest(id: lease.id))
        #expect(try await client(LeaseKeepAliveRequest(id: lease.id)).timeToLive == 0)
        #expect(try await client(RangeRequest(.of("server"))).keyValues.isEmpty)
        let error = try await client.error(PutRequest(.of("server"), .of("1"), lease: lease.id))
        #expect(error.code == .notFound)
        #expect(error.message == "etcdserver: requested lease not found")
        #expect(!error.mayHaveBeenApplied)
    }

    @Test("a store that is full says so, and has not applied it")
    func quota() async throws {
        let cluster = try await EtcdCluster(arguments: ["--quota-backend-bytes=1000000"])
        let client = try client(of: cluster)
        var error: EtcdError?
        // etcd knows its size as of its last commit to disk, which comes every 100 ms of a machine
        // that has time: puts go on until it has seen what it holds.
        for index in 0..<1_000 where error == nil {
            let put = PutRequest(.of("k\(index)"), ByteBuffer(repeating: 0, count: 200_000))
            if case .failure(let failure) = await client.result(put) { error = failure }
        }
        #expect(error?.code == .resourceExhausted)
        #expect(error?.message == "etcdserver: mvcc: database space exceeded")
        #expect(error?.mayHaveBeenApplied == false)
        let status = try await client(StatusRequest())
        #expect(status.databaseBytes > 0)
        #expect(status.leader == status.header.memberID)
        #expect(status.version.hasPrefix("3."))
    }

    @Test("certificates are shown both ways; a client without one is refused")
    func tls() async throws {
        let cluster = try await EtcdCluster(isSecure: true)
        let client = try client(of: cluster, certificate: "admin")
        _ = try await client(PutRequest(.of("k"), .of("v")))
        var updates = client.updates(WatchRequest(.of("k"), startRevision: 2)).stream.makeAsyncIterator()
        _ = try await updates.began()
        #expect(try await updates.changed().keys == ["k"])
        let bare = EtcdClient(try EtcdConfiguration(servers: cluster.servers, caFile: Certificates.shared.ca))
        let error = try await bare.error(RangeRequest(.of("k")), within: .seconds(3))
        #expect(error.code == .unavailable)
    }

    @Test("a user by password has a token, also when the last one is no longer good; keys without rights are refused")
    func password() async throws {
        let cluster = try await EtcdCluster(arguments: ["--auth-token-ttl=1"])
        let admin = try client(of: cluster)
        for user in ["root", "tandem"] { _ = try await admin(UserAdd(name: user, password: "\(user)'s")) }
        for role in ["root", "tandem"] { _ = try await admin(RoleAdd(name: role)) }
        _ = try await admin(RoleGrant(name: "tandem", key: "/tandem/", rangeEnd: "/tandem0"))
        for user in ["root", "tandem"] { _ = try await admin(UserGrant(user: user, role: user)) }
        _ = try await admin(AuthEnable())
        #expect(try await admin.error(RangeRequest(.of("k"))).message == "etcdserver: user name is empty")

        let scratch = ScratchDirectory()
        let password = "\(scratch.path)/password"
        try "tandem's\n".write(toFile: password, atomically: true, encoding: .utf8)
        var configuration = try EtcdConfiguration(servers: cluster.servers, username: "tandem", passwordFile: password)
        configuration.connectTimeout = .seconds(60)
        let client = EtcdClient(configuration)
        _ = try await client(PutRequest(.of("/tandem/k"), .of("v")))
        let denied = try await client.error(PutRequest(.of("/other/k"), .of("v")))
        #expect(denied.code == .permissionDenied)
        #expect(denied.message == "etcdserver: permission denied")
        #expect(!denied.mayHaveBeenApplied)
        var updates = client.updates(WatchRequest(.of("/other/"), to: .of("/other0"))).stream.makeAsyncIterator()
        var end = await updates.next()
        if case .began? = end { end = await updates.next() }
        guard case .ended(let error)? = end else {
            Issue.record("\(String(describing: end))")
            return
        }
        #expect(error.code == .permissionDenied)

        // A member that was started anew knows none of the tokens that it gave.
        cluster.members[0].crash()
        try await cluster.members[0].restart()
        _ = try await client(PutRequest(.of("/tandem/k"), .of("w")))

        try "wrong".write(toFile: password, atomically: true, encoding: .utf8)
        let wrong = EtcdClient(configuration)
        let refused = try await wrong.error(RangeRequest(.of("/tandem/k")))
        #expect(refused.code == .unauthenticated)
        #expect(refused.message == "etcdserver: authentication failed, invalid user ID or password")
    }

    @Test("a member that stops or dies gives way to another; a watch goes on behind the last revision")
    func members() async throws {
        let cluster = try await EtcdCluster(members: 3)
        let client = try client(of: cluster) { $0.connectTimeout = .seconds(2) }
        /// Again until it is done, as a caller does where it may: its puts are the same each time.
        func put(_ value: String) async throws -> Int64 {
            for _ in 0..<60 {
                let result = await client.result(PutRequest(.of("k"), .of(value)), within: .seconds(1))
                if case .success(let response) = result { return response.header.revision }
            }
            throw EtcdClient.Unexpected(description: "no member answers")
        }
        let first = try await put("1")
        var before = client.updates(WatchRequest(.of("k"), startRevision: first)).stream.makeAsyncIterator()
        let connection = try await before.began()
        #expect(try await before.changed().revision == first)
        let member = try #require(cluster.members.first { $0.url == connection.member })
        member.send(SIGSTOP)
        let second = try await put("2")
        #expect(try await before.ended().code == .unavailable)
        var after = client.updates(WatchRequest(.of("k"), startRevision: first + 1)).stream.makeAsyncIterator()
        #expect(try await after.began().member != connection.member)
        var last: Int64 = first
        while last < second { last = try await after.changed().revision }
        member.send(SIGCONT)
        let next = try await client(StatusRequest())
        cluster.members.first { $0.url != member.url }?.crash()
        #expect(try await put("3") > second)
        #expect(next.header.clusterID != 0)
    }
}

// Calls with which a test sets rights up; the client itself does not need them.

private struct UserAdd: EtcdRequest {
    static let method = GRPCMethod<PutResponse>("/etcdserverpb.Auth/UserAdd")
    var name: String
    var password: String
    func encode(into writer: inout ProtobufWriter) {
        writer.string(1, name)
        writer.string(2, password)
    }
}

private struct UserGrant: EtcdRequest {
    static let method = GRPCMethod<PutResponse>("/etcdserverpb.Auth/UserGrantRole")
    var user: String
    var role: String
    func encode(into writer: inout ProtobufWriter) {
        writer.string(1, user)
        writer.string(2, role)
    }
}

private struct RoleAdd: EtcdRequest {
    static let method = GRPCMethod<PutResponse>("/etcdserverpb.Auth/RoleAdd")
    var name: String
    func encode(into writer: inout ProtobufWriter) { writer.string(1, name) }
}

private struct RoleGrant: EtcdRequest {
    static let method = GRPCMethod<PutResponse>("/etcdserverpb.Auth/RoleGrantPermission")
    var name: String
    var key: String
    var rangeEnd: String
    func encode(into writer: inout ProtobufWriter) {
        writer.string(1, name)
        writer.message(2) {
            $0.integer(1, 2)
            $0.string(2, key)
            $0.string(3, rangeEnd)
        }
    }
}

private struct AuthEnable: EtcdRequest {
    static let method = GRPCMethod<PutResponse>("/etcdserverpb.Auth/AuthEnable")
    func encode(into writer: inout ProtobufWriter) {}
}

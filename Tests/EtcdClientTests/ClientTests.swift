import Foundation
import NIOCore
import NIOHPACK
import NIOHTTP2
import NIOPosix
import TestSupport
import Testing

@testable import EtcdClient

@Suite("A client and members that do as they are told")
struct ClientTests {
    private let range = RangeRequest(.of("k"))

    @Test("a call goes with its path, its time and its message, and its answer comes back")
    func call() async throws {
        let seen = Noted<String>()
        let member = try await FakeMember { call in
            seen.add(call.path)
            seen.add(call.headers.first(name: "content-type") ?? "")
            seen.add(call.headers.first(name: "te") ?? "")
            seen.add(call.headers.first(name: ":authority") ?? "")
            let timeout = call.headers.first(name: "grpc-timeout") ?? ""
            seen.add(timeout.last == "m" && (1...5_000).contains(Int(timeout.dropLast()) ?? 0) ? "in time" : timeout)
            seen.add(String(buffer: call.message))
            call.answer {
                $0.header(revision: 9)
                $0.integer(4, 3)
            }
        }
        let client = try EtcdClient(of: member)
        let response = try await client(range, within: .seconds(5))
        #expect(response.header.revision == 9)
        #expect(response.count == 3)
        let authority = member.url.dropFirst("http://".count)
        #expect(
            seen.all == [
                "/etcdserverpb.KV/Range", "application/grpc", "trailers", String(authority), "in time", "\n\u{1}k",
            ])
    }

    @Test("each status comes through, and the next call has its answer", arguments: 1...16)
    func status(_ code: Int) async throws {
        let member = try await FakeMember { call in
            if call.path.hasSuffix("Range") { call.refuse(code, "why%3A so") } else { call.answer() }
        }
        let client = try EtcdClient(of: member)
        let error = try await client.error(range)
        #expect(error.code.rawValue == code)
        #expect(error.message == "why: so")
        #expect(error.connection?.number == 1)
        _ = try await client(StatusRequest())
        // A member that can't, or does not in time, is left.
        #expect(member.connections == ([4, 14].contains(code) ? 2 : 1))
    }

    @Test("calls go by one connection whose member pings all the while")
    func pings() async throws {
        let count = Noted<Void>()
        let member = try await FakeMember { call in
            count.add(())
            if count.all.count % 2 == 0 {
                call.control(.ping(HTTP2PingData(), ack: false))
                call.control(.settings(.settings([HTTP2Setting(parameter: .maxConcurrentStreams, value: 1_000)])))
            }
            call.answer()
        }
        let client = try EtcdClient(of: member)
        // A build that is not optimised takes a minute for ten thousand.
        let rounds = ProcessInfo.processInfo.environment["TANDEM_SOAK"] == nil ? 11 : 101
        for _ in 0..<rounds {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<100 { group.addTask { _ = try await client(range) } }
                try await group.waitForAll()
            }
        }
        #expect(count.all.count == 100 * rounds)
        #expect(member.connections == 1)
    }

    @Test("a member that refuses connections, one that closes them and one that goes away give way to the next")
    func nextMember() async throws {
        let gone = try await FakeMember { _ in }
        try await gone.close()
        let closing = try await FakeMember { call in call.closeConnection() }
        let leaving = try await FakeMember { call in
            call.control(.goAway(lastStreamID: .maxID, errorCode: .noError, opaqueData: nil))
        }
        let well = try await FakeMember { $0.answer() }
        let client = try EtcdClient(of: gone, closing, leaving, well)
        for member in [closing, leaving] {
            let error = try await client.error(range)
            #expect(error.code == .unavailable)
            #expect(error.mayHaveBeenApplied)
            #expect(error.connection?.member == member.url)
        }
        _ = try await client(range)
        _ = try await client(range)
        #expect(well.connections == 1)
    }

    @Test("it is said why no member can be reached")
    func notReached() async throws {
        let gone = try await FakeMember { _ in }
        try await gone.close()
        let notices = AsyncStream<String>.makeStream()
        let client = try EtcdClient(of: gone) { $0.notice = { notices.continuation.yield($0) } }
        client.call(range, deadline: .now() + .seconds(60)) { _ in }
        var iterator = notices.stream.makeAsyncIterator()
        #expect(await iterator.next() == "etcd's member is lost: \(gone.url): Connection refused")
    }

    @Test("an answer of another cluster is an error of its own, and its member is left")
    func otherCluster() async throws {
        let member = try await FakeMember { call in call.answer(cluster: call.path.hasSuffix("Range") ? 2 : 1) }
        let client = try EtcdClient(of: member)
        _ = try await client(StatusRequest())
        let error = try await client.error(range)
        #expect(error.code == .otherCluster)
        _ = try await client(StatusRequest())
        #expect(member.connections == 2)
    }

    @Test("an answer that can't be read, none and two are errors")
    func malformed() async throws {
        let count = Noted<Int>()
        let member = try await FakeMember { call in
            count.add(1)
            call.begin()
            let answers: [(inout ProtobufWriter) -> Void]
            switch count.all.count {
            case 1: answers = [{ $0 = ProtobufWriter($0.bytes + [0xff]) }]
            case 2: answers = []
            default: answers = [{ $0.header(revision: 1) }, { $0.header(revision: 1) }]
            }
            for answer in answers { call.send(GRPCMessageBuffer.frame(answer)) }
            call.end()
        }
        let client = try EtcdClient(of: member)
        for _ in 0..<3 {
            let error = try await client.error(range)
            #expect(error.code == .internal)
            #expect(error.mayHaveBeenApplied)
        }
        #expect(member.connections == 1)
    }

    @Test("calls that are too many or too large together are refused at once")
    func limits() async throws {
        let member = try await FakeMember { _ in }
        let client = try EtcdClient(of: member) {
            $0.maximumCalls = 3
            $0.maximumCallBytes = 200
        }
        let results = AsyncStream<EtcdError>.makeStream()
        func call(_ bytes: Int) {
            client.call(PutRequest(.of("k"), ByteBuffer(repeating: 0, count: bytes)), deadline: .now() + .seconds(60)) {
                if case .failure(let error) = $0 { results.continuation.yield(error) }
            }
        }
        var errors = results.stream.makeAsyncIterator()
        call(50)
        call(150)
        #expect(await errors.next()?.code == .resourceExhausted)
        call(50)
        call(1)
        call(1)
        #expect(await errors.next()?.code == .resourceExhausted)
        client.close()
        for _ in 0..<3 { #expect(await errors.next()?.mayHaveBeenApplied != nil) }
        call(1)
        #expect(await errors.next()?.code == .cancelled)
    }

    @Test("a watch asks for its keys with a leader, and tells of revisions in order until it is cancelled")
    func watch() async throws {
        let seen = Noted<String>()
        let member = try await FakeMember { call in
            seen.add(call.headers.first(name: "hasleader") ?? "")
            seen.add("\(call.headers.contains(name: "grpc-timeout"))")
            seen.add(String(buffer: call.message))
            call.begin()
            call.send(
                GRPCMessageBuffer.frame {
                    $0.header(revision: 7)
                    $0.bool(3, true)
                })
            call.send(
                GRPCMessageBuffer.frame {
                    $0.header(revision: 9)
                    $0.event("k1", 8)
                    $0.event("k2", 9)
                    $0.bool(7, true)
                })
            call.send(
                GRPCMessageBuffer.frame {
                    $0.header(revision: 9)
                    $0.event("k3", 9)
                })
        }
        let client = try EtcdClient(of: member)
        let (stream, watch) = client.updates(WatchRequest(.of("k"), to: .of("l"), startRevision: 8))
        var updates = stream.makeAsyncIterator()
        #expect(try await updates.began().number == 1)
        #expect(try await updates.changed() == (8, ["k1"]))
        #expect(try await updates.changed() == (9, ["k2", "k3"]))
        watch.cancel()
        #expect(try await updates.ended().code == .cancelled)
        #expect(seen.all == ["true", "false", "\n\n\n\u{1}k\u{12}\u{1}l\u{18}\u{8}@\u{1}"])
    }

    @Test("a watch that etcd ends says why, also from which revision one may begin")
    func watchEnds() async throws {
        let count = Noted<Int>()
        let member = try await FakeMember { call in
            count.add(1)
            if count.all.count == 5 { return call.refuse(14, "etcdserver: no leader") }
            call.begin()
            call.send(
                GRPCMessageBuffer.frame {
                    $0.header(revision: 7)
                    $0.bool(3, true)
                    $0.bool(4, count.all.count < 4)
                    switch count.all.count {
                    case 1: $0.integer(5, 3_506)
                    case 2: $0.string(6, "rpc error: code = PermissionDenied desc = etcdserver: permission denied")
                    default: break
                    }
                })
            if count.all.count == 4 { call.end() }
        }
        let client = try EtcdClient(of: member)
        func error(begins: Bool = false) async throws -> EtcdError {
            var updates = client.updates(WatchRequest(.of("k"))).stream.makeAsyncIterator()
            if begins { _ = try await updates.began() }
            return try await updates.ended()
        }
        let compacted = try await error()
        #expect(compacted.code == .outOfRange)
        #expect(compacted.compactRevision == 3_506)
        #expect(try await error().code == .permissionDenied)
        #expect(try await error().code == .unknown)
        #expect(try await error(begins: true).code == .unavailable)
        #expect(member.connections == 1)
        #expect(try await error().message == "etcdserver: no leader")
    }

    @Test("a caller that is not content goes to the next member, once")
    func leave() async throws {
        let members = [try await FakeMember { $0.answer() }, try await FakeMember { $0.answer() }]
        let client = try EtcdClient(of: members[0], members[1])
        _ = try await client(range)
        let first = EtcdConnectionID(number: 1, member: members[0].url)
        client.leave(first)
        client.leave(first)
        _ = try await client(range)
        client.leave(first)
        _ = try await client(range)
        #expect(members.map(\.connections) == [1, 1])
    }
}

extension ProtobufWriter {
    fileprivate mutating func event(_ key: String, _ revision: Int64) {
        message(11) {
            $0.message(2) {
                $0.string(1, key)
                $0.integer(3, revision)
            }
        }
    }
}

extension ByteBuffer {
    fileprivate static func + (buffer: ByteBuffer, bytes: [UInt8]) -> ByteBuffer {
        var buffer = buffer
        buffer.writeBytes(bytes)
        return buffer
    }
}

import NIOCore
import NIOEmbedded
import NIOHTTP2
import TestSupport
import Testing

@testable import EtcdClient

@Suite("Deadlines, pauses and members that fail, on a clock of the test's own")
struct DispatcherTests {
    private let range = RangeRequest(.of("k"))

    @Test("an answer that is cut off anywhere is none, and was perhaps applied where the call had been sent")
    func cut() throws {
        var length = 0
        var sent = 0
        while true {
            let cluster = try EmbeddedCluster { $0.answer() }
            cluster.onConnect = { link in
                if cluster.links.count == 1 { link.bytesLeft = length }
                return nil
            }
            let result = cluster.call(range)
            #expect(result.all.count == 1, "\(length)")
            // Unsent requests go to the next member at once.
            if cluster.links.count == 1, result.errors().isEmpty { break }
            if let error = result.errors().first {
                sent += 1
                #expect(error.code == .unavailable)
                #expect(error.mayHaveBeenApplied)
                #expect(error.connection == EtcdConnectionID(number: 1, member: "http://127.0.0.1:1"))
            }
            #expect(cluster.call(range).errors().isEmpty)
            #expect(cluster.links.map(\.member) == ["http://127.0.0.1:1", "http://127.0.0.1:2"])
            length += 1
        }
        #expect(length > 60)
        #expect(sent > 20)
    }

    @Test("a call waits for a connection until its deadline, while members are tried in pauses")
    func notReached() throws {
        let cluster = try EmbeddedCluster { $0.answer() }
        cluster.onConnect = { _ in "refused" }
        let result = cluster.call(range, within: .seconds(2))
        cluster.advance(by: .milliseconds(1_999))
        #expect(result.all.isEmpty)
        cluster.advance(by: .milliseconds(1))
        let error = try #require(result.errors().first)
        #expect(error.code == .unavailable)
        #expect(!error.mayHaveBeenApplied)
        #expect(error.message.hasSuffix(": refused"))
        // After 0, 0, 50, 150, 350, 750, 1250 and 1750 ms; and no further one, as nothing waits.
        cluster.advance(by: .seconds(60))
        #expect(cluster.links.count == 8)
        #expect(cluster.links.prefix(4).map(\.member.last) == ["1", "2", "3", "1"])
        cluster.onConnect = { _ in nil }
        #expect(cluster.call(range).errors().isEmpty)
    }

    @Test("a member that does not say that it is there is left after two seconds")
    func connectTimeout() throws {
        let cluster = try EmbeddedCluster { $0.answer() }
        cluster.onConnect = { link in
            link.isAlive = link.member.hasSuffix("2")
            return nil
        }
        let result = cluster.call(range)
        cluster.advance(by: .milliseconds(1_999))
        #expect(result.all.isEmpty)
        cluster.advance(by: .milliseconds(1))
        #expect(result.all.count == 1)
        #expect(result.errors().isEmpty)
        #expect(!cluster.links[0].client.isActive)
    }

    @Test("a member that is silent until a call's deadline is left for the next, with all that is on it")
    func silent() throws {
        let cluster = try EmbeddedCluster { call in
            if call.path.hasSuffix("Watch") { return call.beginWatch() }
            if call.connection > 1 { call.answer() }
        }
        let watch = cluster.watch(WatchRequest(.of("k")))
        let result = cluster.call(range, within: .seconds(1))
        cluster.advance(by: .milliseconds(999))
        #expect(result.all.isEmpty)
        #expect(watch.all.count == 1)
        cluster.advance(by: .milliseconds(1))
        let error = try #require(result.errors().first)
        #expect(error.code == .deadlineExceeded)
        #expect(error.mayHaveBeenApplied)
        guard case .ended(let end)? = watch.all.last else {
            Issue.record("the watch goes on")
            return
        }
        #expect(end.code == .unavailable)
        #expect(cluster.call(range).errors().isEmpty)
        #expect(cluster.links.count == 2)
    }

    @Test("a member that says anything meanwhile, or had less than half a second, is kept")
    func kept() throws {
        let cluster = try EmbeddedCluster { if !$0.path.hasSuffix("Range") { $0.answer() } }
        #expect(cluster.call(StatusRequest()).errors().isEmpty)
        let short = cluster.call(range, within: .milliseconds(499))
        cluster.advance(by: .milliseconds(499))
        #expect(short.errors().map(\.code) == [.deadlineExceeded])
        let long = cluster.call(range, within: .seconds(3))
        cluster.advance(by: .seconds(1))
        #expect(cluster.call(StatusRequest()).errors().isEmpty)
        cluster.advance(by: .seconds(2))
        #expect(long.errors().map(\.code) == [.deadlineExceeded])
        #expect(cluster.call(StatusRequest()).errors().isEmpty)
        #expect(cluster.links.count == 1)
    }

    @Test("a watch that does not begin in time ends; one that has begun has all the time")
    func watchDeadline() throws {
        let count = Noted<Int>()
        let cluster = try EmbeddedCluster { call in
            count.add(1)
            if count.all.count > 1 { call.beginWatch() }
        }
        let first = cluster.watch(WatchRequest(.of("k")), within: .milliseconds(300))
        cluster.advance(by: .milliseconds(300))
        guard case .ended(let error)? = first.all.first else {
            Issue.record("the watch goes on")
            return
        }
        #expect(error.code == .deadlineExceeded)
        let second = cluster.watch(WatchRequest(.of("k")), within: .milliseconds(300))
        cluster.advance(by: .seconds(9))
        #expect(second.all.count == 1)
    }

    @Test("a member that says it is unavailable is left; pauses grow until one answers a request")
    func unavailable() throws {
        let cluster = try EmbeddedCluster { call in
            if call.connection <= 3 { call.refuse(14, "etcdserver: no leader") } else { call.refuse(3, "nonsense") }
        }
        var connections: [Int] = []
        for _ in 0..<3 {
            #expect(cluster.call(range).errors().map(\.message) == ["etcdserver: no leader"])
            connections.append(cluster.links.count)
            cluster.advance(by: .milliseconds(49))
            connections.append(cluster.links.count)
            cluster.advance(by: .milliseconds(51))
        }
        // Nothing waits: nothing is connected to before the next call.
        #expect(connections == [1, 1, 2, 2, 3, 3])
        #expect(cluster.call(range).errors().map(\.code) == [.invalidArgument])
        #expect(cluster.call(range).errors().map(\.code) == [.invalidArgument])
        #expect(cluster.links.count == 4)
    }

    @Test("a stream that its member refuses goes to the next member; one that it resets was perhaps applied")
    func resetStream() throws {
        let refusing = try EmbeddedCluster { call in
            if call.connection == 1 { call.reset(.refusedStream) } else { call.answer() }
        }
        #expect(refusing.call(range).errors().isEmpty)
        #expect(refusing.links.count == 2)
        let failing = try EmbeddedCluster { call in call.reset(.internalError) }
        #expect(failing.call(range).errors().map(\.mayHaveBeenApplied) == [true])
    }

    @Test("a closed client ends all there is, once")
    func close() throws {
        let cluster = try EmbeddedCluster { _ in }
        let (first, watch) = (cluster.call(range), cluster.watch(WatchRequest(.of("k"))))
        cluster.dispatcher.close()
        cluster.advance(by: .hours(1))
        #expect(first.errors().count == 1)
        #expect(watch.all.count == 1)
        #expect(cluster.call(range).errors().map(\.code) == [.cancelled])
        #expect(cluster.links.count == 1)
    }
}

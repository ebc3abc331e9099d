import Addressing
import NIOCore
import NIOEmbedded
import TandemAPI
import Testing

@testable import TandemServer

@Suite("A pause behind refusals")
struct OverloadPauseTests {
    /// Counts reads of the socket.
    private final class Reads: ChannelOutboundHandler {
        typealias OutboundIn = NIOAny
        var count = 0

        func read(context: ChannelHandlerContext) { count += 1 }
    }

    private struct Connection {
        let channel: EmbeddedChannel
        let session: RPCSession
        let reads = Reads()

        init(on loop: EmbeddedEventLoop, _ pace: RefusalPace) throws {
            channel = EmbeddedChannel(loop: loop)
            session = RPCSession(
                identity: nil, eventLoop: loop, peer: nil, budget: BufferBudget(maximumBytes: 1 << 20))
            try channel.pipeline.syncOperations.addHandlers([reads, OverloadPause(session, pace)])
        }

        func refuse(_ calls: Int) {
            for _ in 0..<calls { session.noteRefusal() }
        }
    }

    private let loop = EmbeddedEventLoop()

    @Test("a connection is read on at once, and once its refusals are paid for where calls of it met a limit")
    func pauses() throws {
        let connection = try Connection(on: loop, RefusalPace(eventLoops: 1))
        connection.channel.read()
        #expect(connection.reads.count == 1)

        connection.refuse(10)
        connection.channel.read()
        loop.advanceTime(by: RefusalPace.each * 10 - .nanoseconds(1))
        connection.channel.read()
        #expect(connection.reads.count == 1)
        loop.advanceTime(by: .nanoseconds(1))
        #expect(connection.reads.count == 2)
        connection.channel.read()
        #expect(connection.reads.count == 3)
    }

    @Test(
        "the more wait the longer each does, a client with few refusals the least; twice the event loops take half the time"
    )
    func shares() throws {
        let pace = RefusalPace(eventLoops: 2)
        let many = try Connection(on: loop, pace)
        many.refuse(100)
        many.channel.read()
        let few = try Connection(on: loop, pace)
        few.refuse(1)
        few.channel.read()
        // Two share, and two event loops do the work.
        loop.advanceTime(by: RefusalPace.each - .nanoseconds(1))
        #expect(few.reads.count == 0)
        loop.advanceTime(by: .nanoseconds(1))
        #expect(few.reads.count == 1)
        #expect(many.reads.count == 0)
        loop.advanceTime(by: RefusalPace.each * 49)
        #expect(many.reads.count == 1)
        // No call waits any more: as long as at first.
        many.refuse(100)
        many.channel.read()
        loop.advanceTime(by: RefusalPace.each * 50)
        #expect(many.reads.count == 2)
    }

    @Test("no call waits longer than a second, however much was refused")
    func isBounded() throws {
        let pace = RefusalPace(eventLoops: 1)
        let connections = try (0..<100).map { _ in try Connection(on: loop, pace) }
        for connection in connections {
            connection.refuse(1_000)
            connection.channel.read()
        }
        loop.advanceTime(by: RefusalPace.longestPause)
        #expect(connections.allSatisfy { $0.reads.count == 1 })
    }

    @Test("a full range is no overload: its release must not wait")
    func knowsOverload() throws {
        let range = try #require(CIDR("10.96.0.0/24"))
        #expect(!APIError.rangeFull(range, for: "cluster IP").isOverload)
        #expect(!APIError.unavailable("not now").isOverload)
        #expect(APIError(.resourceExhausted, reason: "QueueFull", "", isRetryable: true).isOverload)
    }

    @Test("a connection that is closed during its pause is let go")
    func isClosedDuringPause() throws {
        let connection = try Connection(on: loop, RefusalPace(eventLoops: 1))
        connection.refuse(1)
        connection.channel.read()
        connection.channel.close(promise: nil)
        loop.advanceTime(by: RefusalPace.longestPause)
        #expect(!connection.channel.isActive)
    }
}

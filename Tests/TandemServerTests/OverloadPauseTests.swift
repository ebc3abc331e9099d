import NIOCore
import NIOEmbedded
import Testing

@testable import TandemServer

@Suite("A pause behind refusals")
struct OverloadPauseTests {
    /// Counts what asks the socket for more.
    private final class Reads: ChannelOutboundHandler {
        typealias OutboundIn = NIOAny
        var count = 0

        func read(context: ChannelHandlerContext) { count += 1 }
    }

    @Test("a connection is read on at once, and a moment later where a call of it met a limit")
    func pauses() throws {
        let loop = EmbeddedEventLoop()
        let channel = EmbeddedChannel(loop: loop)
        let session = RPCSession(
            identity: nil, eventLoop: loop, peer: nil, budget: BufferBudget(maximumBytes: 1 << 20))
        let reads = Reads()
        try channel.pipeline.syncOperations.addHandlers([reads, OverloadPause(session)])
        channel.read()
        #expect(reads.count == 1)

        session.noteOverload()
        channel.read()
        loop.advanceTime(by: OverloadPause.length - .nanoseconds(1))
        channel.read()
        #expect(reads.count == 1)
        loop.advanceTime(by: .nanoseconds(1))
        #expect(reads.count == 2)
        channel.read()
        #expect(reads.count == 3)
    }

    @Test("a connection that is closed during its pause is let go")
    func isClosedDuringPause() throws {
        let loop = EmbeddedEventLoop()
        let channel = EmbeddedChannel(loop: loop)
        let session = RPCSession(
            identity: nil, eventLoop: loop, peer: nil, budget: BufferBudget(maximumBytes: 1 << 20))
        try channel.pipeline.syncOperations.addHandler(OverloadPause(session))
        session.noteOverload()
        channel.read()
        channel.close(promise: nil)
        loop.advanceTime(by: OverloadPause.length)
        #expect(!channel.isActive)
    }
}

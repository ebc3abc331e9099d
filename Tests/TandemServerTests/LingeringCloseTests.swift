import NIOCore
import NIOEmbedded
import Testing

@testable import TandemServer

@Suite("Closing that waits for the peer")
struct LingeringCloseTests {
    private let loop = EmbeddedEventLoop()

    /// One side of it can be closed, as a socket's.
    private final class Socket: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer
        func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
            if mode == .output { promise?.succeed() } else { context.close(mode: mode, promise: promise) }
        }
    }

    private func channel() throws -> EmbeddedChannel {
        let channel = EmbeddedChannel(handlers: [Socket(), LingeringClose()], loop: loop)
        channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
        return channel
    }

    @Test("bytes already written go first; the peer's end is waited for, and bytes that it sends are thrown away")
    func waits() throws {
        let channel = try channel()
        channel.write(ByteBuffer(string: "the last word"), promise: nil)
        let closed = channel.close()
        #expect(try channel.readOutbound(as: ByteBuffer.self) == ByteBuffer(string: "the last word"))
        _ = try channel.writeInbound(ByteBuffer(string: "more"))
        #expect(try channel.readInbound(as: ByteBuffer.self) == nil)
        #expect(channel.isActive)
        channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(!channel.isActive)
        try closed.wait()
    }

    @Test(
        "a peer that does not end is not waited for long, though it is closed again meanwhile; nor one that sends on and on"
    )
    func isBounded() throws {
        let silent = try channel()
        let closed = silent.close()
        loop.advanceTime(by: .seconds(1))
        let again = silent.close()
        #expect(silent.isActive)
        loop.advanceTime(by: .seconds(1))
        try #require(!silent.isActive)
        try closed.wait()
        try again.wait()

        let loud = try channel()
        loud.close(promise: nil)
        let megabyte = ByteBuffer(repeating: 0, count: 1 << 20)
        var sent = 0
        while loud.isActive, sent < 100 {
            _ = try? loud.writeInbound(megabyte)
            sent += 1
        }
        #expect((32...34).contains(sent), "\(sent) MiB")
    }

    @Test("one that has said that it sends no more is not waited for")
    func isDone() throws {
        let channel = try channel()
        channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        try channel.close().wait()
        #expect(!channel.isActive)
    }
}

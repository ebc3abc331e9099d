import NIOCore

/// A client that speaks HTTP without TLS is told so in words, as by Go's servers. Looks at the first byte of a connection, then makes
/// way: a method is capital letters, and no record of TLS begins with one.
final class PlainTextAnswer: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    struct Fault: Error, CustomStringConvertible {
        let description = "the client sent an HTTP request without TLS"
    }

    private static let answer: StaticString =
        "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = Self.unwrapInboundIn(data)
        guard let first = bytes.getInteger(at: bytes.readerIndex, as: UInt8.self) else { return }
        if (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(first) {
            context.writeAndFlush(Self.wrapOutboundOut(ByteBuffer(staticString: Self.answer)), promise: nil)
            // The handler that counts failures closes.
            context.fireErrorCaught(Fault())
        } else {
            context.fireChannelRead(data)
        }
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }
}

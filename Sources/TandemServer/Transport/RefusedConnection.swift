import NIOCore

/// One connection too many: told so by TLS's alert `internal_error`, the one that says that the fault is the server's, and
/// closed. Before the client has said anything, as nothing is kept for it.
final class RefusedConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// A record of type alert (21), version 3.3, two bytes long: fatal (2), internal_error (80).
    private static let alert: [UInt8] = [21, 3, 3, 0, 2, 2, 80]

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(Self.wrapOutboundOut(ByteBuffer(bytes: Self.alert)), promise: nil)
        context.close(promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}
}

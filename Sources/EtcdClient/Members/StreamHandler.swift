import NIOCore
import NIOHPACK
import NIOHTTP2

/// One stream of a connection: sends the request, passes answers up. `GRPCStream` decides everything.
final class GRPCStreamHandler: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame.FramePayload
    typealias OutboundOut = HTTP2Frame.FramePayload

    private var stream: GRPCStream
    private let onOutput: (GRPCStream.Output) -> Void
    /// The receiver of an answer may end the stream by a call back into this handler, which then must not begin again.
    private var isHandingUp = false
    private var context: ChannelHandlerContext?
    private var hasEnded = false
    /// Both sides have said all; the channel closes by itself.
    private var isDone = false
    private var isKeptOpen = false

    /// `onOutput` is called on the event loop, and not again behind an end.
    init(maximumMessageBytes: Int, onOutput: @escaping (GRPCStream.Output) -> Void) {
        stream = GRPCStream(maximumMessageBytes: maximumMessageBytes)
        self.onOutput = onOutput
    }

    /// `message` is one as `GRPCMessageBuffer.frame` makes it. A stream that is kept open has more to say to the member.
    func send(_ headers: HPACKHeaders, _ message: ByteBuffer, keepOpen: Bool) {
        guard let context else { return }
        guard !hasEnded else { return context.close(promise: nil) }
        isKeptOpen = keepOpen
        context.write(Self.wrapOutboundOut(.headers(.init(headers: headers))), promise: nil)
        context.writeAndFlush(
            Self.wrapOutboundOut(.data(.init(data: .byteBuffer(message), endStream: !keepOpen))), promise: nil)
    }

    /// Ends the stream from this side; a stream that has ended stays as it is.
    func abort(_ error: EtcdError) {
        stream.abort(error)
        handUp()
    }

    func setReading(_ isReading: Bool) {
        guard let context, !hasEnded else { return }
        // It can't fail for an option that each channel has.
        try? context.channel.syncOptions?.setOption(.autoRead, value: isReading)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        abort(Self.lost)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch Self.unwrapInboundIn(data) {
        case .headers(let headers):
            isDone = headers.endStream && !isKeptOpen
            stream.receive(headers.headers, endsStream: headers.endStream)
        case .data(let data):
            guard case .byteBuffer(let bytes) = data.data else { return }
            isDone = data.endStream && !isKeptOpen
            stream.receive(bytes, endsStream: data.endStream)
        default: return
        }
        handUp()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case let closed as NIOHTTP2Errors.StreamClosed where closed.errorCode == .refusedStream:
            abort(EtcdError(.unavailable, "the member refused a further stream", mayHaveBeenApplied: false))
        case let closed as NIOHTTP2Errors.StreamClosed:
            abort(EtcdError(.unavailable, "the member reset the stream: \(closed.errorCode)", mayHaveBeenApplied: true))
        default: abort(EtcdError(.unavailable, "the stream failed: \(error)", mayHaveBeenApplied: true))
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        abort(Self.lost)
        context.fireChannelInactive()
    }

    private static let lost = EtcdError(.unavailable, "the connection to the member was lost", mayHaveBeenApplied: true)

    private func handUp() {
        guard !isHandingUp else { return }
        isHandingUp = true
        while let output = stream.next() {
            if case .end = output { hasEnded = true }
            onOutput(output)
            // Ends the stream at the member too.
            if hasEnded, !isDone { context?.close(promise: nil) }
        }
        isHandingUp = false
    }
}

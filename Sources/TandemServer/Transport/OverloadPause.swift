import NIOCore

/// Reads no more from a connection for a moment after a call of it was refused because of a limit.
///
/// To refuse a call costs a good part of serving one: its bytes are decrypted and decoded, and an answer goes back. A server
/// that refused as fast as clients can send would do little else; so what they send further waits in their own sockets, a
/// refusal's length, and most of the processor's time stays with the calls that are served.
final class OverloadPause: ChannelOutboundHandler {
    typealias OutboundIn = NIOAny

    /// With one record read at a time, each connection can have some hundred calls refused a second.
    static let length = TimeAmount.milliseconds(200)

    private let session: RPCSession
    private var isPausing = false

    init(_ session: RPCSession) {
        self.session = session
    }

    func read(context: ChannelHandlerContext) {
        guard !isPausing else { return }
        guard session.takeOverload() else { return context.read() }
        isPausing = true
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: Self.length) {
            let (handler, context) = bound.value
            handler.isPausing = false
            context.read()
        }
    }
}

import NIOCore

/// Reads no more from a connection for a moment after calls of it were refused because of a limit: the client's further
/// input waits in its own socket, and most of the processor's time stays with the calls that are served.
final class OverloadPause: ChannelOutboundHandler {
    typealias OutboundIn = NIOAny

    private let session: RPCSession
    private let pace: RefusalPace
    private var isPausing = false

    init(_ session: RPCSession, _ pace: RefusalPace) {
        self.session = session
        self.pace = pace
    }

    func read(context: ChannelHandlerContext) {
        guard !isPausing else { return }
        let refusals = session.takeRefusals()
        guard refusals > 0 else { return context.read() }
        isPausing = true
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: pace.beginPause(for: refusals)) {
            let (handler, context) = bound.value
            handler.isPausing = false
            handler.pace.endPause()
            context.read()
        }
    }
}

import NIOCore

/// Closes a connection without progress: for the whole time-out no message came in whole, no answer was taken, and no
/// call was in flight. A client that sends a byte now and then, or never reads, is one of those.
final class ProgressWatch: ChannelInboundHandler {
    typealias InboundIn = NIOAny

    /// Looks a time-out is cut into: a connection is closed at most so much of it late.
    private static let looks = 4

    private let session: RPCSession
    private let timeout: TimeAmount
    private var seen = 0
    private var quietLooks = 0
    private var timer: RepeatedTask?

    init(_ session: RPCSession, timeout: TimeAmount) {
        self.session = session
        self.timeout = timeout
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let interval = TimeAmount.nanoseconds(max(1_000_000, timeout.nanoseconds / Int64(Self.looks)))
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
            bound.value.0.look(bound.value.1)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
    }

    private func look(_ context: ChannelHandlerContext) {
        let progress = session.progressCount
        guard progress == seen, session.isIdle else {
            seen = progress
            quietLooks = 0
            return
        }
        quietLooks += 1
        guard quietLooks >= Self.looks else { return }
        timer?.cancel()
        context.close(promise: nil)
    }
}

import Glibc
import Logging
import Measures
import NIOCore

/// On the listening channel: accepts no connection for a moment when there is no descriptor (or no memory) for one, and then
/// goes on by itself.
///
/// A connection that can't be accepted stays in the listener's queue, so that the selector reports the listener as readable
/// again at once, for ever. To hold back further reads, as NIO's `AcceptBackoffHandler` does, is not enough: the read that failed
/// stays asked for. Without `autoRead` the channel leaves the selector.
final class AcceptPause: ChannelInboundHandler {
    typealias InboundIn = NIOAny

    /// As long as a connection waits at most once there is a descriptor again.
    static let length = TimeAmount.milliseconds(250)

    private let pauses: Counters
    private let logger: Logger
    private let lines: LineLimits

    /// `pauses` has one count.
    init(_ pauses: Counters, _ lines: LineLimits, _ logger: Logger) {
        self.lines = lines
        self.pauses = pauses
        self.logger = logger
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? IOError, Self.passes(error) else { return context.fireErrorCaught(error) }
        pauses.add(0)
        if let line = lines.note("accept", .server) {
            logger.error(
                "connections can't be accepted; those that are open are served",
                metadata: [
                    "error": "\(error)", "attempts": "\(line.count)", "openFilesLimit": "\(OpenFiles.limit)",
                ])
        }
        let channel = context.channel
        try? channel.syncOptions?.setOption(.autoRead, value: false)
        context.eventLoop.scheduleTask(in: Self.length) {
            // It fails where the listener is closed by now.
            try? channel.syncOptions?.setOption(.autoRead, value: true)
        }
    }

    /// Whether there may be room again later.
    private static func passes(_ error: IOError) -> Bool {
        [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(error.errnoCode)
    }
}

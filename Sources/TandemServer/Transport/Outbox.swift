import NIOCore
import Synchronization
import TandemAPI

/// Where answers wait for their connection's event loop: many come from the journal's thread at once, and leave in one
/// write. Thread-safe.
final class Outbox: Sendable {
    private let waiting = Mutex<[RPCReply?]>([])
    private let eventLoop: any EventLoop
    private let drain: @Sendable ([RPCReply?]) -> Void

    /// `drain` runs on the event loop.
    init(eventLoop: any EventLoop, _ drain: @escaping @Sendable ([RPCReply?]) -> Void) {
        self.eventLoop = eventLoop
        self.drain = drain
    }

    /// nil where none is due: it counts as answered then. The first to wait wakes the event loop; those behind it ride along.
    func put(_ reply: RPCReply?) {
        let isFirst = waiting.withLock { waiting in
            waiting.append(reply)
            return waiting.count == 1
        }
        guard isFirst else { return }
        eventLoop.execute { self.drain(self.takeAll()) }
    }

    private func takeAll() -> [RPCReply?] {
        waiting.withLock { waiting in
            defer { waiting.removeAll(keepingCapacity: true) }
            return waiting
        }
    }
}

import Synchronization
import TandemAPI

/// Where answers wait for their connection's event loop: many come from the journal's thread at once, and leave in one
/// write. Thread-safe.
final class Outbox: Sendable {
    private let waiting = Mutex<[RPCReply?]>([])
    private let lane: LoopQueue.Lane
    private let drain: @Sendable ([RPCReply?]) -> Void

    /// `drain` runs on the lane's event loop, in its turn.
    init(_ lane: LoopQueue.Lane, _ drain: @escaping @Sendable ([RPCReply?]) -> Void) {
        self.lane = lane
        self.drain = drain
    }

    /// nil where none is due: it counts as answered then. The first to wait asks for a turn; those behind it ride along.
    func put(_ reply: RPCReply?) {
        let isFirst = waiting.withLock { waiting in
            waiting.append(reply)
            return waiting.count == 1
        }
        guard isFirst else { return }
        lane.execute { self.drain(self.takeAll()) }
    }

    private func takeAll() -> [RPCReply?] {
        waiting.withLock { waiting in
            defer { waiting.removeAll(keepingCapacity: true) }
            return waiting
        }
    }
}

import IPAM
import Measures
import NIOCore
import Synchronization

/// Work of an event loop that gives way to its sockets: some of it, then a look at the sockets, then more. Thread-safe.
///
/// `EventLoop.execute` gives way to nothing: a loop looks at its sockets again when no task is left, and tasks that were made by
/// tasks count. So there is one queue for each loop, which runs for a millisecond and goes on by a timer that is not due
/// yet when the loop looks for further tasks.
final class LoopQueue: Executor {
    /// How long the queue runs between two looks at the sockets, or as long as one piece of work takes, in nanoseconds.
    static let share: UInt64 = 1_000_000
    /// How long the sockets have the loop at least.
    static let pause = TimeAmount.microseconds(20)

    private struct State {
        var waiting = CircularBuffer<@Sendable () -> Void>()
        var isScheduled = false
    }

    private let state = Mutex(State())
    private let eventLoop: any EventLoop
    private let now: @Sendable () -> Moment

    init(_ eventLoop: any EventLoop, now: @escaping @Sendable () -> Moment = Moment.now) {
        self.eventLoop = eventLoop
        self.now = now
    }

    /// Runs `body` on the event loop, later, and behind what came before.
    func execute(_ body: @escaping @Sendable () -> Void) {
        let isFirst = state.withLock { state in
            state.waiting.append(body)
            defer { state.isScheduled = true }
            return !state.isScheduled
        }
        if isFirst { eventLoop.execute(run) }
    }

    /// The same for several, in their order.
    func execute(_ bodies: [@Sendable () -> Void]) {
        let isFirst = state.withLock { state in
            state.waiting.append(contentsOf: bodies)
            defer { state.isScheduled = true }
            return !state.isScheduled
        }
        if isFirst { eventLoop.execute(run) }
    }

    /// Calls `body` with 0, 1, 2 … until `end` is reached or the queue's share of time is over; where it stopped.
    func runShare(from start: Int, to end: Int, _ body: (Int) -> Void) -> Int {
        let since = now()
        var index = start
        while index < end {
            body(index)
            index += 1
            if now().since(since) > Self.share { break }
        }
        return index
    }

    @Sendable
    private func run() {
        let since = now()
        repeat {
            guard let body = take() else { return }
            body()
        } while now().since(since) <= Self.share
        eventLoop.scheduleTask(in: Self.pause, run)
    }

    /// nil where none is left: then the next one to come wakes the loop.
    private func take() -> (@Sendable () -> Void)? {
        state.withLock { state in
            let next = state.waiting.popFirst()
            if next == nil {
                state.isScheduled = false
                // The memory of a crowd is given back, a few places are kept for the next ones.
                if state.waiting.capacity > 1024 { state.waiting = CircularBuffer() }
            }
            return next
        }
    }
}

/// The queue of each event loop. Thread-safe.
final class LoopQueues: Sendable {
    private let queues = Mutex<[ObjectIdentifier: LoopQueue]>([:])

    func queue(of eventLoop: any EventLoop) -> LoopQueue {
        queues.withLock { queues in
            if let queue = queues[ObjectIdentifier(eventLoop)] { return queue }
            let queue = LoopQueue(eventLoop)
            queues[ObjectIdentifier(eventLoop)] = queue
            return queue
        }
    }
}

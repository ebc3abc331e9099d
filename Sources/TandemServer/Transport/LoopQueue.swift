import IPAM
import Measures
import NIOCore
import Synchronization

/// Work of an event loop that gives way to its sockets: some of it, then a look at the sockets, then more; and in turn for those whose work
/// it is. Thread-safe.
///
/// `EventLoop.execute` gives way to nothing: a loop looks at its sockets again when no task is left, and tasks that were made by
/// tasks count. So there is one queue for each loop, which gives each identity with waiting work a turn, for a millisecond in all, and goes on by a
/// timer that is not due yet when the loop looks for further tasks.
///
/// Each identity has a lane of its own. A lane is charged for the time that its work takes, also for work done at once, past the queue, and
/// has a quarter of a millisecond a turn: where it has used that up its further messages wait until the others had their turns.
final class LoopQueue: Sendable {
    /// How long the queue runs between two looks at the sockets, or as long as one piece of work takes, in nanoseconds.
    static let share: UInt64 = 1_000_000
    /// How long the sockets have the loop at least.
    static let pause = TimeAmount.microseconds(10)
    /// The time of a lane's turn, in nanoseconds: some 256 objects that are looked at, or ten allocations.
    static let turn = 250_000

    private struct State {
        /// Lanes that have something waiting, the one whose turn is next first.
        var turns = CircularBuffer<Lane>()
        var isScheduled = false
    }

    /// For so long the loop is taken to be shared after two lanes took turns, in nanoseconds. While one has it to itself no other waits for a turn of
    /// its, and to end one would cost it a look at the sockets.
    static let sharedNanoseconds: UInt64 = 100_000_000

    private let state = Mutex(State())
    // Relaxed, both: the event loop alone changes them. Which lane worked last, and until when the loop is taken to be shared.
    private let lastLane = Atomic<UInt>(0)
    private let sharedUntil = Atomic<UInt64>(0)
    private let eventLoop: any EventLoop
    let now: @Sendable () -> Moment

    init(_ eventLoop: any EventLoop, now: @escaping @Sendable () -> Moment = Moment.now) {
        self.eventLoop = eventLoop
        self.now = now
    }

    /// The work of one identity.
    // Proof of `@unchecked Sendable`: `waiting` and `isInTurn` are touched under the lock of the queue alone, `chargedUntil` on its event
    // loop alone; all else is constant or atomic.
    final class Lane: Executor, @unchecked Sendable {
        fileprivate var waiting = CircularBuffer<@Sendable () -> Void>()
        fileprivate var isInTurn = false
        private var chargedUntil = Moment(nanoseconds: 0)
        // Relaxed: the event loop alone changes it.
        private let credit = Atomic<Int>(LoopQueue.turn)
        let queue: LoopQueue

        init(of queue: LoopQueue) {
            self.queue = queue
        }

        /// Runs `body` on the event loop, later, and after earlier work.
        func execute(_ body: @escaping @Sendable () -> Void) {
            queue.add(to: self) { $0.append(body) }
        }

        /// The same for several, in their order.
        func execute(_ bodies: [@Sendable () -> Void]) {
            queue.add(to: self) { $0.append(contentsOf: bodies) }
        }

        /// Whether further work may be done at once: else it is to be put behind that of others. On the event loop.
        var hasCredit: Bool { credit.load(ordering: .relaxed) > 0 || !queue.isShared(chargedUntil) }

        /// Its work begins: now. On the event loop.
        func begin() { begin(at: queue.now()) }

        /// When its work was begun or charged for last. On the event loop.
        var time: Moment { chargedUntil }

        /// Charges the lane for the time since it began, or since this was called last. On the event loop.
        func charge() { charge(until: queue.now()) }

        fileprivate func begin(at time: Moment) {
            chargedUntil = time
            queue.noteWork(of: self, time)
        }

        fileprivate func charge(until time: Moment) {
            if queue.isShared(time) {
                credit.wrappingSubtract(Int(clamping: time.since(chargedUntil)), ordering: .relaxed)
            } else {
                // No lane waited for it, so that it is owed to none.
                credit.store(LoopQueue.turn, ordering: .relaxed)
            }
            chargedUntil = time
        }

        fileprivate func beginTurn() { credit.wrappingAdd(LoopQueue.turn, ordering: .relaxed) }

        /// A lane without waiting work begins anew: the rest of a turn is not saved, but a debt is paid.
        fileprivate func rest() {
            credit.store(min(credit.load(ordering: .relaxed), 0) + LoopQueue.turn, ordering: .relaxed)
        }
    }

    fileprivate func isShared(_ now: Moment) -> Bool { now.nanoseconds < sharedUntil.load(ordering: .relaxed) }

    private func noteWork(of lane: Lane, _ now: Moment) {
        let id = UInt(bitPattern: ObjectIdentifier(lane))
        guard lastLane.load(ordering: .relaxed) != id else { return }
        if lastLane.exchange(id, ordering: .relaxed) != 0 { noteSharing(now) }
    }

    private func noteSharing(_ now: Moment) {
        sharedUntil.store(now.nanoseconds + Self.sharedNanoseconds, ordering: .relaxed)
    }

    private func add(to lane: Lane, _ append: (inout CircularBuffer<@Sendable () -> Void>) -> Void) {
        let isFirst = state.withLock { state in
            append(&lane.waiting)
            if !lane.isInTurn, !lane.waiting.isEmpty {
                lane.isInTurn = true
                state.turns.append(lane)
            }
            defer { state.isScheduled = true }
            return !state.isScheduled
        }
        if isFirst { eventLoop.execute(run) }
    }

    @Sendable
    private func run() {
        let start = now()
        var time = start
        // Each once: then the sockets may have something for another lane.
        var left = state.withLock { $0.turns.count }
        if left > 1 { noteSharing(start) }
        repeat {
            guard let lane = nextLane() else { return }
            left -= 1
            if !lane.hasCredit { lane.beginTurn() }
            lane.begin(at: time)
            var isEmpty = false
            while !isEmpty, lane.hasCredit, time.since(start) <= Self.share {
                guard let body = take(from: lane) else {
                    isEmpty = true
                    break
                }
                body()
                time = now()
                lane.charge(until: time)
            }
            putBack(lane)
        } while (left > 0 || !isShared(time)) && time.since(start) <= Self.share
        let isEmpty = state.withLock { state in
            if state.turns.isEmpty { state.isScheduled = false }
            return state.turns.isEmpty
        }
        if !isEmpty { eventLoop.scheduleTask(in: Self.pause, run) }
    }

    /// nil where none has anything left: then the next one to come wakes the loop.
    private func nextLane() -> Lane? {
        state.withLock { state in
            let next = state.turns.popFirst()
            if next == nil { state.isScheduled = false }
            return next
        }
    }

    private func take(from lane: Lane) -> (@Sendable () -> Void)? { state.withLock { _ in lane.waiting.popFirst() } }

    /// Behind the others where its turn is over, else in front of them, as the sockets come between.
    private func putBack(_ lane: Lane) {
        state.withLock { state in
            guard lane.waiting.isEmpty else {
                return lane.hasCredit ? state.turns.prepend(lane) : state.turns.append(lane)
            }
            lane.isInTurn = false
            // The memory of a crowd is given back, a few places are kept for the next ones.
            if lane.waiting.capacity > 1024 { lane.waiting = CircularBuffer() }
            lane.rest()
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

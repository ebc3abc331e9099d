import Synchronization
import TandemAPI

/// Turns of calls on a name: calls on one name run one after the other, calls on different names side by side.
///
/// A turn is taken before a call decides and is held until its commit is acknowledged, so that a deciding call sees the
/// outcome of all calls before it. A shared turn is held together with other shared ones: pods share their node's turn,
/// the node's own calls need it alone. Turns are given in the order in which they were asked for; no call is overtaken.
///
/// No thread ever blocks for a turn: the closure that waits runs later, where its call's executor has it, so that one client's
/// work is not done on the thread that another one's commit ended on. To stay free of deadlock a call takes its turns in one
/// order: a pod's name, its container, its node. Thread-safe.
final class Turns: Sendable {
    private struct Waiter: Sendable {
        var isShared: Bool
        var executor: (any Executor)?
        var run: @Sendable (Turn) -> Void
    }

    private struct Line: Sendable {
        var sharedHolders = 0
        var isHeldAlone = false
        var waiters: [Waiter] = []
        /// Index of the next waiter: waiters leave from the front without moving the rest.
        var next = 0
        /// A thread is handing out turns and will see every change made meanwhile.
        var isDraining = false

        /// The way without waiting: no call is ahead, and none holds a part of this turn.
        mutating func admitAtOnce(shared isShared: Bool) -> Bool {
            guard waiters.isEmpty, !isHeldAlone, isShared || sharedHolders == 0 else { return false }
            if isShared { sharedHolders += 1 } else { isHeldAlone = true }
            return true
        }

        /// Takes the first waiter whose turn it is.
        mutating func admit() -> Waiter? {
            guard next < waiters.count, !isHeldAlone else { return nil }
            let waiter = waiters[next]
            guard waiter.isShared || sharedHolders == 0 else { return nil }
            next += 1
            // Served ones are let go soon, also in a line that never runs empty: in all each is moved once at most.
            if next == waiters.count || next > 32 && next > waiters.count / 2 {
                waiters.removeFirst(next)
                next = 0
            }
            if waiter.isShared { sharedHolders += 1 } else { isHeldAlone = true }
            return waiter
        }

        /// Puts a waiter in front of all others.
        mutating func putFirst(_ waiter: Waiter) {
            if next > 0 {
                next -= 1
                waiters[next] = waiter
            } else {
                waiters.insert(waiter, at: 0)
            }
        }

        mutating func leave(shared isShared: Bool) {
            if isShared { sharedHolders -= 1 } else { isHeldAlone = false }
        }

        var isIdle: Bool { sharedHolders == 0 && !isHeldAlone && waiters.isEmpty && !isDraining }
    }

    private let lines = ShardedMap<String, Line>()

    /// Runs `body` as soon as the turn is to be had: before this returns where no other is ahead, else on the executor or, without
    /// one, on the thread that gives its turn back. `body` must see to it that the turn is given back exactly once, whatever
    /// happens.
    func take(
        _ name: String, shared isShared: Bool = false, on executor: (any Executor)? = nil,
        _ body: @escaping @Sendable (Turn) -> Void
    ) {
        let isMine = lines.update(name) { line in
            // In place throughout: a copy of the line would copy all waiting calls.
            if line == nil { line = Line() }
            let isFree = line?.admitAtOnce(shared: isShared) ?? false
            if !isFree { line?.waiters.append(Waiter(isShared: isShared, executor: executor, run: body)) }
            return isFree
        }
        if isMine { body(Turn(turns: self, name: name, isShared: isShared)) } else { drain(name) }
    }

    fileprivate func giveBack(_ turn: Turn) {
        let hasWaiters = lines.update(turn.name) { line in
            line?.leave(shared: turn.isShared)
            if line?.isIdle ?? true { line = nil }
            return line?.waiters.isEmpty == false
        }
        if hasWaiters { drain(turn.name) }
    }

    /// Gives a shared turn back and takes it alone, before every other call that waits: none that came later comes between.
    func takeAlone(
        insteadOf turn: Turn, on executor: (any Executor)? = nil, _ body: @escaping @Sendable (Turn) -> Void
    ) {
        lines.update(turn.name) { line in
            line?.leave(shared: turn.isShared)
            line?.putFirst(Waiter(isShared: false, executor: executor, run: body))
        }
        drain(turn.name)
    }

    /// Hands out turns until none is next. Only one thread drains a line at a time, and a turn that is given back
    /// while its own body still runs is seen by that thread's loop: the stack stays flat however many wait.
    private func drain(_ name: String) {
        let isMine = lines.update(name) { line in
            guard line?.isDraining == false, line?.waiters.isEmpty == false else { return false }
            line?.isDraining = true
            return true
        }
        guard isMine else { return }
        while true {
            let waiter: Waiter? = lines.update(name) { line in
                if let waiter = line?.admit() { return waiter }
                line?.isDraining = false
                if line?.isIdle ?? true { line = nil }
                return nil
            }
            guard let waiter else { return }
            let turn = Turn(turns: self, name: name, isShared: waiter.isShared)
            if let executor = waiter.executor { executor.execute { waiter.run(turn) } } else { waiter.run(turn) }
        }
    }
}

/// The right to act on a name, to be given back exactly once.
struct Turn: Sendable {
    fileprivate let turns: Turns
    fileprivate let name: String
    fileprivate let isShared: Bool

    /// May run waiting calls on this thread before it returns.
    func giveBack() {
        turns.giveBack(self)
    }
}

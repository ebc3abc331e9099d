import Synchronization

/// Work in pieces, of which some end at once and others when a commit does: one after the other, without the stack growing by
/// those that end at once. Thread-safe.
final class Pieces: Sendable {
    private struct State {
        var isRunning = false
        var isDue = false
    }

    private let state = Mutex(State())
    private let executor: (any Executor)?
    private let piece: @Sendable (Pieces) -> Void

    /// `piece` does the next one, and then calls `next`, at once or later, where there is another. All but the first run on the
    /// executor, which lets other work come between them; without one, on the thread that calls `next`.
    init(on executor: (any Executor)?, _ piece: @escaping @Sendable (Pieces) -> Void) {
        self.executor = executor
        self.piece = piece
    }

    /// Does the first piece.
    func start() { run() }

    /// Has the next piece done.
    func next() {
        if let executor { executor.execute { self.run() } } else { run() }
    }

    /// A piece that is due while another one runs on this stack is left to that one's loop.
    private func run() {
        let isMine = state.withLock { state in
            state.isDue = true
            defer { state.isRunning = true }
            return !state.isRunning
        }
        guard isMine else { return }
        while takeDue() { piece(self) }
    }

    private func takeDue() -> Bool {
        state.withLock { state in
            defer { state.isDue = false }
            if !state.isDue { state.isRunning = false }
            return state.isDue
        }
    }
}

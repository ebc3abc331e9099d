import Foundation
import Synchronization
import UnixSignals

/// SIGINT (Ctrl-C) and SIGTERM: the first one cancels the run, so that it can remove its objects; the second one ends the
/// program where it is. Thread-safe.
final class Interruption: Sendable {
    private let first = Mutex<Int32?>(nil)

    /// Calls `cancel` once, from a task of its own, when the first signal comes.
    init(_ cancel: @escaping @Sendable () -> Void) async {
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        Task {
            for await signal in signals {
                let status = 128 + (signal == .sigint ? SIGINT : SIGTERM)
                guard note(status) else { Foundation.exit(status) }
                cancel()
            }
        }
    }

    /// False where there was one before.
    private func note(_ status: Int32) -> Bool {
        first.withLock { first in
            guard first == nil else { return false }
            first = status
            return true
        }
    }

    /// The exit status of a program that a signal ended, 128 and the signal's number; nil where none came.
    var status: Int32? { first.withLock { $0 } }
}

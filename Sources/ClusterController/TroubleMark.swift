import Synchronization

/// Whether something failed since it was asked last. Thread-safe.
final class TroubleMark: Sendable {
    // Relaxed: that it is seen a little later is no harm.
    private let mark = Atomic<Bool>(false)

    func set() { mark.store(true, ordering: .relaxed) }

    func take() -> Bool { mark.exchange(false, ordering: .relaxed) }
}

/// Time as the client sees it, so that tests need not wait.
package struct KubeClock: Sendable {
    /// Since some start; it never goes back, and goes on while the machine sleeps.
    package var now: @Sendable () -> Duration
    /// Throws when the task is cancelled.
    package var sleep: @Sendable (Duration) async throws -> Void

    package init(
        now: @escaping @Sendable () -> Duration, sleep: @escaping @Sendable (Duration) async throws -> Void
    ) {
        self.now = now
        self.sleep = sleep
    }

    package static let system = {
        let start = ContinuousClock.now
        return KubeClock(now: { start.duration(to: .now) }, sleep: { try await Task.sleep(for: $0) })
    }()
}

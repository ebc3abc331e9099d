import IPAM

/// Frees addresses that have cooled for their time, all the while the server runs: it looks at some nodes every second, and in
/// a very large cluster at all of them within a minute. Its time is bounded by the step's.
struct BackgroundThaw: Sendable {
    private let engine: Engine

    init(_ engine: Engine) {
        self.engine = engine
    }

    /// Until the task is cancelled.
    func run() async {
        let thaw = Thaw(engine)
        while !Task.isCancelled {
            thaw.step()
            guard (try? await Task.sleep(for: .seconds(1))) != nil else { return }
        }
    }
}

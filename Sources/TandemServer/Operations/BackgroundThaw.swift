import IPAM

/// Frees addresses that have cooled for their time, all the while the server runs: a round over all nodes every second, in
/// steps of a thousand nodes or two thousand addresses, a tenth of a second apart.
struct BackgroundThaw: Sendable {
    private let engine: Engine

    init(_ engine: Engine) {
        self.engine = engine
    }

    /// Until the task is cancelled.
    func run() async {
        let thaw = Thaw(engine)
        while !Task.isCancelled {
            let endsRound = thaw.step()
            guard (try? await Task.sleep(for: endsRound ? .seconds(1) : .milliseconds(100))) != nil else { return }
        }
    }
}

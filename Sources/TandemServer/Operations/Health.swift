import Synchronization
import TandemAPI

/// Whether the server lives and whether it serves. Thread-safe.
final class Health: Sendable {
    enum Phase: UInt8, AtomicRepresentable, Sendable {
        case starting, serving, draining
    }

    /// A named part of the answer, as Kubernetes' components list them.
    struct Check: Sendable {
        var name: String
        /// nil where all is well.
        var fault: String?
    }

    // Releasing and acquiring: who sees a phase also sees what was done before it was entered.
    private let phase = Atomic<Phase>(.starting)
    private let storageFault: @Sendable () -> String?

    /// `storageFault` says why storage can't commit, or nil where it can.
    init(storageFault: @escaping @Sendable () -> String?) {
        self.storageFault = storageFault
    }

    func enter(_ next: Phase) {
        phase.store(next, ordering: .releasing)
    }

    var isDraining: Bool { phase.load(ordering: .acquiring) == .draining }

    /// Throws UNAVAILABLE unless calls are served.
    func checkServing() throws(APIError) {
        switch phase.load(ordering: .acquiring) {
        case .serving: return
        case .starting: throw .unavailable("the server is starting; try again", reason: "Starting")
        case .draining: throw .unavailable("the server is shutting down; try another or later", reason: "Draining")
        }
    }

    /// The process answers: that is all that liveness asks.
    var liveness: [Check] { [Check(name: "ping")] }

    var readiness: [Check] {
        let fault: String? =
            switch phase.load(ordering: .acquiring) {
            case .serving: nil
            case .starting: "starting"
            case .draining: "shutting down"
            }
        return liveness + [Check(name: "serving", fault: fault), Check(name: "storage", fault: storageFault())]
    }
}

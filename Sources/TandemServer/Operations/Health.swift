import Synchronization
import TandemAPI

/// Whether the server lives and whether it serves. Thread-safe.
final class Health: Sendable {
    enum Phase: UInt8, AtomicRepresentable, Sendable {
        case starting, serving
        /// Told to stop: unready, so that nobody new is sent here, and still serving those who come.
        case leaving
        case draining
    }

    /// A named part of the answer, as Kubernetes' components list them.
    struct Check: Sendable {
        var name: String
        /// nil where all is well.
        var fault: String?
        /// What is worth knowing though all is well.
        var note: String?
    }

    // Releasing and acquiring: who sees a phase also sees what was done before it was entered.
    private let phase = Atomic<Phase>(.starting)
    private let storageFault: @Sendable () -> String?
    private let storageParts: @Sendable () -> [Check]

    /// `storageFault` says why storage can't commit, or nil where it can; `storageParts` are what it needs for that.
    init(
        storageParts: @escaping @Sendable () -> [Check] = { [] }, storageFault: @escaping @Sendable () -> String?
    ) {
        self.storageFault = storageFault
        self.storageParts = storageParts
    }

    func enter(_ next: Phase) {
        phase.store(next, ordering: .releasing)
    }

    /// Told to stop: connections are let go at their next answer.
    var isDraining: Bool {
        switch phase.load(ordering: .acquiring) {
        case .leaving, .draining: true
        case .starting, .serving: false
        }
    }

    var isReady: Bool { readiness.allSatisfy { $0.fault == nil } }

    /// Throws UNAVAILABLE unless calls are served.
    func checkServing() throws(APIError) {
        switch phase.load(ordering: .acquiring) {
        case .serving, .leaving: return
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
            case .leaving, .draining: "shutting down"
            }
        return liveness + [Check(name: "serving", fault: fault), Check(name: "storage", fault: storageFault())]
            + storageParts()
    }
}

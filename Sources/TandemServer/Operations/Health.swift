import Synchronization
import TandemAPI

/// Whether the server lives and whether it serves. Thread-safe.
final class Health: Sendable {
    enum Phase: UInt8, AtomicRepresentable, Sendable {
        case starting, serving
        /// Stopping: unready, so that no new client is sent here, and still serving those that come.
        case leaving
        case draining
    }

    /// A named part of the answer, as Kubernetes' components list them.
    struct Check: Sendable {
        var name: String
        /// nil where all is well.
        var fault: String?
        /// A note on a passing check.
        var note: String?
    }

    // Releasing and acquiring: a thread that sees a phase also sees the work before it.
    private let phase = Atomic<Phase>(.starting)
    private let storageFault: @Sendable () -> String?
    private let storageParts: @Sendable () -> [Check]

    /// `storageFault` says why storage can't commit, or nil where it can; `storageParts` are its parts.
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

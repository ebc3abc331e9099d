import Measures
import Synchronization

/// The metrics of a controller, as Prometheus reads them. Thread-safe.
public final class ControllerMetrics: Sendable {
    private struct Counted: Hashable, Comparable {
        var part: String
        var action: String
        var outcome: String

        static func < (left: Self, right: Self) -> Bool {
            (left.part, left.action, left.outcome) < (right.part, right.action, right.outcome)
        }
    }

    /// The current values.
    struct State: Sendable {
        var isLeader = false
        var waiting = 0
        var paused = 0
        var running = 0
        var objects: [ControllerSettings.Part: Int] = [:]
        var isSynced = false
        var missingPods = 0
        var grownNodes = 0
    }

    private let counts = Mutex<[Counted: UInt64]>([:])
    private let state = Mutex(State())
    private let seconds = Histogram.times()
    // Relaxed: a count that orders nothing.
    private let troubles = Atomic<UInt64>(0)

    public init() {}

    func count(_ decision: Decision) {
        let key = Counted(
            part: decision.key.part.rawValue, action: decision.action, outcome: decision.outcome.rawValue)
        counts.withLock { $0[key, default: 0] += 1 }
    }

    func observe(turn nanoseconds: UInt64) { seconds.observe(nanoseconds) }

    func countTrouble() { troubles.wrappingAdd(1, ordering: .relaxed) }

    func set(_ change: (inout State) -> Void) { state.withLock { change(&$0) } }

    public func setLeader(_ isLeader: Bool) { set { $0.isLeader = isLeader } }

    /// All of them in the text format.
    public var text: String {
        let state = state.withLock { $0 }
        let counts = counts.withLock { $0 }
        var metrics = MetricsText()
        metrics.add(
            "tandem_controller_leader", .gauge, "1 where this process leads, 0 where it stands by.",
            state.isLeader ? 1 : 0)
        metrics.add(
            "tandem_controller_synced", .gauge, "1 once the cluster's objects are known.", state.isSynced ? 1 : 0)
        metrics.add(
            "tandem_controller_objects", .gauge, "Objects of the cluster that are known, by controller.",
            state.objects.sorted { $0.key.rawValue < $1.key.rawValue }.map { part, count in
                ([("controller", part.rawValue)], String(count))
            })
        metrics.add(
            "tandem_controller_queue", .gauge, "Objects in the queue, by the cause of their wait.",
            [("turn", state.waiting), ("pause", state.paused), ("end", state.running)].map { name, count in
                ([("waits", name)], String(count))
            })
        metrics.add(
            "tandem_controller_decisions_total", .counter,
            "Decisions, by controller, action and outcome (done, refused, failed, found).",
            counts.sorted { $0.key < $1.key }.map { counted, count in
                (
                    [
                        ("controller", counted.part), ("action", counted.action), ("outcome", counted.outcome),
                    ], String(count)
                )
            })
        metrics.add(
            "tandem_controller_missing_pods", .gauge,
            "Pods that Tandem has and the cluster does not show, within their grace period.", state.missingPods)
        metrics.add(
            "tandem_controller_grown_nodes", .gauge,
            "Nodes with a pod CIDR in Tandem of a family that the cluster does not show.", state.grownNodes)
        metrics.add(
            "tandem_controller_cluster_failures_total", .counter,
            "Lists and watches of the cluster that failed and were begun again.",
            troubles.load(ordering: .relaxed))
        metrics.add(
            "tandem_controller_turn_seconds", "How long one look at an object took.", unit: 1e9,
            [([], seconds.snapshot)])
        return metrics.text
    }
}

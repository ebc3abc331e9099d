import IPAM
import Logging
import Measures
import Synchronization

/// Holds objects, indexes and pools to one another all the while the server runs: in small steps on a thread of its own, at
/// most a fiftieth of a core's time. A fault is logged once, and counted until a later pass no longer finds it.
final class BackgroundAudit: Sendable {
    struct Progress: Sendable {
        var objects: UInt64 = 0
        var passes: UInt64 = 0
        var faults = 0
    }

    private let engine: Engine
    private let logger: Logger
    private let state = Mutex(Progress())

    init(_ engine: Engine, _ logger: Logger) {
        self.engine = engine
        self.logger = logger
    }

    var status: Progress { state.withLock { $0 } }

    /// Until the task is cancelled.
    func run() async {
        let clock = ContinuousClock()
        let audit = Audit(engine)
        while !Task.isCancelled {
            var step = Audit.Step()
            let time = clock.measure { step = audit.step() }
            note(step)
            let pause: Duration = step.endsPass ? .seconds(5) : .milliseconds(50)
            guard (try? await Task.sleep(for: max(pause, time * 50))) != nil else { return }
        }
    }

    private func note(_ step: Audit.Step) {
        for fault in step.newFaults {
            logger.error("the books do not agree", metadata: ["fault": "\(fault)"])
        }
        state.withLock { status in
            status.objects += UInt64(step.objects)
            status.passes += step.endsPass ? 1 : 0
            status.faults = step.faults
        }
    }
}

extension MetricsText {
    mutating func add(_ audit: BackgroundAudit.Progress) {
        add(
            "tandem_audit_faults", .gauge,
            "Contradictions between objects and pools that the background audit knows of.",
            [([], String(audit.faults))])
        add(
            "tandem_audit_objects_checked_total", .counter, "Objects that the background audit looked at.",
            [([], String(audit.objects))])
        add(
            "tandem_audit_passes_total", .counter, "Times that the background audit saw everything.",
            [([], String(audit.passes))])
    }
}

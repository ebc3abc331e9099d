import Logging
import Measures
import NIOCore
import Synchronization

/// The connections that are open: how many there may be, and all of them at the end. Thread-safe.
final class Connections: Sendable {
    let metrics = ConnectionMetrics()
    private let maximum: Int
    private let open = Mutex<[ObjectIdentifier: any Channel]>([:])
    /// Those that are being told that there are too many. Relaxed: a count that orders nothing.
    private let refused = Atomic<Int>(0)
    private let tally = RefusalTally()
    private let logger: Logger

    /// Fewer than the descriptors that are kept for them and others.
    private static let mostRefused = 32

    enum Admission {
        /// Counted until it closes.
        case admitted
        /// To be told that there are too many.
        case refused
        /// To be closed at once: too many are being told already.
        case dropped
    }

    /// Past `maximum` a new connection is not admitted.
    init(maximum: Int, _ logger: Logger) {
        self.maximum = maximum
        self.logger = logger
    }

    var count: Int { open.withLock { $0.count } }

    func admit(_ channel: any Channel) -> Admission {
        let id = ObjectIdentifier(channel)
        let isAdmitted = open.withLock { open in
            guard open.count < maximum else { return false }
            open[id] = channel
            return true
        }
        metrics.events.add(isAdmitted ? .accepted : .refused)
        guard isAdmitted else { return refuse(channel) }
        channel.closeFuture.whenComplete { _ in self.open.withLock { _ = $0.removeValue(forKey: id) } }
        return .admitted
    }

    private func refuse(_ channel: any Channel) -> Admission {
        if let count = tally.note(.now()) {
            logger.warning(
                "connections are refused: there are as many as --max-connections and the limit of open files let in",
                metadata: ["connections": "\(count)", "open": "\(maximum)"])
        }
        guard refused.wrappingAdd(1, ordering: .relaxed).oldValue < Self.mostRefused else {
            refused.wrappingSubtract(1, ordering: .relaxed)
            return .dropped
        }
        channel.closeFuture.whenComplete { _ in self.refused.wrappingSubtract(1, ordering: .relaxed) }
        return .refused
    }

    /// Closes each connection in an orderly way and waits for all.
    func closeAll() async {
        let channels = open.withLock { Array($0.values) }
        for channel in channels { channel.close(promise: nil) }
        for channel in channels { try? await channel.closeFuture.get() }
    }
}

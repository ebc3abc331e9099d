import Measures
import NIOCore
import Synchronization

/// The connections that are open: how many there may be, and all of them at the end. Thread-safe.
final class Connections: Sendable {
    let metrics = ConnectionMetrics()
    private let maximum: Int
    private let open = Mutex<[ObjectIdentifier: any Channel]>([:])

    /// Past `maximum` a new connection is not admitted.
    init(maximum: Int) {
        self.maximum = maximum
    }

    var count: Int { open.withLock { $0.count } }

    /// Whether there is room; the connection is counted until it closes.
    func admit(_ channel: any Channel) -> Bool {
        let id = ObjectIdentifier(channel)
        let isAdmitted = open.withLock { open in
            guard open.count < maximum else { return false }
            open[id] = channel
            return true
        }
        metrics.events.add(isAdmitted ? .accepted : .refused)
        if isAdmitted {
            channel.closeFuture.whenComplete { _ in self.open.withLock { _ = $0.removeValue(forKey: id) } }
        }
        return isAdmitted
    }

    /// Closes each connection in an orderly way and waits for all.
    func closeAll() async {
        let channels = open.withLock { Array($0.values) }
        for channel in channels { channel.close(promise: nil) }
        for channel in channels { try? await channel.closeFuture.get() }
    }
}

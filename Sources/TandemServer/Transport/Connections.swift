import Metrics
import NIOCore
import Synchronization

/// The connections that are open: how many there may be, and all of them at the end. Thread-safe.
final class Connections: Sendable {
    /// Past it a new connection is closed at once: there is no memory to spare for its handshake.
    static let maximum = 10_000

    let metrics = ConnectionMetrics()
    private let open = Mutex<[ObjectIdentifier: any Channel]>([:])

    var count: Int { open.withLock { $0.count } }

    /// Whether there is room; the connection is counted until it closes.
    func admit(_ channel: any Channel) -> Bool {
        let id = ObjectIdentifier(channel)
        let isAdmitted = open.withLock { open in
            guard open.count < Self.maximum else { return false }
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

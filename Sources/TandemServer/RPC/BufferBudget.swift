import Synchronization
import TandemAPI

/// Memory that clients have the server keep, all connections together: messages that are not whole, calls in flight, answers
/// that no client takes. Thread-safe.
///
/// A connection has `ownBytes` to itself; its bytes past them come out of here. So a client that sends and reads little at a time
/// never comes here, and is served while others have used everything up. The most that is held is the maximum, `ownBytes` for
/// each connection, and the bytes of one read or one answer before they could be counted.
final class BufferBudget: Sendable {
    /// As much as one read brings, and the most that a client without a certificate may send: strangers can't use up the shared buffer.
    static let ownBytes = 64 << 10

    let maximumBytes: Int
    // Relaxed: a count that orders nothing.
    private let held = Atomic<Int>(0)

    init(maximumBytes: Int) {
        self.maximumBytes = maximumBytes
    }

    /// The bytes of connections past those that each has to itself.
    var heldBytes: Int { held.load(ordering: .relaxed) }

    private var isSpent: Bool { heldBytes >= maximumBytes }

    /// A connection that held `old` bytes holds `new`. Returns the change of the shared bytes.
    func change(from old: Int, to new: Int) -> Int {
        let difference = max(0, new - Self.ownBytes) - max(0, old - Self.ownBytes)
        if difference != 0 { held.wrappingAdd(difference, ordering: .relaxed) }
        return difference
    }

    /// Why `bytes` can't be kept for one connection, whose identity has `identityBytes` of the shared buffer; nil where they can. An identity may have
    /// as much as it leaves for others: one alone has half.
    func refusal(of bytes: Int, beside identityBytes: Int) -> APIError? {
        guard bytes > Self.ownBytes, isSpent || identityBytes > 0 && identityBytes >= maximumBytes - heldBytes else {
            return nil
        }
        return APIError(
            .resourceExhausted, reason: "TooMuchBuffered",
            "the server keeps as much of messages and answers for this client, or for all, as it may (\(maximumBytes >> 20) MiB, half of them for one "
                + "client alone): "
                + "try again in a moment, or with less at a time: a retry finds whatever was committed",
            isRetryable: true)
    }
}

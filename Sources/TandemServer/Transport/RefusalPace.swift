import NIOCore
import Synchronization

/// How fast all connections together may have calls refused because of a limit. Thread-safe; O(1).
///
/// To refuse a call costs a fifth of serving one: its bytes are decrypted and decoded, and an answer goes back. A server that
/// refused as fast as clients can send would do little else.
///
/// Waiting clients share the rate evenly: a client with one call refused is read again long
/// before one that sends by the hundred.
final class RefusalPace: Sendable {
    /// Ten times the cost of a refusal for an event loop, so that refusing takes a tenth of its time.
    static let each = TimeAmount.microseconds(50)
    /// As long as one connection waits at most, so that all is well soon after the load has gone.
    static let longestPause = TimeAmount.seconds(1)

    private let each: TimeAmount
    // Relaxed: a count that orders nothing.
    private let waiting = Atomic<Int>(0)

    init(eventLoops: Int) {
        each = .nanoseconds(Self.each.nanoseconds / Int64(max(1, eventLoops)))
    }

    /// How long a connection that had so many calls refused just now is to wait, from now until its `endPause`.
    func beginPause(for refusals: Int) -> TimeAmount {
        let sharers = waiting.wrappingAdd(1, ordering: .relaxed).newValue
        return min(each * (refusals * sharers), Self.longestPause)
    }

    func endPause() {
        waiting.wrappingSubtract(1, ordering: .relaxed)
    }
}

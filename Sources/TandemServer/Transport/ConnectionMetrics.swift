import Measures
import OpenSSLTLS

/// Connections and their handshakes since the start. Thread-safe.
struct ConnectionMetrics: Sendable {
    enum Event: String, CaseIterable, Sendable {
        case accepted
        /// Told so and closed: there were too many.
        case refused
    }

    enum Handshake: String, CaseIterable, Sendable { case full, resumed }

    /// Why a handshake came to nothing.
    enum HandshakeFailure: String, CaseIterable, Sendable {
        case noAgreement = "no_agreement"
        case certificate
        case refusedByPeer = "refused_by_peer"
        case timeout
        case closed
        /// HTTP without TLS.
        case plainText = "plain_text"
        case other

        init(_ error: any Error) {
            self =
                switch (error as? TLSError)?.code {
                case .handshakeFailed: .noAgreement
                case .certificateRejected: .certificate
                case .refusedByPeer: .refusedByPeer
                case .handshakeTimedOut: .timeout
                case .closedInHandshake: .closed
                case nil where error is PlainTextAnswer.Fault: .plainText
                default: .other
                }
        }
    }

    let events = CountsBy<Event>()
    let handshakes = CountsBy<Handshake>()
    let failures = CountsBy<HandshakeFailure>()
    /// One count: how often accepting stopped for a moment.
    let acceptPauses = Counters(1)
    /// One count: connections of strangers that were closed to make room.
    let evictions = Counters(1)
}

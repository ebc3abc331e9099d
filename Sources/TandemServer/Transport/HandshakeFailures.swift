import Logging
import Measures
import NIOCore
import OpenSSLTLS

/// Counts connections that came to nothing before a call, and writes a line for those that one side refused: one a second for
/// each cause and peer, at any level but debug. Thread-safe.
struct HandshakeFailures: Sendable {
    private let metrics: ConnectionMetrics
    private let logger: Logger
    private let lines: LineLimits

    init(_ metrics: ConnectionMetrics, _ lines: LineLimits, _ logger: Logger) {
        self.metrics = metrics
        self.lines = lines
        self.logger = logger
    }

    func note(_ error: any Error, from peer: SocketAddress?) {
        let cause = ConnectionMetrics.HandshakeFailure(error)
        metrics.failures.add(cause)
        guard logger.logLevel <= (cause.isRefusal ? .info : .debug) else { return }
        var metadata: Logger.Metadata = [:]
        if logger.logLevel > .debug {
            guard let line = lines.note(cause.rawValue, .init(peer)) else { return }
            metadata = line.metadata("connections")
        }
        metadata["error"] = "\(error)"
        metadata["peer"] = "\(RPCSession.text(peer))"
        guard cause.isRefusal else {
            return logger.debug("a connection failed in its handshake", metadata: metadata)
        }
        metadata["cause"] = "\(cause.rawValue)"
        logger.info("a handshake was refused", metadata: metadata)
    }
}

extension ConnectionMetrics.HandshakeFailure {
    /// An operator has to act on it. Probes of a port say nothing, and end.
    fileprivate var isRefusal: Bool {
        switch self {
        case .noAgreement, .certificate, .refusedByPeer, .plainText: true
        case .timeout, .closed, .other: false
        }
    }
}

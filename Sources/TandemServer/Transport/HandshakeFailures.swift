import Logging
import Measures
import NIOCore
import OpenSSLTLS

/// Counts connections that came to nothing before a call, and writes a line for those that one side refused: one a second for
/// each cause, at any level but debug. Thread-safe.
struct HandshakeFailures: Sendable {
    private let metrics: ConnectionMetrics
    private let logger: Logger
    private let tallies = ConnectionMetrics.Failure.allCases.map { _ in RefusalTally() }

    init(_ metrics: ConnectionMetrics, _ logger: Logger) {
        self.metrics = metrics
        self.logger = logger
    }

    func note(_ error: any Error, from peer: SocketAddress?) {
        let cause = ConnectionMetrics.Failure(error)
        metrics.failures.add(cause)
        var metadata: Logger.Metadata = ["error": "\(error)", "peer": "\(RPCSession.text(peer))"]
        guard cause.isRefusal else {
            return logger.debug("a connection failed in its handshake", metadata: metadata)
        }
        if logger.logLevel > .debug {
            let index = ConnectionMetrics.Failure.allCases.firstIndex(of: cause) ?? 0
            guard let count = tallies[index].note(.now()) else { return }
            metadata["connections"] = "\(count)"
        }
        metadata["cause"] = "\(cause.rawValue)"
        logger.info("a handshake was refused", metadata: metadata)
    }
}

extension ConnectionMetrics.Failure {
    /// Somebody has to do something about it. Probes of a port say nothing, and end.
    fileprivate var isRefusal: Bool {
        switch self {
        case .noAgreement, .certificate, .refusedByPeer, .plainText: true
        case .timeout, .closed, .other: false
        }
    }
}

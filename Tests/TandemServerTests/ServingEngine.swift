import IPAM
import Logging

@testable import TandemServer

extension RPCService {
    /// Serves the calls of an engine, and writes nothing down.
    convenience init(serving engine: Engine, _ metrics: CallMetrics = CallMetrics()) {
        let health = Health { nil }
        health.enter(.serving)
        self.init(
            engine: engine, metrics: metrics, health: health,
            records: CallRecords(logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, audit: nil))
    }
}

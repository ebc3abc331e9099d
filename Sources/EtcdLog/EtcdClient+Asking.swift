import Dispatch
import EtcdClient
import Ledger
import NIOCore
import Synchronization

/// Asking and waiting for the answer: for a start, a restore, and the end. All block.
extension EtcdClient {
    func ask<Request: EtcdRequest>(
        _ request: Request, within time: TimeAmount
    ) throws(EtcdError) -> Request.Response {
        try Waiting.result { self.call(request, deadline: .now() + time, then: $0) }.get()
    }

    /// Asks until there is an answer or ten seconds are over; for requests that may be sent twice.
    func askPersistently<Request: EtcdRequest>(_ request: Request) throws(LedgerError) -> Request.Response {
        let deadline = NIODeadline.now() + .seconds(10)
        while true {
            do throws(EtcdError) {
                return try ask(request, within: .seconds(5))
            } catch {
                guard error.isTransient, .now() < deadline else { throw LedgerError(error) }
            }
        }
    }
}

enum Waiting {
    /// The result of `begin`, once.
    static func result<Value: Sendable>(
        _ begin: (@escaping @Sendable (Result<Value, EtcdError>) -> Void) -> Void
    ) -> Result<Value, EtcdError> {
        let box = OutcomeBox<Value>()
        begin { result in
            box.outcome.withLock { $0 = result }
            box.done.signal()
        }
        box.done.wait()
        guard let outcome = box.outcome.withLock({ $0 }) else { preconditionFailure("signalled without an outcome") }
        return outcome
    }
}

private final class OutcomeBox<Value: Sendable>: Sendable {
    let outcome = Mutex<Result<Value, EtcdError>?>(nil)
    let done = DispatchSemaphore(value: 0)
}

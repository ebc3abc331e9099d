import OpenSSLTLS
import TandemAPI

/// The last failure of each server for an unanswered call, in the order of the first attempts.
struct Failures {
    private var last: [(who: String, error: any Error)] = []

    /// After this one the call may have been done, whatever is said later.
    private var unknown: ClientError?

    mutating func note(_ who: String, _ error: any Error) {
        if let error = error as? ClientError, error.code != .notReached { unknown = error }
        if let index = last.firstIndex(where: { $0.who == who }) {
            last[index].error = error
        } else {
            last.append((who, error))
        }
    }

    mutating func note(_ others: Failures) {
        for (who, error) in others.last { note(who, error) }
    }

    /// TLS was refused by one side, everywhere: certificates must change first.
    var areAllRefusals: Bool {
        last.allSatisfy { _, error in
            ((error as? ClientError)?.cause as? TLSError)?.isRefusal ?? false
        }
    }

    /// Of one server its own error; of several an `APIError` where one of them answered, else a `ClientError` that says
    /// whether the call may have been done.
    var error: any Error {
        guard last.count > 1 else { return last.first?.error ?? ClientError.timedOut }
        let text = "no server answered: " + last.map { "\($0.who): \(Self.text($0.error))" }.joined(separator: "; ")
        if let answer = last.last(where: { $0.error is APIError })?.error as? APIError {
            return APIError(answer.status, reason: answer.reason, text, isRetryable: true)
        }
        let decisive = unknown ?? last.last?.error as? ClientError
        return ClientError(code: decisive?.code ?? .notReached, message: text, cause: decisive?.cause)
    }

    private static func text(_ error: any Error) -> String {
        (error as? APIError)?.message ?? (error as? ClientError)?.reason ?? "\(error)"
    }
}

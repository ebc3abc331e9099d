import ClientOptions
import OpenSSLTLS
import TandemAPI
import TandemClient

extension Failure {
    /// nil for errors of the argument parser, which have texts of their own.
    init?(_ error: any Error) {
        switch error {
        case let failure as Failure: self = failure
        case let error as APIError: self.init(status: Self.refused, Self.text(error))
        case let error as ClientError: self.init(status: Self.notReached, "error: \(error.message.visible)")
        case let error as UsageError: self.init(status: Self.wrongUsage, "error: \(error.description.visible)")
        case let error as TLSError: self.init(status: Self.wrongUsage, "error: \(error.message.visible)")
        default: return nil
        }
    }

    /// A server speaks to programs, which give it members: `"outOfRange": true` is `--out-of-range` here, and
    /// `params.service.spec` the `spec` of a manifest.
    private static func inFlags(_ message: String) -> String {
        message.replacing(/"([a-zA-Z]+)": true/) { match in
            "--" + match.output.1.map { $0.isUppercase ? "-\($0.lowercased())" : String($0) }.joined()
        }
        .replacing(/\bparams\.(?:(?:service|node|pod)\.)?/, with: "")
    }

    /// As `kubectl` says it; of several causes each on a line of its own.
    private static func text(_ error: APIError) -> String {
        let reason = error.reason.isEmpty ? error.status.name : error.reason.visible
        let message = inFlags(error.message).visible
        guard error.causes.count > 1 else { return "Error from server (\(reason)): \(message)" }
        let lines = error.causes.map { "* \($0.field.visible): \($0.message.visible)" }
        let head = String(message.prefix { $0 != ":" })
        return "Error from server (\(reason)): \(head):\n" + lines.joined(separator: "\n")
    }
}

import ClientOptions
import ClusterController
import KubeAPI
import OpenSSLTLS
import TandemAPI
import TandemClient

extension Failure {
    /// nil for errors of the argument parser, which have texts of their own.
    init?(_ error: any Error) {
        switch error {
        case let failure as Failure: self = failure
        case let error as UsageError: self.init(status: Self.wrongUsage, error.description)
        case let error as TLSError: self.init(status: Self.wrongUsage, error.message)
        case let error as APIError: self.init(status: Self.refused, "Tandem refuses it: \(error.message)")
        case let error as ClientError: self.init(status: Self.notReached, error.message)
        case let error as DryRunFault: self.init(status: Self.notReached, error.description)
        case let error as KubeError:
            let isAway = [.notReached, .connectionLost, .timedOut, .unavailable].contains(error.code)
            self.init(status: isAway ? Self.notReached : Self.refused, "Kubernetes: \(error)")
        default: return nil
        }
    }
}

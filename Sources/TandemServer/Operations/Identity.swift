import LineLogs
import Measures
import OpenSSLTLS

/// The caller, by Kubernetes' x509 convention: the certificate's CN is the user, its Os are the groups.
struct Identity: Sendable, Equatable {
    var user: String
    var groups: [String]
    /// The last second of the certificate, since 1970.
    var end: Int64

    init(user: String, groups: [String], end: Int64 = .max) {
        self.user = user
        self.groups = groups
        self.end = end
    }

    /// A connection may outlive the certificate that it began with.
    var hasEnded: Bool { end < Timestamp.seconds }

    /// nil for a certificate without an identity by kube-apiserver's rules: whatever its groups are, its holder is a stranger.
    init?(_ certificate: PeerCertificate) {
        guard let name = certificate.commonName else { return nil }
        user = name
        groups = certificate.organizations
        end = certificate.validity.upperBound
    }

    /// Where no certificates are asked for every client is an administrator.
    static let administrator = Identity(user: "local", groups: ["tandem:admin"])
}

import OpenSSLTLS

/// Who calls, by Kubernetes' x509 convention: the certificate's CN is the user, its Os are the groups.
struct Identity: Sendable, Equatable {
    var user: String
    var groups: [String]

    init(user: String, groups: [String]) {
        self.user = user
        self.groups = groups
    }

    init(_ certificate: PeerCertificate) {
        user = certificate.commonName ?? ""
        groups = certificate.organizations
    }

    /// Where no certificates are asked for everyone is an administrator.
    static let administrator = Identity(user: "local", groups: ["tandem:admin"])
}

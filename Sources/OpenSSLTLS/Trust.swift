import COpenSSL

/// Whom a context's peers may be, as Go's x509 and so the programs of Kubernetes have it, where OpenSSL is narrower: a listed
/// authority is an anchor though another one signed it, and the extended key usage *any* is every usage.
final class Trust: Sendable {
    let peers: PeerKind
    /// The file of their authorities.
    let file: String

    init(_ peers: PeerKind, file: String) {
        self.peers = peers
        self.file = file
    }

    /// For every verification with the context, in a handshake or of a session that is taken up again. The context must not
    /// outlive this object.
    func set(on context: OpaquePointer) {
        let store = SSL_CTX_get_cert_store(context)
        X509_STORE_set_flags(store, UInt(X509_V_FLAG_PARTIAL_CHAIN))
        switch peers {
        case .clients: X509_STORE_set_verify_cb(store) { $0 == 1 ? 1 : Trust.pardons($1, UInt32(XKU_SSL_CLIENT)) }
        case .servers: X509_STORE_set_verify_cb(store) { $0 == 1 ? 1 : Trust.pardons($1, UInt32(XKU_SSL_SERVER)) }
        }
        SSL_CTX_set_cert_verify_callback(
            context,
            { verification, argument in
                let result = X509_verify_cert(verification)
                if result != 1, let verification, let argument {
                    // Proof: the context that owns this object owns the SSL_CTX that calls here.
                    let trust = Unmanaged<Trust>.fromOpaque(argument).takeUnretainedValue()
                    PeerVerdict.of(verification)?.fault =
                        CertificateFault(
                            verification, trust.peers, authorities: trust.file
                        ).text
                }
                return result
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    /// Whether OpenSSL's finding is no fault here; 1 or 0.
    private static func pardons(_ verification: OpaquePointer?, _ usage: UInt32) -> Int32 {
        // Where there is no such extension all of its bits are set.
        guard X509_STORE_CTX_get_error(verification) == X509_V_ERR_INVALID_PURPOSE,
            X509_get_extended_key_usage(X509_STORE_CTX_get_current_cert(verification)) & (UInt32(XKU_ANYEKU) | usage)
                != 0
        else { return 0 }
        X509_STORE_CTX_set_error(verification, X509_V_OK)
        return 1
    }
}

/// The fault found in the certificate of one connection's peer. It belongs to its connection.
final class PeerVerdict {
    var fault: String?

    /// The connection must not outlive this object.
    func attach(to ssl: OpaquePointer) {
        SSL_set_ex_data(ssl, Self.place, Unmanaged.passUnretained(self).toOpaque())
    }

    /// That of the connection whose peer is verified.
    static func of(_ verification: OpaquePointer) -> PeerVerdict? {
        let ssl = X509_STORE_CTX_get_ex_data(verification, SSL_get_ex_data_X509_STORE_CTX_idx())
        // Proof: its owner keeps it for as long as the connection.
        return SSL_get_ex_data(ssl.map { OpaquePointer($0) }, place)
            .map { Unmanaged<PeerVerdict>.fromOpaque($0).takeUnretainedValue() }
    }

    /// The one that OpenSSL leaves to programs.
    private static let place: Int32 = 0
}

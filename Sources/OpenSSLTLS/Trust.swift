import COpenSSL

/// Whom a context's peers may be, as Go's x509 and so the programs of Kubernetes have it, where OpenSSL is narrower: a listed
/// authority is an anchor though another one signed it, the extended key usage *any* is every usage, and a list of revocations
/// is its authority's alone.
enum Trust {
    /// What is asked of peers' certificates.
    enum Peers { case clients, servers }

    /// For every verification with the store, in a handshake or of a session that is taken up again.
    static func set(_ peers: Peers, on store: OpaquePointer?) {
        X509_STORE_set_flags(store, UInt(X509_V_FLAG_PARTIAL_CHAIN))
        switch peers {
        case .clients: X509_STORE_set_verify_cb(store) { $0 == 1 ? 1 : Trust.pardons($1, UInt32(XKU_SSL_CLIENT)) }
        case .servers: X509_STORE_set_verify_cb(store) { $0 == 1 ? 1 : Trust.pardons($1, UInt32(XKU_SSL_SERVER)) }
        }
    }

    /// The subjects of the authorities of which the store has no list of revocations.
    static func authoritiesWithoutRevocations(_ store: OpaquePointer?) -> [String] {
        let objects = X509_STORE_get0_objects(store)
        let all = (0..<tandem_sk_X509_OBJECT_num(objects)).map { tandem_sk_X509_OBJECT_value(objects, $0) }
        let lists = all.compactMap { X509_OBJECT_get0_X509_CRL($0) }
        return all.compactMap { X509_OBJECT_get0_X509($0) }
            .filter { authority in X509_check_ca(authority) > 0 && !lists.contains { isSigned($0, by: authority) } }
            .map { PeerCertificate($0).commonName ?? "an authority without a common name" }
    }

    /// Whether what OpenSSL has found is no fault here; 1 or 0.
    private static func pardons(_ verification: OpaquePointer?, _ usage: UInt32) -> Int32 {
        let isFine =
            switch X509_STORE_CTX_get_error(verification) {
            // Where there is no such extension all of its bits are set.
            case X509_V_ERR_INVALID_PURPOSE:
                X509_get_extended_key_usage(X509_STORE_CTX_get_current_cert(verification))
                    & (UInt32(XKU_ANYEKU) | usage) != 0
            // Of two authorities of one name OpenSSL may have looked at the other one's.
            case X509_V_ERR_UNABLE_TO_GET_CRL, X509_V_ERR_CRL_SIGNATURE_FAILURE: !hasRevocations(verification)
            default: false
            }
        if isFine { X509_STORE_CTX_set_error(verification, X509_V_OK) }
        return isFine ? 1 : 0
    }

    /// Whether there is a list of the authority that signed the certificate which is looked at, be it good for it or not.
    private static func hasRevocations(_ verification: OpaquePointer?) -> Bool {
        guard let certificate = X509_STORE_CTX_get_current_cert(verification) else { return true }
        let chain = X509_STORE_CTX_get0_chain(verification)
        let place = X509_STORE_CTX_get_error_depth(verification) + 1
        let issuer = place < tandem_sk_X509_num(chain) ? tandem_sk_X509_value(chain, place) : certificate
        let lists = X509_STORE_CTX_get1_crls(verification, X509_get_issuer_name(certificate))
        defer { tandem_sk_X509_CRL_free_all(lists) }
        return (0..<tandem_sk_X509_CRL_num(lists)).contains {
            isSigned(tandem_sk_X509_CRL_value(lists, $0), by: issuer)
        }
    }

    /// Of two authorities of one name, as before and after a change of keys, it is one's alone.
    private static func isSigned(_ list: OpaquePointer?, by authority: OpaquePointer?) -> Bool {
        defer { OpenSSLErrorQueue.clear() }
        guard X509_NAME_cmp(X509_CRL_get_issuer(list), X509_get_subject_name(authority)) == 0 else { return false }
        return X509_CRL_verify(list, X509_get0_pubkey(authority)) == 1
    }
}

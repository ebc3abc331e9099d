import COpenSSL

/// Lists of revocations, as etcd and other programs of Go take them: a certificate on the list of the authority that signed it is refused,
/// be it the client's or that of an authority on its chain, and no other. A list speaks for its own authority alone, and goes on to do so when
/// it has run out; an authority without one revokes no certificate.
enum Revocations {
    /// For every verification with the store, instead of OpenSSL's own look at lists.
    static func set(on store: OpaquePointer?) {
        X509_STORE_set_check_revocation(store) { Revocations.allow($0) }
    }

    /// 1, or 0 with the fault noted.
    private static func allow(_ verification: OpaquePointer?) -> Int32 {
        ERR_set_mark()
        defer { ERR_pop_to_mark() }
        let chain = X509_STORE_CTX_get0_chain(verification)
        let count = tandem_sk_X509_num(chain)
        for place in 0..<count {
            let certificate = tandem_sk_X509_value(chain, place)
            let issuer = place + 1 < count ? tandem_sk_X509_value(chain, place + 1) : nil
            guard revocation(of: certificate, by: issuer, verification) != nil else { continue }
            X509_STORE_CTX_set_error_depth(verification, place)
            X509_STORE_CTX_set_current_cert(verification, certificate)
            X509_STORE_CTX_set_error(verification, X509_V_ERR_CERT_REVOKED)
            return 0
        }
        return 1
    }

    /// Since when the certificate is on a list of the authority that signed it, in seconds since 1970. An anchor's issuer is in no
    /// chain: it may be one of the listed authorities all the same.
    static func revocation(
        of certificate: OpaquePointer?, by issuer: OpaquePointer?, _ verification: OpaquePointer?
    ) -> Int64? {
        let lists = X509_STORE_CTX_get1_crls(verification, X509_get_issuer_name(certificate))
        defer { tandem_sk_X509_CRL_free_all(lists) }
        for index in 0..<max(0, tandem_sk_X509_CRL_num(lists)) {
            let list = tandem_sk_X509_CRL_value(lists, index)
            var entry: OpaquePointer?
            guard X509_CRL_get0_by_cert(list, &entry, certificate) == onList,
                issuer.map({ isSigned(list, by: $0) }) ?? isSigned(list, bySignerOf: certificate, verification)
            else { continue }
            return PeerCertificate.seconds(X509_REVOKED_get0_revocationDate(entry)) ?? .min
        }
        return nil
    }

    /// 2 is that it was put on a list and taken off again.
    private static let onList: Int32 = 1

    private static func isSigned(
        _ list: OpaquePointer?, bySignerOf certificate: OpaquePointer?, _ verification: OpaquePointer?
    ) -> Bool {
        let authorities = X509_STORE_CTX_get1_certs(verification, X509_get_issuer_name(certificate))
        defer { tandem_sk_X509_free_all(authorities) }
        return (0..<max(0, tandem_sk_X509_num(authorities))).contains { index in
            let authority = tandem_sk_X509_value(authorities, index)
            return X509_verify(certificate, X509_get0_pubkey(authority)) == 1 && isSigned(list, by: authority)
        }
    }

    /// Of two authorities of one name, as before and after a change of keys, it is one's alone.
    private static func isSigned(_ list: OpaquePointer?, by authority: OpaquePointer?) -> Bool {
        X509_NAME_cmp(X509_CRL_get_issuer(list), X509_get_subject_name(authority)) == 0
            && X509_CRL_verify(list, X509_get0_pubkey(authority)) == 1
    }

    /// The names of the store's authorities of which it has no list.
    static func authoritiesWithoutLists(_ store: OpaquePointer?) -> [String] {
        ERR_set_mark()
        defer { ERR_pop_to_mark() }
        let lists = StoredTrust.lists(store)
        return StoredTrust.certificates(store)
            .filter { authority in X509_check_ca(authority) > 0 && !lists.contains { isSigned($0, by: authority) } }
            .map { SubjectName.text(X509_get_subject_name($0)) }
    }
}

/// The content of a store that is no longer changed.
enum StoredTrust {
    static func certificates(_ store: OpaquePointer?) -> [OpaquePointer] {
        objects(store).compactMap { X509_OBJECT_get0_X509($0) }
    }

    static func lists(_ store: OpaquePointer?) -> [OpaquePointer] {
        objects(store).compactMap { X509_OBJECT_get0_X509_CRL($0) }
    }

    private static func objects(_ store: OpaquePointer?) -> [OpaquePointer?] {
        let objects = X509_STORE_get0_objects(store)
        return (0..<tandem_sk_X509_OBJECT_num(objects)).map { tandem_sk_X509_OBJECT_value(objects, $0) }
    }
}

import COpenSSL

/// Which cipher suites a context speaks: of TLS 1.2 those alone that encrypt and authenticate in one (AEAD) and whose keys die
/// with the connection, of TLS 1.3 all of OpenSSL's, which are of that kind.
enum CipherSuites {
    static func setDefault(on context: OpaquePointer) throws(TLSError) {
        guard SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1 else {
            throw OpenSSLErrorQueue.internalError("SSL_CTX_set_cipher_list")
        }
    }

    /// `--tls-cipher-suites`: from the names of IANA's registry to OpenSSL's, among the default ones. Leaves a version of TLS
    /// alone of which no suite is named.
    static func set(_ names: [String], on context: OpaquePointer) throws(TLSError) {
        guard !names.isEmpty else { return }
        let known = available(context)
        var chosen: (old: [String], new: [String]) = ([], [])
        for given in names {
            let name = legacyNames[given] ?? given
            guard let suite = known.first(where: { $0.standardName == name }) else {
                let choices = known.map(\.standardName).joined(separator: ", ")
                throw TLSError(
                    .unknownCipherSuite,
                    "\"\(given)\" is no cipher suite that is spoken here; choose of \(choices)")
            }
            if suite.isOfTLS13 { chosen.new.append(suite.name) } else { chosen.old.append(suite.name) }
        }
        if !chosen.new.isEmpty, SSL_CTX_set_ciphersuites(context, chosen.new.joined(separator: ":")) != 1 {
            throw OpenSSLErrorQueue.internalError("SSL_CTX_set_ciphersuites")
        }
        if !chosen.old.isEmpty, SSL_CTX_set_cipher_list(context, chosen.old.joined(separator: ":")) != 1 {
            throw OpenSSLErrorQueue.internalError("SSL_CTX_set_cipher_list")
        }
    }

    /// As Go, and so Kubernetes' programs, called two suites at first.
    private static let legacyNames = [
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305": "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305": "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    ]

    private struct Suite {
        var standardName: String
        var name: String
        var isOfTLS13: Bool
    }

    private static func available(_ context: OpaquePointer) -> [Suite] {
        let ciphers = SSL_CTX_get_ciphers(context)
        return (0..<tandem_sk_SSL_CIPHER_num(ciphers)).compactMap { index in
            let cipher = tandem_sk_SSL_CIPHER_value(ciphers, index)
            guard let standardName = SSL_CIPHER_standard_name(cipher), let name = SSL_CIPHER_get_name(cipher) else {
                return nil
            }
            return Suite(
                standardName: String(cString: standardName), name: String(cString: name),
                isOfTLS13: SSL_CIPHER_get_version(cipher).map { String(cString: $0) } == "TLSv1.3")
        }
    }
}

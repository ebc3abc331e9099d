import COpenSSL

/// A ticket stands in for the certificate that it carries, which OpenSSL does not look at again when it is taken up.
enum SessionTicket {
    /// The server's word on a ticket: one whose certificate would not be taken any more is passed over, and the handshake
    /// goes its whole way, certificate and all. Intermediate certificates are in no ticket: a client whose certificate needs one has
    /// the whole handshake each time.
    static let takeUp: SSL_CTX_decrypt_session_ticket_fn = { ssl, session, _, _, status, _ in
        guard status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW else {
            return SSL_TICKET_RETURN_IGNORE_RENEW
        }
        guard let ssl else { return SSL_TICKET_RETURN_ABORT }
        // The certificate stays the session's.
        if let certificate = SSL_SESSION_get0_peer(session), !verifies(certificate, on: ssl) {
            return SSL_TICKET_RETURN_IGNORE_RENEW
        }
        return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW
    }

    /// As a handshake on this connection would say: by its authorities, their revocation lists and the time.
    private static func verifies(_ certificate: OpaquePointer, on ssl: OpaquePointer) -> Bool {
        guard let verification = X509_STORE_CTX_new() else { return false }
        defer { X509_STORE_CTX_free(verification) }
        // A fault found here is no error of the handshake that it is part of.
        ERR_set_mark()
        defer { ERR_pop_to_mark() }
        guard
            X509_STORE_CTX_init(verification, SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl)), certificate, nil) == 1,
            X509_STORE_CTX_set_default(verification, "ssl_client") == 1,
            X509_VERIFY_PARAM_set1(X509_STORE_CTX_get0_param(verification), SSL_get0_param(ssl)) == 1
        else { return false }
        return X509_verify_cert(verification) == 1
    }
}

import COpenSSL
import Glibc

/// Loads PEM files into an `SSL_CTX`, turning each way to fail into an error that names the file.
struct ContextFiles {
    let context: OpaquePointer

    func load(_ identity: TLSIdentity) throws(TLSError) {
        let certificate = identity.certificateChainFile
        try checkReadable(certificate)
        OpenSSLErrorQueue.clear()
        guard SSL_CTX_use_certificate_chain_file(context, certificate) == 1 else {
            // For a security level that is too low OpenSSL names the part that is too small or too weak.
            let weakness = OpenSSLErrorQueue.take().first {
                $0.library == ERR_LIB_SSL && Self.weaknesses.contains($0.reason)
            }
            guard let weakness else { throw malformed(certificate, .certificate) }
            throw TLSError(
                .weakCertificate,
                "the certificate in \(certificate) is too weak (\(weakness.text)); give one with a key of RSA of 2048 bits, or "
                    + "EC, that is signed with SHA-256")
        }
        try loadKey(identity)
        guard SSL_CTX_check_private_key(context) == 1 else {
            throw mismatch(identity)
        }
    }

    private static let weaknesses = [SSL_R_EE_KEY_TOO_SMALL, SSL_R_CA_KEY_TOO_SMALL, SSL_R_CA_MD_TOO_WEAK]

    private func loadKey(_ identity: TLSIdentity) throws(TLSError) {
        let file = identity.privateKeyFile
        try checkReadable(file)
        // Without a callback OpenSSL would ask on the terminal for a pass phrase.
        SSL_CTX_set_default_passwd_cb(context) { _, _, _, _ in -1 }
        OpenSSLErrorQueue.clear()
        guard SSL_CTX_use_PrivateKey_file(context, file, SSL_FILETYPE_PEM) != 1 else { return }
        let errors = OpenSSLErrorQueue.take()
        if errors.contains(where: { $0.reason == X509_R_KEY_VALUES_MISMATCH && $0.library == ERR_LIB_X509 }) {
            throw mismatch(identity)
        }
        if errors.contains(where: { $0.reason == PEM_R_BAD_PASSWORD_READ || $0.reason == PEM_R_BAD_DECRYPT }) {
            throw TLSError(
                .keyEncrypted,
                "the key in \(file) has a pass phrase; write one without by: openssl pkey -in \(file) -out FILE")
        }
        throw malformed(file, .key)
    }

    private func mismatch(_ identity: TLSIdentity) -> TLSError {
        OpenSSLErrorQueue.clear()
        return TLSError(
            .keyMismatch,
            "the key in \(identity.privateKeyFile) does not belong to the certificate in \(identity.certificateChainFile); give the "
                + "two that were made together")
    }

    /// Certificates that the peer's must lead to.
    func loadAuthorities(_ trust: Trust) throws(TLSError) {
        trust.set(on: context)
        try checkReadable(trust.file)
        OpenSSLErrorQueue.clear()
        guard SSL_CTX_load_verify_locations(context, trust.file, nil) == 1 else {
            throw malformed(trust.file, .certificate)
        }
    }

    /// Tells clients whose certificates are welcome, so that they can choose among theirs.
    func announceAuthorities(_ file: String) throws(TLSError) {
        guard let names = SSL_load_client_CA_file(file), tandem_sk_X509_NAME_num(names) > 0 else {
            throw malformed(file, .certificate)
        }
        // Takes the list over.
        SSL_CTX_set_client_CA_list(context, names)
    }

    /// From here on a peer's certificate must not be on its authority's list. The names of the authorities that have none.
    func loadRevocations(_ file: String) throws(TLSError) -> [String] {
        try checkReadable(file)
        OpenSSLErrorQueue.clear()
        let store = SSL_CTX_get_cert_store(context)
        guard let lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file()),
            X509_load_crl_file(lookup, file, X509_FILETYPE_PEM) > 0
        else { throw malformed(file, .revocations) }
        Revocations.set(on: store)
        return Revocations.authoritiesWithoutLists(store)
    }

    private func checkReadable(_ file: String) throws(TLSError) {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw unreadable(file, errno) }
        defer { close(descriptor) }
        var status = stat()
        if fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFDIR { throw unreadable(file, EISDIR) }
    }

    private func unreadable(_ file: String, _ code: Int32) -> TLSError {
        TLSError(.fileUnreadable, "can't read \(file): \(String(cString: strerror(code)))")
    }

    private func malformed(_ file: String, _ wanted: PEMFile.Kind) -> TLSError {
        OpenSSLErrorQueue.clear()
        return TLSError(
            .malformedFile,
            "\(file) holds no \(wanted.rawValue) in PEM that OpenSSL can read: \(PEMFile.content(of: file, wanted))")
    }
}

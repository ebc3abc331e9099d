import COpenSSL
import Glibc

/// Why a peer's certificate does not verify, in words that name the certificate, the authority and the date that are at fault.
struct CertificateFault {
    let text: String

    init(_ verification: OpaquePointer, _ peers: PeerKind, authorities file: String) {
        let peer = peers == .clients ? "client" : "server"
        let name = SubjectName.quoted(X509_get_subject_name(X509_STORE_CTX_get0_cert(verification)))
        text = "the \(peer)'s certificate of \(name) does not verify: \(Self.reason(verification, peers, file))"
    }

    private static func reason(_ verification: OpaquePointer, _ peers: PeerKind, _ file: String) -> String {
        let code = X509_STORE_CTX_get_error(verification)
        let depth = X509_STORE_CTX_get_error_depth(verification)
        let certificate =
            X509_STORE_CTX_get_current_cert(verification) ?? X509_STORE_CTX_get0_cert(verification)
        let authority = "the authority above it, \(SubjectName.quoted(X509_get_subject_name(certificate)))"
        let (it, its) = depth == 0 ? ("it", "its") : ("\(authority),", "\(authority), whose")
        let issuer = SubjectName.quoted(X509_get_issuer_name(certificate))
        switch code {
        case X509_V_ERR_CERT_HAS_EXPIRED:
            return "\(it) expired on \(DateText.of(X509_get0_notAfter(certificate)))"
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return "\(it) is not valid before \(DateText.of(X509_get0_notBefore(certificate)))"
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
            return "it is signed by itself, and \(file) does not have it"
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT,
            X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
            return "the authority above it, \(issuer), is not in \(file)"
        case X509_V_ERR_CERT_SIGNATURE_FAILURE:
            return "\(it) is not signed by the key of the \(issuer) that is in \(file)"
        case X509_V_ERR_CERT_REVOKED:
            let chain = X509_STORE_CTX_get0_chain(verification)
            let above = depth + 1 < tandem_sk_X509_num(chain) ? tandem_sk_X509_value(chain, depth + 1) : nil
            let since = Revocations.revocation(of: certificate, by: above, verification)
            return "\(issuer) revoked \(it)" + (since.map { " on \(DateText.of($0))" } ?? "")
        case X509_V_ERR_EE_KEY_TOO_SMALL, X509_V_ERR_CA_KEY_TOO_SMALL:
            let bits = EVP_PKEY_get_bits(X509_get0_pubkey(certificate))
            return "\(its) key of \(bits) bits is too small: RSA needs 2048"
        case X509_V_ERR_CA_MD_TOO_WEAK:
            let algorithm = OBJ_nid2sn(X509_get_signature_nid(certificate)).map { String(cString: $0) } ?? "unknown"
            return "\(its) signature, \(algorithm), is too weak: sign it with SHA-256"
        case X509_V_ERR_INVALID_PURPOSE:
            let made = peers == .clients ? "clients (clientAuth)" : "servers (serverAuth)"
            return "\(its) extended key usage is \(usages(certificate)), not for \(made)"
        case X509_V_ERR_INVALID_CA:
            return "\(it) is no authority (basicConstraints, keyCertSign)"
        case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH:
            return "it is for \(names(certificate)), not for \(expectedName(verification))"
        default:
            return String(cString: X509_verify_cert_error_string(Int(code)))
        }
    }

    private static func usages(_ certificate: OpaquePointer?) -> String {
        let bits = X509_get_extended_key_usage(certificate)
        let known = [
            (XKU_SSL_SERVER, "serverAuth"), (XKU_SSL_CLIENT, "clientAuth"), (XKU_SMIME, "emailProtection"),
            (XKU_CODE_SIGN, "codeSigning"), (XKU_OCSP_SIGN, "OCSPSigning"), (XKU_TIMESTAMP, "timeStamping"),
        ]
        let names = known.filter { bits & UInt32($0.0) != 0 }.map(\.1)
        return names.isEmpty ? "another one" : names.joined(separator: ", ")
    }

    /// Those by which the server may be called; no more than a line has room for.
    private static func names(_ certificate: OpaquePointer?) -> String {
        let list = X509_get_ext_d2i(certificate, NID_subject_alt_name, nil, nil).map { OpaquePointer($0) }
        defer { tandem_sk_GENERAL_NAME_free_all(list) }
        let names = (0..<max(0, tandem_sk_GENERAL_NAME_num(list))).compactMap { index -> String? in
            var kind: Int32 = 0
            guard let value = tandem_GENERAL_NAME_value(list, index, &kind) else { return nil }
            let bytes = UnsafeBufferPointer(
                start: ASN1_STRING_get0_data(value), count: Int(max(0, ASN1_STRING_length(value))))
            switch kind {
            case GEN_DNS: return SubjectName.bounded(String(decoding: bytes, as: UTF8.self))
            case GEN_IPADD: return address(Array(bytes))
            default: return nil
            }
        }
        guard !names.isEmpty else { return "no name (it has no subjectAltName)" }
        return names.prefix(maximumNames).joined(separator: ", ")
            + (names.count > maximumNames ? " and \(names.count - maximumNames) more" : "")
    }

    private static let maximumNames = 16

    private static func address(_ bytes: [UInt8]) -> String? {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(bytes.count == 4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count)) != nil else {
            return nil
        }
        return text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    private static func expectedName(_ verification: OpaquePointer) -> String {
        let parameters = X509_STORE_CTX_get0_param(verification)
        if let host = X509_VERIFY_PARAM_get0_host(parameters, 0) { return String(cString: host) }
        guard let address = X509_VERIFY_PARAM_get1_ip_asc(parameters) else { return "the name that was asked for" }
        // Proof: OpenSSL allocated it for us, to be freed by its own `free`.
        defer { CRYPTO_free(address, #file, #line) }
        return String(cString: address)
    }
}

import COpenSSL

/// What a verified certificate says of whom it is made out to.
public struct PeerCertificate: Sendable, Hashable {
    /// The subject's CN; the first if there are several.
    public let commonName: String?
    /// The subject's Os, in order.
    public let organizations: [String]

    public init(commonName: String?, organizations: [String]) {
        self.commonName = commonName
        self.organizations = organizations
    }

    /// The certificate stays the caller's.
    init(_ certificate: OpaquePointer) {
        let subject = X509_get_subject_name(certificate)
        commonName = Self.entries(of: subject, NID_commonName).first
        organizations = Self.entries(of: subject, NID_organizationName)
    }

    private static func entries(of name: OpaquePointer?, _ kind: Int32) -> [String] {
        var found: [String] = []
        var index = X509_NAME_get_index_by_NID(name, kind, -1)
        while index >= 0 {
            if let text = string(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index))) { found.append(text) }
            index = X509_NAME_get_index_by_NID(name, kind, index)
        }
        return found
    }

    private static func string(_ value: UnsafePointer<ASN1_STRING>?) -> String? {
        var bytes: UnsafeMutablePointer<UInt8>?
        let count = ASN1_STRING_to_UTF8(&bytes, value)
        guard count >= 0, let bytes else { return nil }
        // Proof: OpenSSL allocated `count` bytes for us, to be freed by its own `free`.
        defer { CRYPTO_free(bytes, #file, #line) }
        return String(decoding: UnsafeBufferPointer(start: bytes, count: Int(count)), as: UTF8.self)
    }
}

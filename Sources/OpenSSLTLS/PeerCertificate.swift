import COpenSSL
import Glibc

/// What a verified certificate says of whom it is made out to.
public struct PeerCertificate: Sendable, Hashable {
    /// The subject's CN; the first if there are several.
    public let commonName: String?
    /// The subject's Os, in order.
    public let organizations: [String]
    /// The first and the last second for which it is made out, since 1970.
    public let validity: ClosedRange<Int64>

    public init(commonName: String?, organizations: [String], validity: ClosedRange<Int64> = .min ... .max) {
        self.commonName = commonName
        self.organizations = organizations
        self.validity = validity
    }

    /// The certificate stays the caller's.
    init(_ certificate: OpaquePointer) {
        let subject = X509_get_subject_name(certificate)
        commonName = Self.entries(of: subject, NID_commonName).first
        organizations = Self.entries(of: subject, NID_organizationName)
        let begin = Self.seconds(X509_get0_notBefore(certificate)) ?? .min
        validity = begin...max(begin, Self.seconds(X509_get0_notAfter(certificate)) ?? .min)
    }

    /// nil where it is no time.
    private static func seconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int64? {
        var parts = tm()
        guard ASN1_TIME_to_tm(time, &parts) == 1 else { return nil }
        return Int64(timegm(&parts))
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

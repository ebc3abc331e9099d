import COpenSSL
import Glibc

/// The identity in a verified certificate.
public struct PeerCertificate: Sendable, Hashable {
    /// The subject's CN; nil where that is no identity, which `nameFault` explains.
    public let commonName: String?
    /// Why the subject gives no identity: it has no CN, or several, or one that is no name. Words that go on from "its subject".
    public let nameFault: String?
    /// The subject's Os, in order.
    public let organizations: [String]
    /// The first and the last second for which it is made out, since 1970.
    public let validity: ClosedRange<Int64>

    /// The longest CN or O, in bytes.
    public static let maximumNameBytes = 1024

    public init(commonName: String, organizations: [String], validity: ClosedRange<Int64> = .min ... .max) {
        self.commonName = commonName
        nameFault = nil
        self.organizations = organizations
        self.validity = validity
    }

    /// The first certificate in a file of PEM, which is not verified; nil where there is none. Blocks.
    public init?(inFile file: String) {
        OpenSSLErrorQueue.clear()
        defer { OpenSSLErrorQueue.clear() }
        guard let bio = BIO_new_file(file, "r") else { return nil }
        defer { BIO_free(bio) }
        guard let certificate = PEM_read_bio_X509(bio, nil, nil, nil) else { return nil }
        defer { X509_free(certificate) }
        self.init(certificate)
    }

    /// The certificate stays the caller's.
    init(_ certificate: OpaquePointer) {
        let subject = X509_get_subject_name(certificate)
        let (names, groups) = (
            Self.entries(of: subject, NID_commonName), Self.entries(of: subject, NID_organizationName)
        )
        nameFault = Self.fault(names, groups)
        commonName = nameFault == nil ? names[0] : nil
        organizations = groups.compactMap { $0 }
        let begin = Self.seconds(X509_get0_notBefore(certificate)) ?? .min
        validity = begin...max(begin, Self.seconds(X509_get0_notAfter(certificate)) ?? .min)
    }

    private static func fault(_ names: [String?], _ groups: [String?]) -> String? {
        switch names.count {
        case 0: "has no CN"
        case 1 where names[0] == "": "has an empty CN"
        case 1: fault(names[0], "CN") ?? groups.lazy.compactMap { fault($0, "O") }.first
        default: "has \(names.count) CNs, where one is a user"
        }
    }

    /// A zero byte in a name ends it for many a reader, and other control characters are not seen in a log.
    private static func fault(_ name: String?, _ kind: String) -> String? {
        guard let name else { return "has a text as \(kind) that can't be read" }
        if name.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) {
            return "has control characters in its \(kind)"
        }
        return name.utf8.count > maximumNameBytes ? "has more than \(maximumNameBytes) bytes of \(kind)" : nil
    }

    /// nil where it is no time.
    static func seconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int64? {
        var parts = tm()
        guard ASN1_TIME_to_tm(time, &parts) == 1 else { return nil }
        return Int64(timegm(&parts))
    }

    /// nil for a text that is not of the type that it claims to be.
    static func entries(of name: OpaquePointer?, _ kind: Int32) -> [String?] {
        var found: [String?] = []
        var index = X509_NAME_get_index_by_NID(name, kind, -1)
        while index >= 0 {
            found.append(string(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index))))
            index = X509_NAME_get_index_by_NID(name, kind, index)
        }
        return found
    }

    private static func string(_ value: UnsafePointer<ASN1_STRING>?) -> String? {
        var bytes: UnsafeMutablePointer<UInt8>?
        let count = ASN1_STRING_to_UTF8(&bytes, value)
        guard count >= 0, let bytes else {
            OpenSSLErrorQueue.clear()
            return nil
        }
        // Proof: OpenSSL allocated `count` bytes for us, to be freed by its own `free`.
        defer { CRYPTO_free(bytes, #file, #line) }
        return String(validating: UnsafeBufferPointer(start: bytes, count: Int(count)), as: UTF8.self)
    }
}

import COpenSSL

/// The first expiry in a file.
public struct Expiry: Sendable, Hashable {
    /// The subject of the certificate, or the issuer of the list.
    public let name: String
    /// The last second of it, since 1970.
    public let seconds: Int64

    /// `2026-11-27T06:16:19Z`
    public var dateText: String { DateText.of(seconds) }

    /// Of the certificates in a file of PEM; nil where there are none. Blocks.
    public init?(certificatesIn file: String) {
        OpenSSLErrorQueue.clear()
        defer { OpenSSLErrorQueue.clear() }
        guard let bio = BIO_new_file(file, "r") else { return nil }
        defer { BIO_free(bio) }
        var first: Expiry?
        while let certificate = PEM_read_bio_X509(bio, nil, nil, nil) {
            defer { X509_free(certificate) }
            first = Self.first([first, Expiry(certificate)].compactMap { $0 })
        }
        guard let first else { return nil }
        self = first
    }

    /// Of the authorities in a store.
    static func ofAuthorities(in store: OpaquePointer?) -> Expiry? {
        first(StoredTrust.certificates(store).map { Expiry($0) })
    }

    /// Of the lists of revocations in a store, of each authority the newest.
    static func ofRevocations(in store: OpaquePointer?) -> Expiry? {
        var newest: [String: Expiry] = [:]
        for list in StoredTrust.lists(store) {
            let issuer = SubjectName.text(X509_CRL_get_issuer(list))
            let end = PeerCertificate.seconds(X509_CRL_get0_nextUpdate(list)) ?? .max
            if newest[issuer].map({ $0.seconds < end }) ?? true { newest[issuer] = Expiry(issuer, end) }
        }
        return first(Array(newest.values))
    }

    private init(_ name: String, _ seconds: Int64) {
        self.name = name
        self.seconds = seconds
    }

    /// The certificate stays the caller's.
    init(_ certificate: OpaquePointer) {
        self.init(
            SubjectName.text(X509_get_subject_name(certificate)),
            PeerCertificate.seconds(X509_get0_notAfter(certificate)) ?? .min)
    }

    private static func first(_ all: [Expiry]) -> Expiry? { all.min { $0.seconds < $1.seconds } }
}

import COpenSSL

/// A subject or an issuer as an error shows it: its CN, else all of it, of a length that a line has room for.
enum SubjectName {
    static func quoted(_ name: OpaquePointer?) -> String { "\"\(text(name))\"" }

    static func text(_ name: OpaquePointer?) -> String {
        if let only = PeerCertificate.entries(of: name, NID_commonName).first, let text = only, !text.isEmpty {
            return bounded(text)
        }
        // Of no more than so many bytes, others than printable ones as \xHH.
        var bytes = [CChar](repeating: 0, count: maximumLength)
        guard X509_NAME_oneline(name, &bytes, Int32(bytes.count)) != nil, bytes[0] != 0 else { return "nobody" }
        return bytes.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    static func bounded(_ text: String) -> String {
        let scalars = text.unicodeScalars
        guard let end = scalars.index(scalars.startIndex, offsetBy: maximumLength, limitedBy: scalars.endIndex),
            end < scalars.endIndex
        else { return text }
        return String(scalars[..<end]) + "…"
    }

    private static let maximumLength = 128
}

import Glibc

/// The actual content of a file, instead of the expected one.
enum PEMFile {
    enum Kind: String {
        case certificate
        case key = "private key"
        case revocations = "certificate revocation list"

        fileprivate func isLabel(_ label: String) -> Bool {
            switch self {
            case .certificate: label.hasSuffix("CERTIFICATE")
            case .key: label.hasSuffix("PRIVATE KEY")
            case .revocations: label == "X509 CRL"
            }
        }

        /// The command that reads it, and writes it as PEM.
        fileprivate var command: String {
            switch self {
            case .certificate: "x509"
            case .key: "pkey"
            case .revocations: "crl"
            }
        }
    }

    /// Words that go on from "it can't be read:"; by the first bytes of the file, which are never in them.
    static func content(of file: String, _ wanted: Kind) -> String {
        let bytes = start(of: file)
        guard let first = bytes.first else { return "it is empty" }
        let text = String(decoding: bytes, as: UTF8.self)
        let labels = text.split(separator: "\n").compactMap(label)
        if labels.contains(where: wanted.isLabel) { return "the part between its BEGIN and END is damaged" }
        if let label = labels.first, let found = known.first(where: { $0.isLabel(label) }) {
            return "it has a \(found.rawValue)"
        }
        if labels.first?.hasSuffix("CERTIFICATE REQUEST") == true {
            return "it has a request for a certificate, which an authority has not signed yet"
        }
        // A sequence, as all of them are in DER.
        if first == 0x30 {
            return "it looks like DER; for PEM: openssl \(wanted.command) -inform der -in \(file) -out FILE"
        }
        return "it has no line with -----BEGIN"
    }

    private static let known: [Kind] = [.certificate, .key, .revocations]

    private static func label(_ line: Substring) -> String? {
        let begin = "-----BEGIN "
        return line.hasPrefix(begin) ? String(line.dropFirst(begin.count).prefix { $0 != "-" }) : nil
    }

    private static func start(of file: String) -> [UInt8] {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        return [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, count in
            count = max(0, read(descriptor, buffer.baseAddress, buffer.count))
        }
    }
}

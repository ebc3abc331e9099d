import COpenSSL

/// The lowest version of TLS that a connection may speak. Compression, renegotiation and early data are off in both.
public enum TLSVersion: Sendable {
    case tls12
    case tls13

    var protocolNumber: Int32 {
        switch self {
        case .tls12: TLS1_2_VERSION
        case .tls13: TLS1_3_VERSION
        }
    }
}

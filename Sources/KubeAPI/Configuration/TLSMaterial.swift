import Foundation
import OpenSSLTLS

/// The trusted certificates for the server, and this client's own.
struct TLSMaterial: Sendable, Hashable {
    /// PEM: in a file, which is read again for each connection, or as bytes.
    enum PEM: Sendable, Hashable {
        case file(String)
        /// `name` is said where they can't be used.
        case bytes([UInt8], name: String)
    }

    /// The authorities of the server's certificate.
    enum Authority: Sendable, Hashable {
        case given(PEM)
        /// Those that the machine trusts.
        case system
        /// None: any server is believed.
        case none
    }

    var authority: Authority
    /// Both or none.
    var certificate: PEM?
    var key: PEM?
    /// The name in the server's certificate, where that is not the host.
    var serverName: String?

    /// Reads the files; blocks.
    func context(serverName host: String) throws -> TLSContext {
        // The files in memory must live until the context has read them.
        var held: [MemoryFile] = []
        func path(_ pem: PEM) throws -> String {
            switch pem {
            case .file(let path): return path
            case .bytes(let bytes, _):
                let file = try MemoryFile(bytes)
                held.append(file)
                return file.path
            }
        }
        var caFile = ""
        switch authority {
        case .given(let pem): caFile = try path(pem)
        case .system: caFile = Self.systemAuthorities
        case .none: break
        }
        var identity: TLSIdentity?
        if let certificate, let key {
            identity = TLSIdentity(certificateChainFile: try path(certificate), privateKeyFile: try path(key))
        }
        var configuration = TLSClientConfiguration(
            caFile: caFile, identity: identity, serverName: serverName ?? host, applicationProtocols: ["http/1.1"])
        configuration.believesAnyServer = authority == .none
        defer { withExtendedLifetime(held) {} }
        do throws(TLSError) {
            return try TLSContext(client: configuration)
        } catch {
            throw KubeConfigurationError(named(error.message, held.map(\.path)))
        }
    }

    /// A message that names embedded material by its name in the configuration.
    private func named(_ message: String, _ paths: [String]) -> String {
        var message = message
        var pems = [certificate, key]
        if case .given(let pem) = authority { pems.insert(pem, at: 0) }
        let names = pems.compactMap { if case .bytes(_, let name) = $0 { name } else { nil } }
        for (path, name) in zip(paths, names) { message = message.replacingOccurrences(of: path, with: name) }
        return message
    }

    private static var systemAuthorities: String {
        let places = [
            "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
            "/etc/ssl/cert.pem",
        ]
        return places.first { FileManager.default.isReadableFile(atPath: $0) } ?? places[0]
    }
}

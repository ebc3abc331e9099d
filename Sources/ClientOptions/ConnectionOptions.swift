public import ArgumentParser
import Glibc
import OpenSSLTLS
import TandemAPI
public import TandemClient

/// The options that say where the server is and who asks; every command has them.
public struct ConnectionOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The server. (default: $TANDEM_SERVER, or 127.0.0.1:8443)", valueName: "host:port"))
    public var server: String?

    @Option(
        help: ArgumentHelp("The CA of the server's certificate, PEM. (default: $TANDEM_CA_FILE)", valueName: "file"))
    public var caFile: String?

    @Option(help: ArgumentHelp("Your certificate, PEM. (default: $TANDEM_CERT_FILE)", valueName: "file"))
    public var certFile: String?

    @Option(help: ArgumentHelp("The key of your certificate, PEM. (default: $TANDEM_KEY_FILE)", valueName: "file"))
    public var keyFile: String?

    public init() {}

    /// Throws `UsageError`.
    public func configuration() throws -> ClientConfiguration {
        let server = server ?? Self.environment("TANDEM_SERVER") ?? "127.0.0.1:8443"
        guard let (host, port) = ServerAddress.parse(server) else {
            throw UsageError(
                "--server: \"\(server)\" is no HOST:PORT; write, for example, 127.0.0.1:8443 or [::1]:8443")
        }
        guard let caFile = caFile ?? Self.environment("TANDEM_CA_FILE") else {
            throw UsageError(
                "--ca-file or TANDEM_CA_FILE must name the CA that signed the server's certificate, such as certs/dev/ca.crt"
            )
        }
        let certificate = certFile ?? Self.environment("TANDEM_CERT_FILE")
        let key = keyFile ?? Self.environment("TANDEM_KEY_FILE")
        switch (certificate, key) {
        case (let certificate?, let key?):
            let identity = TLSIdentity(certificateChainFile: certificate, privateKeyFile: key)
            return ClientConfiguration(host: host, port: port, caFile: caFile, identity: identity)
        case (nil, nil): return ClientConfiguration(host: host, port: port, caFile: caFile)
        case (nil, _?): throw UsageError("--cert-file or TANDEM_CERT_FILE must name the certificate of --key-file")
        case (_?, nil): throw UsageError("--key-file or TANDEM_KEY_FILE must name the key of --cert-file")
        }
    }

    /// Runs `body` with a connection, and ends that in an orderly way.
    public func use<Value>(_ body: (TandemClient) async throws -> Value) async throws -> Value {
        let client = try await TandemClient.connect(try configuration())
        do {
            let value = try await body(client)
            await client.close()
            return value
        } catch {
            await client.close()
            throw error
        }
    }

    private static func environment(_ name: String) -> String? {
        guard let value = getenv(name).map({ String(cString: $0) }), !value.isEmpty else { return nil }
        return value
    }
}

/// What is wrong with a command line, and what would be right.
public struct UsageError: Error, CustomStringConvertible {
    public let description: String

    public init(_ description: String) {
        self.description = description
    }
}

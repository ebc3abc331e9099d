public import ArgumentParser
import Glibc
import OpenSSLTLS
import TandemAPI
public import TandemClient

/// The options that say where the servers are, and with which certificate they are asked; every command has them.
public struct ConnectionOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The server, or several of one range, one of which is asked after the other. (default: $TANDEM_SERVER, or 127.0.0.1:8443)",
            valueName: "host:port,..."))
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
        let servers = try servers()
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
            return ClientConfiguration(servers: servers, caFile: caFile, identity: identity)
        case (nil, nil): return ClientConfiguration(servers: servers, caFile: caFile)
        case (nil, _?): throw UsageError("--cert-file or TANDEM_CERT_FILE must name the certificate of --key-file")
        case (_?, nil): throw UsageError("--key-file or TANDEM_KEY_FILE must name the key of --cert-file")
        }
    }

    private func servers() throws -> [ServerAddress] {
        do throws(ServerAddress.ListFault) {
            return try ServerAddress.list(server ?? Self.environment("TANDEM_SERVER") ?? "127.0.0.1:8443")
        } catch {
            throw UsageError("\(server == nil ? "TANDEM_SERVER" : "--server"): \(error)")
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

public import ArgumentParser
import Foundation
import NIOCore
import OpenSSLTLS
import TandemAPI
public import TandemClient

/// The options that say where the servers are, and with which certificate they are asked; every command has them.
///
/// A setting is the flag's; else that of the context that `--context` names; else the environment's; else the current context's.
public struct ConnectionOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The server, or several of one range, which are tried in turn. (default: $TANDEM_SERVER, or 127.0.0.1:8443)",
            valueName: "host:port,..."))
    public var server: String?

    @Option(
        help: ArgumentHelp("The CA of the server's certificate, PEM. (default: $TANDEM_CA_FILE)", valueName: "file"),
        completion: .pem)
    public var caFile: String?

    @Option(
        help: ArgumentHelp("Your certificate, PEM. (default: $TANDEM_CERT_FILE)", valueName: "file"), completion: .pem)
    public var certFile: String?

    @Option(
        help: ArgumentHelp("The key of your certificate, PEM. (default: $TANDEM_KEY_FILE)", valueName: "file"),
        completion: .pem)
    public var keyFile: String?

    @Option(
        name: .customLong("context"),
        help: ArgumentHelp(
            "The context of $TANDEM_CONFIG, or ~/.tandem/config, to use instead of the current one.", valueName: "name"),
        completion: .custom { _, _, _ in (try? Contexts.read().all.map(\.name)) ?? [] })
    public var contextName: String?

    @Option(
        name: .customLong("request-timeout"),
        help: ArgumentHelp(
            "The longest wait for the answer to a call, such as 30s or 2m; 0 for no limit. (default: 1m)",
            valueName: "time"),
        transform: { text in
            guard let time = TimeAmount(durationText: text) else { throw UsageError("write, for example, 30s or 2m") }
            return time == .zero ? .hours(8_760) : time
        })
    var requestTimeout: TimeAmount?

    @Option(
        name: [.customShort("v", allowingJoined: true), .customLong("v")],
        help: ArgumentHelp(
            "From 6 on, each message sent or received is shown, long ones cut; from 8 on, in full. (default: 0)",
            valueName: "level"),
        transform: OptionValue.wholeNumber)
    var verbosity: Int?

    public init() {}

    /// The context that is in force, if any. Throws `UsageError`. Blocks.
    public func context() throws -> Context? {
        let contexts = try Contexts.read()
        guard let contextName else { return contexts.chosen }
        guard let context = contexts[contextName] else {
            let names = contexts.all.map(\.name)
            let near = contextName.nearest(of: names).map { "; did you mean \($0)?" } ?? ""
            throw UsageError("--context: \(contexts.path) has no context \(contextName)\(near)")
        }
        return context
    }

    /// Throws `UsageError`. Blocks.
    public func configuration() throws -> ClientConfiguration {
        let settings = Settings(environment: contextName == nil, context: try context())
        var configuration = ClientConfiguration(
            servers: try servers(settings["TANDEM_SERVER", \.server]), caFile: try authority(settings),
            identity: try identity(settings))
        // A person, or a script, hears at once that there is no server.
        configuration.comesBack = false
        if let requestTimeout { configuration.callTimeout = requestTimeout }
        if let verbosity, verbosity >= 6 { configuration.trace = Self.trace(isWhole: verbosity >= 8) }
        return configuration
    }

    /// Where a setting comes from that no flag gives.
    private struct Settings {
        var environment: Bool
        var context: Context?

        subscript(variable: String, member: KeyPath<Context, String?>) -> String? {
            (environment ? ProcessEnvironment[variable] : nil) ?? context?[keyPath: member]
        }
    }

    private func authority(_ settings: Settings) throws -> String {
        guard let file = caFile ?? settings["TANDEM_CA_FILE", \.caFile] else {
            throw UsageError(
                "--ca-file or TANDEM_CA_FILE must name the CA that signed the server's certificate, such as certs/dev/ca.crt"
            )
        }
        return file
    }

    private func identity(_ settings: Settings) throws -> TLSIdentity? {
        switch (certFile ?? settings["TANDEM_CERT_FILE", \.certFile], keyFile ?? settings["TANDEM_KEY_FILE", \.keyFile])
        {
        case (let certificate?, let key?): TLSIdentity(certificateChainFile: certificate, privateKeyFile: key)
        case (nil, nil): nil
        case (nil, _?): throw UsageError("--cert-file or TANDEM_CERT_FILE must name the certificate of --key-file")
        case (_?, nil): throw UsageError("--key-file or TANDEM_KEY_FILE must name the key of --cert-file")
        }
    }

    private func servers(_ setting: String?) throws -> [ServerAddress] {
        do throws(ServerAddress.ListFault) {
            return try ServerAddress.list(server ?? setting ?? "127.0.0.1:8443")
        } catch {
            throw UsageError("\(server == nil ? "TANDEM_SERVER" : "--server"): \(error)")
        }
    }

    /// Of a message that is not shown whole, its first kilobyte.
    private static func trace(isWhole: Bool) -> @Sendable (String) -> Void {
        let start = ContinuousClock.now
        return { line in
            let milliseconds = (ContinuousClock.now - start) / .milliseconds(1)
            let shown = isWhole || line.utf8.count <= 1_024 ? line : line.cut(toBytes: 1_024)
            FileHandle.standardError.write(Data("\(Int(milliseconds)) ms \(shown.visible)\n".utf8))
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
}

extension CompletionKind {
    fileprivate static let pem = CompletionKind.file(extensions: ["pem", "crt", "key"])
}

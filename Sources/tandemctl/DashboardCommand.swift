import ArgumentParser
import ClientOptions
import Dashboard
import Glibc
import NIOCore
import OpenSSLTLS
import TandemClient
import UnixSignals

struct DashboardCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dashboard",
        abstract:
            "Serves a page for a browser on this machine: ranges, maps, nodes, changes and health of each server.",
        discussion: """
            The page is on 127.0.0.1 only, under a random address, which is the first line of output: a browser with this address reads \
            with your certificate until this ends (Ctrl-C). The page is read-only.
            """)

    @OptionGroup var connection: ConnectionOptions

    @Option(
        help: ArgumentHelp("The port to listen on; 0 for a free one. (default: 0)", valueName: "port"),
        transform: OptionValue.wholeNumber)
    var port = 0

    @Flag(name: .customLong("no-open"), help: "Don't open the page in a browser.")
    var isNotOpened = false

    func run() async throws {
        guard (0...65_535).contains(port) else { throw UsageError("--port: \(port) is not from 0 to 65535") }
        let configuration = try connection.configuration()
        // Faults of the files are reported here, and not in a page.
        _ = try configuration.tlsContext(for: configuration.servers[0], "jsonrpc")
        let user = configuration.identity.flatMap { PeerCertificate(inFile: $0.certificateChainFile)?.commonName }
        let server: DashboardServer
        do {
            server = try await DashboardServer.start(configuration, port: port, user: user ?? "")
        } catch let error as IOError {
            throw UsageError("--port: 127.0.0.1:\(port): \(String(cString: strerror(error.errnoCode)))")
        }
        print(server.address)
        fflush(nil)
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        if !isNotOpened { Self.open(server.entrance()) }
        let work = Task { try await server.run() }
        for await _ in signals { break }
        work.cancel()
        _ = try? await work.value
    }

    /// In the user's browser, where this machine has a screen.
    private static func open(_ address: String) {
        guard ProcessEnvironment["DISPLAY"] ?? ProcessEnvironment["WAYLAND_DISPLAY"] != nil else { return }
        let words = ["xdg-open", address]
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var child: pid_t = 0
        // A machine without it has the address that was printed.
        _ = posix_spawnp(&child, "xdg-open", nil, nil, &arguments, environ)
    }
}

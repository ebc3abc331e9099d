public import TestSupport

/// The real `tandemctl`, asking a server on a port of loopback.
public struct Ctl: Sendable {
    public var port: Int
    public var role: String

    public init(port: Int, role: String = "admin") {
        self.port = port
        self.role = role
    }

    public func run(_ arguments: [String], input: String? = nil) -> Command.Result {
        let certificates = Certificates.shared
        let connection = [
            "--server", "127.0.0.1:\(port)", "--ca-file", certificates.ca, "--cert-file",
            certificates.certificate(role), "--key-file", certificates.key(role),
        ]
        return Command.run(ServerProcess.program("tandemctl"), arguments + connection, input: input)
    }

    public func callAsFunction(_ words: String, input: String? = nil) -> Command.Result {
        run(words.split(separator: " ").map(String.init), input: input)
    }
}

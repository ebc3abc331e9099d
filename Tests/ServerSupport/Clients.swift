import Foundation
public import TandemAPI
import TestSupport

/// HTTP/1.1 by `curl`.
public struct Curl {
    public var port: Int
    /// A certificate of `certs/generate.sh`; nil for none.
    public var role: String?

    public init(port: Int, role: String? = "admin") {
        self.port = port
        self.role = role
    }

    public struct Answer {
        public var status: Int
        public var headers: [String: String]
        public var body: String

        public var json: JSONValue? { try? JSONValue(parsing: body) }
    }

    public func request(_ path: String, _ arguments: [String] = [], input: String? = nil) -> Answer {
        let certificates = Certificates.shared
        var all = ["-sS", "-i", "--http1.1", "--max-time", "30", "--cacert", certificates.ca]
        if let role { all += ["--cert", certificates.certificate(role), "--key", certificates.key(role)] }
        let result = Command.run("curl", all + arguments + ["https://127.0.0.1:\(port)\(path)"], input: input)
        // Informational answers (100 Continue) come before the real one.
        var parts = result.output.components(separatedBy: "\r\n\r\n")
        while parts.count > 2, parts[0].hasPrefix("HTTP/1.1 1") { parts.removeFirst() }
        let lines = (parts.first ?? "").components(separatedBy: "\r\n")
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            headers[line[..<colon].lowercased()] = line[line.index(after: colon)...].trimmingCharacters(
                in: .whitespaces)
        }
        return Answer(
            status: Int(lines.first?.split(separator: " ").dropFirst().first ?? "") ?? 0, headers: headers,
            body: parts.dropFirst().joined(separator: "\r\n\r\n"))
    }

    public func rpc(_ message: String, _ arguments: [String] = []) -> Answer {
        request("/rpc", ["-H", "Content-Type: application/json", "--data-binary", "@-"] + arguments, input: message)
    }
}

/// The stream, by `openssl s_client`: one line in, one line out.
public final class LineStream {
    private let process = Process()
    private let input = Pipe()
    private let output: LineReader
    private var nextID = 0

    public init(port: Int, role: String? = "admin") throws {
        let certificates = Certificates.shared
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        var arguments = [
            "openssl", "s_client", "-quiet", "-connect", "127.0.0.1:\(port)", "-alpn", "jsonrpc", "-CAfile",
            certificates.ca,
            "-verify_return_error",
        ]
        if let role { arguments += ["-cert", certificates.certificate(role), "-key", certificates.key(role)] }
        process.arguments = arguments
        process.standardInput = input
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = FileHandle.nullDevice
        output = LineReader(pipe.fileHandleForReading)
        // A server that is killed closes the pipe under the writer.
        signal(SIGPIPE, SIG_IGN)
        try Children.start(process)
    }

    deinit {
        // A child inherits the signals that its parent's thread blocks, so that a softer one may never reach it.
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
    }

    public func send(_ line: String) {
        try? input.fileHandleForWriting.write(contentsOf: Data((line + "\n").utf8))
    }

    /// The next answer; nil when the connection has ended.
    public func receive() -> JSONValue? {
        output.next().flatMap { try? JSONValue(parsing: $0) }
    }

    /// A message and its answer, as it came; empty when the connection ended before it.
    public func exchange(_ line: String) -> String {
        send(line)
        return receiveLine()
    }

    /// The next bytes; empty when the connection has ended.
    public func receiveLine() -> String { output.next() ?? "" }

    /// One call and its answer; nil when the connection ended before it.
    public func call(_ method: TandemAPI.Method, _ params: JSONValue = [:]) -> JSONValue? {
        nextID += 1
        let request: JSONValue = [
            "jsonrpc": "2.0", "id": .number(String(nextID)), "method": .string(method.rawValue), "params": params,
        ]
        send(request.text.description)
        return receive()
    }
}

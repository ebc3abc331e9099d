public import Foundation
import TandemAPI
import TestSupport

/// A real `tandemd` on a free port of loopback.
public final class ServerProcess {
    public let port: Int
    private let process: Process
    private let log: LineReader
    /// What the server logged until it was ready.
    public let startLog: [String]

    public struct NotReady: Error, CustomStringConvertible {
        public var description: String
    }

    public static let program = program("tandemd")

    /// A program that the build put beside the tests.
    public static func program(_ name: String) -> String {
        let bundle = Bundle.allBundles.first { $0.bundlePath.hasSuffix(".xctest") }?.bundleURL
        let folder =
            bundle?.deletingLastPathComponent()
            ?? URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        return folder.appendingPathComponent(name).path
    }

    public static let ranges = [
        "--service-cluster-ip-range=10.96.0.0/20,fd00:10:96::/112", "--cluster-cidr=10.244.0.0/16,fd00:10:244::/48",
    ]

    /// Arguments for TLS with client certificates.
    public static var tls: [String] {
        let certificates = Certificates.shared
        return [
            "--tls-cert-file=\(certificates.certificate("server"))",
            "--tls-private-key-file=\(certificates.key("server"))",
            "--client-ca-file=\(certificates.ca)",
        ]
    }

    /// Starts a server and returns once it has logged that it is ready.
    public init(_ dataDirectory: String, _ arguments: [String] = ServerProcess.ranges, port: Int = 0) throws {
        process = Process()
        process.executableURL = URL(fileURLWithPath: Self.program)
        process.arguments =
            Self.tls + arguments + ["--data-dir=\(dataDirectory)", "--secure-port=\(port)", "--log-format=json"]
        let errors = Pipe()
        process.standardError = errors
        process.standardInput = FileHandle.nullDevice
        try process.run()
        log = LineReader(errors.fileHandleForReading)
        var lines: [String] = []
        while let line = log.next() {
            lines.append(line)
            guard let entry = try? JSONValue(parsing: line), entry["message"] == "ready",
                let address = entry["address"]?.stringValue, let port = Int(address.split(separator: ":").last ?? "")
            else { continue }
            self.port = port
            startLog = lines
            return
        }
        throw NotReady(description: lines.joined(separator: "\n"))
    }

    deinit {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
    }

    /// The next line of the log that has `text` in it; nil when the server has ended. Blocks.
    public func nextLogLine(with text: String) -> String? {
        while let line = log.next() {
            if text.isEmpty || line.contains(text) { return line }
        }
        return nil
    }

    /// Memory in use now and at most so far, in bytes.
    public var residentBytes: (now: Int, highest: Int) {
        let status = (try? String(contentsOfFile: "/proc/\(process.processIdentifier)/status", encoding: .utf8)) ?? ""
        func kilobytes(_ name: String) -> Int {
            let line = status.split(separator: "\n").first { $0.hasPrefix(name) } ?? ""
            return line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) } ?? 0
        }
        return (kilobytes("VmRSS:") << 10, kilobytes("VmHWM:") << 10)
    }

    public var processID: pid_t { process.processIdentifier }

    /// `kill -9`.
    public func crash() {
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// SIGTERM; returns the exit status.
    public func stop(_ signal: Int32 = SIGTERM) -> Int32 {
        kill(process.processIdentifier, signal)
        process.waitUntilExit()
        return process.terminationStatus
    }
}

/// Lines of a pipe, one by one; blocks until one is there.
public final class LineReader {
    private let handle: FileHandle
    private var rest = Data()

    public init(_ handle: FileHandle) {
        self.handle = handle
    }

    public func next() -> String? {
        while true {
            if let newline = rest.firstIndex(of: 0x0A) {
                let line = String(decoding: rest[..<newline], as: UTF8.self)
                rest = Data(rest[(newline + 1)...])
                return line
            }
            let more = handle.availableData
            guard !more.isEmpty else { return nil }
            rest += more
        }
    }
}

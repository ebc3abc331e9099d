public import Foundation
public import TandemAPI
import TestSupport

/// A real `tandemd` on a free port of loopback.
public final class ServerProcess {
    public let port: Int
    private let process: Process
    public let log: ServerLog
    /// The server's log until it was ready.
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
    public convenience init(
        _ dataDirectory: String, _ arguments: [String] = ServerProcess.ranges, port: Int = 0
    ) throws {
        try self.init(
            command: [Self.program] + Self.tls + arguments
                + ["--data-dir=\(dataDirectory)", "--secure-port=\(port)", "--log-format=json"])
    }

    /// The same over etcd, of which `servers` names the members.
    public convenience init(etcd servers: String, _ arguments: [String] = ServerProcess.ranges, port: Int = 0) throws {
        try self.init(
            command: [Self.program] + Self.tls + arguments
                + ["--etcd-servers=\(servers)", "--secure-port=\(port)", "--log-format=json"])
    }

    /// The same by a command line of one's own, which must log as JSON.
    public init(command: [String]) throws {
        process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        let errors = Pipe()
        process.standardError = errors
        process.standardOutput = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        try Children.start(process)
        log = ServerLog(errors.fileHandleForReading)
        guard let ready = log.entry(where: { $0["message"] == "ready" }),
            let port = ready["address"]?.stringValue.flatMap({ Int($0.split(separator: ":").last ?? "") })
        else { throw NotReady(description: log.text) }
        self.port = port
        startLog = log.lines(through: "ready")
    }

    deinit {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
    }

    /// The next line of the log behind the last one that was asked for that has `text` in it; nil when the server has
    /// ended. Blocks.
    public func nextLogLine(with text: String) -> String? { log.next { text.isEmpty || $0.contains(text) } }

    /// Memory in use now and at most so far, in bytes.
    public var residentBytes: (now: Int, highest: Int) {
        let status = (try? String(contentsOfFile: "/proc/\(process.processIdentifier)/status", encoding: .utf8)) ?? ""
        func kilobytes(_ name: String) -> Int {
            let line = status.split(separator: "\n").first { $0.hasPrefix(name) } ?? ""
            return line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) } ?? 0
        }
        return (kilobytes("VmRSS:") << 10, kilobytes("VmHWM:") << 10)
    }

    /// The processor time of the process so far.
    public var processorSeconds: Double {
        let stat = (try? String(contentsOfFile: "/proc/\(process.processIdentifier)/stat", encoding: .utf8)) ?? ""
        // Behind the name in parentheses: state, and the eleventh and twelfth are user and system time in ticks.
        let fields = stat.split(separator: ")").last?.split(separator: " ") ?? []
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else {
            return .infinity
        }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    public var processID: pid_t { process.processIdentifier }

    /// Sends a signal and goes on.
    public func send(_ signal: Int32) { kill(process.processIdentifier, signal) }

    /// `kill -9`.
    public func crash() {
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// The exit status, once the process has ended; nil where it runs on for so long.
    public func exitStatus(within seconds: Double) -> Int32? {
        let hasEnded = DispatchSemaphore(value: 0)
        let process = process
        Thread.detachNewThread {
            process.waitUntilExit()
            hasEnded.signal()
        }
        return hasEnded.wait(timeout: .now() + seconds) == .success ? process.terminationStatus : nil
    }

    /// SIGTERM; returns the exit status.
    public func stop(_ signal: Int32 = SIGTERM) -> Int32 {
        kill(process.processIdentifier, signal)
        process.waitUntilExit()
        return process.terminationStatus
    }
}

/// A server's log, read all the time so that its pipe is never full. Thread-safe.
public final class ServerLog: @unchecked Sendable {
    // Proof: everything is read and written under the condition's lock alone.
    private let condition = NSCondition()
    private var lines: [String] = []
    /// Where `next` goes on.
    private var position = 0
    private var hasEnded = false
    /// Seconds without a further line after which there is none to be waited for.
    private static let patience = 60.0

    init(_ handle: FileHandle) {
        Thread.detachNewThread { [self] in
            let reader = LineReader(handle)
            while let line = reader.next() { append(line) }
            append(nil)
        }
    }

    private func append(_ line: String?) {
        condition.withLock {
            if let line { lines.append(line) } else { hasEnded = true }
            condition.broadcast()
        }
    }

    /// The first entry of the kind, once it is there; nil where the log has ended without one, or says nothing more.
    public func entry(where isWanted: (JSONValue) -> Bool) -> JSONValue? {
        condition.withLock {
            var next = 0
            while true {
                while next < lines.count {
                    if let entry = try? JSONValue(parsing: lines[next]), isWanted(entry) { return entry }
                    next += 1
                }
                guard !hasEnded, condition.wait(until: Date(timeIntervalSinceNow: Self.patience)) else { return nil }
            }
        }
    }

    /// The lines up to the entry with this message.
    func lines(through message: String) -> [String] {
        condition.withLock {
            let end = lines.firstIndex { (try? JSONValue(parsing: $0))?["message"]?.stringValue == message }
            return Array(lines[..<((end ?? -1) + 1)])
        }
    }

    /// The next line that is wanted; nil where the log has ended without one, or says nothing more.
    func next(where isWanted: (String) -> Bool) -> String? {
        condition.withLock {
            while true {
                while position < lines.count {
                    position += 1
                    if isWanted(lines[position - 1]) { return lines[position - 1] }
                }
                guard !hasEnded, condition.wait(until: Date(timeIntervalSinceNow: Self.patience)) else { return nil }
            }
        }
    }

    /// All of it so far.
    public var text: String { condition.withLock { lines.joined(separator: "\n") } }
}

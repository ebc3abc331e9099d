import Foundation
import Synchronization
import TestSupport

/// A real etcd of one or several members on free ports of loopback, which goes away with the test.
public final class EtcdCluster: Sendable {
    /// Where the program is: the value of `TANDEM_ETCD`, on the path, or where `docker/deps.sh --tests` put it; nil where it is
    /// not to be had.
    public static let program: String? = {
        let environment = ProcessInfo.processInfo.environment
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..")
            .standardized.path
        let folders =
            (environment["PATH"] ?? "").split(separator: ":").map(String.init) + ["\(root)/.build/tools/usr/bin"]
        return ([environment["TANDEM_ETCD"]].compactMap { $0 } + folders.map { "\($0)/etcd" })
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }()

    public let members: [EtcdProcess]
    private let directory = ScratchDirectory()

    /// For `--etcd-servers`.
    public var servers: String { members.map(\.url).joined(separator: ",") }

    /// Starts the members, and returns once each of them serves its clients. With TLS it is the tests' own certificates, and
    /// clients must show one.
    public convenience init(
        members count: Int = 1, isSecure: Bool = false, arguments: [String] = []
    ) async throws {
        let ports = FreePorts(2 * count).numbers
        let places = (0..<count).map { Place(port: ports[$0], peerPort: ports[count + $0]) }
        try await self.init(places, certificates: isSecure ? Certificates.shared.directory : nil, arguments)
    }

    /// Where a member runs: by a command that runs another in a network of its own, or as it is.
    public struct Place: Sendable {
        var command: [String]
        var address: String
        var port: Int
        var peerPort: Int

        public init(command: [String] = [], address: String = "127.0.0.1", port: Int = 2379, peerPort: Int = 2380) {
            self.command = command
            self.address = address
            self.port = port
            self.peerPort = peerPort
        }
    }

    /// The same at places of one's own; with TLS by the certificates of a directory that `certs/generate.sh` has filled.
    public init(_ places: [Place], certificates: String?, _ arguments: [String] = []) async throws {
        let scheme = certificates == nil ? "http" : "https"
        let peers = places.indices.map { "m\($0)=http://\(places[$0].address):\(places[$0].peerPort)" }
        var members: [EtcdProcess] = []
        for (index, place) in places.enumerated() {
            let url = "\(scheme)://\(place.address):\(place.port)"
            let peer = "http://\(place.address):\(place.peerPort)"
            var all = [
                "--name=m\(index)", "--data-dir=\(directory.path)/m\(index)", "--listen-client-urls=\(url)",
                "--advertise-client-urls=\(url)", "--listen-peer-urls=\(peer)", "--initial-advertise-peer-urls=\(peer)",
                "--initial-cluster=\(peers.joined(separator: ","))", "--initial-cluster-token=\(directory.path)",
                "--logger=zap",
                "--log-outputs=stderr", "--enable-grpc-gateway=false",
            ]
            if let certificates {
                all += [
                    "--cert-file=\(certificates)/server.crt", "--key-file=\(certificates)/server.key",
                    "--trusted-ca-file=\(certificates)/ca.crt", "--client-cert-auth",
                ]
            }
            members.append(try EtcdProcess(url: url, command: place.command, arguments: all + arguments))
        }
        self.members = members
        for member in members { try await member.ready() }
    }
}

/// One member. Thread-safe.
public final class EtcdProcess: Sendable {
    public let url: String
    private let command: [String]
    private let state: Mutex<State>

    private struct State {
        var process: Process
        var log: EtcdLog
    }

    public struct NotReady: Error, CustomStringConvertible {
        public var description: String
    }

    init(url: String, command: [String], arguments: [String]) throws {
        guard let program = EtcdCluster.program else { throw NotReady(description: "there is no etcd") }
        self.url = url
        self.command = command + [program] + arguments
        state = Mutex(try Self.start(self.command))
    }

    private static func start(_ command: [String]) throws -> sending State {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        // Debian's build asks for it on other machines than amd64.
        process.environment = ProcessInfo.processInfo.environment.merging(["ETCD_UNSUPPORTED_ARCH": "arm64"]) { $1 }
        let errors = Pipe()
        process.standardError = errors
        process.standardOutput = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        try Children.start(process)
        return State(process: process, log: EtcdLog(errors.fileHandleForReading))
    }

    deinit {
        state.withLock { state in
            // A stopped process is killed all the same.
            if state.process.isRunning { kill(state.process.processIdentifier, SIGKILL) }
            state.process.waitUntilExit()
        }
    }

    /// Returns once it serves clients.
    public func ready() async throws {
        let log = state.withLock { $0.log }
        guard await log.isReady() else { throw NotReady(description: log.text) }
    }

    /// Such as SIGSTOP and SIGCONT.
    public func send(_ signal: Int32) {
        state.withLock { _ = kill($0.process.processIdentifier, signal) }
    }

    /// `kill -9`, and the end of the process.
    public func crash() {
        state.withLock { state in
            kill(state.process.processIdentifier, SIGKILL)
            state.process.waitUntilExit()
        }
    }

    /// Starts it again, with the data that it had, once it has ended.
    public func restart() async throws {
        try state.withLock { $0 = try Self.start(command) }
        try await ready()
    }
}

/// A member's log, read all the time so that its pipe is never full.
private final class EtcdLog: Sendable {
    private struct State {
        var lines: [String] = []
        var isReady: Bool?
        var waiters: [CheckedContinuation<Bool, Never>] = []
    }

    private let state = Mutex(State())
    private static let maximumLines = 200

    init(_ handle: sending FileHandle) {
        let reader = LineReader(handle)
        let bound = Unchecked(reader)
        Thread.detachNewThread { [self] in
            while let line = bound.value.next() { append(line) }
            settle(false)
        }
    }

    /// Proof: the reader is used by the thread alone to which it is handed over.
    private struct Unchecked: @unchecked Sendable {
        let value: LineReader
        init(_ value: LineReader) { self.value = value }
    }

    private func append(_ line: String) {
        state.withLock { if $0.lines.count < Self.maximumLines { $0.lines.append(line) } }
        // Whether "securely" or not; said once there is a leader.
        if line.contains("serving client traffic") { settle(true) }
    }

    private func settle(_ isReady: Bool) {
        let waiters = state.withLock { state in
            if state.isReady == nil { state.isReady = isReady }
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume(returning: isReady) }
    }

    /// false where it ended before.
    func isReady() async -> Bool {
        await withCheckedContinuation { continuation in
            let known = state.withLock { state in
                if state.isReady == nil { state.waiters.append(continuation) }
                return state.isReady
            }
            if let known { continuation.resume(returning: known) }
        }
    }

    var text: String { state.withLock { $0.lines.joined(separator: "\n") } }
}

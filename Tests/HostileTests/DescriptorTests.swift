import Foundation
import NIOCore
import ServerSupport
import TandemAPI
import TestSupport
import Testing

/// A real server that may open few files.
@Suite("File descriptors", .serialized)
struct DescriptorTests {
    private func server(_ directory: ScratchDirectory, openFiles: Int, _ arguments: [String]) throws -> ServerProcess {
        try ServerProcess(
            command: ["sh", "-c", "ulimit -n \(openFiles); exec \"$@\"", "sh", ServerProcess.program]
                + ServerProcess.tls + ServerProcess.ranges + arguments
                + ["--data-dir=\(directory.path)", "--secure-port=0", "--log-format=json", "--event-loops=1"])
    }

    @Test("no more connections are let in than the limit of open files has room for; the start warns with both numbers")
    func clampsConnections() throws {
        let directory = ScratchDirectory()
        let server = try server(directory, openFiles: 117, ["--handshake-timeout=600"])
        let warning = try #require(server.log.entry { $0["level"] == "warning" })
        #expect(
            warning["maxConnections"] == "10000" && warning["openFilesLimit"] == "117"
                && warning["connections"] == "33")
        let held = try (0..<33).map { _ in try #require(TCPSocket(port: server.port)) }
        // One more than there can be, in the place of the oldest: there are files left for everything else.
        let backup = Curl(port: server.port).request("/backup", ["-o", "/dev/null", "-D", "-"])
        #expect(backup.status == 200)
        #expect(held[0].isClosed(within: 20))
        #expect(!held[32].isClosed(within: 1))
        #expect(server.stop() == 0)
        #expect(!server.log.text.contains("can't be accepted"))
    }

    @Test("a limit that leaves room for hardly a connection refuses the start, with both numbers and the cure")
    func refusesTooFew() throws {
        let directory = ScratchDirectory()
        let refused = try #require(
            #expect(throws: ServerProcess.NotReady.self) { try server(directory, openFiles: 99, []) })
        let message = refused.description
        #expect(message.contains("15 connections") && message.contains("99 files"), "\(message)")
        for cure in ["ulimit -n", "LimitNOFILE", "--event-loops"] { #expect(message.contains(cure), "\(message)") }
        // Less than the reserve: room for none, not for fewer.
        let bare = try #require(
            #expect(throws: ServerProcess.NotReady.self) { try server(directory, openFiles: 50, []) })
        #expect(bare.description.contains("room for 0 connections"), "\(bare.description)")
        // Room for as many as are asked for, and for the least of them.
        for (openFiles, connections) in [(100, 10_000), (99, 15)] {
            let server = try server(directory, openFiles: openFiles, ["--max-connections=\(connections)"])
            #expect(server.stop() == 0)
        }
    }

    @Test("a limit that is high enough is no reason for a warning")
    func staysSilent() throws {
        let directory = ScratchDirectory()
        let server = try server(directory, openFiles: 117, ["--max-connections=33"])
        #expect(server.startLog.count == 1)
        #expect(server.stop() == 0)
    }

    @Test("out of descriptors: told once a second, at no cost; open connections are served, and it goes on by itself")
    func pausesAccepting() throws {
        let directory = ScratchDirectory()
        let server = try server(directory, openFiles: 1_000, [])
        var held = try (0..<3).map { _ in try #require(TCPSocket(port: server.port)) }
        // Those are accepted once this one is served, which came last.
        let client = try WireClient(port: server.port)
        func isServed() -> Bool {
            client.begin(#"{"jsonrpc":"2.0","id":1,"method":"GetPools"}"# + "\n")
            return client.receiveAnswer()?["result"] != nil
        }
        // The start's background work is done: the journal has its first file.
        client.begin(
            #"{"jsonrpc":"2.0","id":2,"method":"AllocateServiceIPs","params":{"service":{"metadata":{"name":"a"}}}}"#
                + "\n")
        #expect(client.receiveAnswer()?["result"] != nil)
        let files = try openFiles(of: server)
        let lowestFree = try #require((0...).first { !files.contains($0) })
        try setLimit(of: server, lowestFree)

        // The kernel takes it; the server can't.
        let waiting = try #require(TCPSocket(port: server.port))
        let first = try #require(server.nextLogLine(with: "can't be accepted"))
        #expect(first.contains("Too many open files") && first.contains(#""openFilesLimit":"\#(lowestFree)""#))
        let (ticks, start) = (try processorTicks(of: server), ContinuousClock.now)
        #expect(isServed())
        let second = try JSONValue(parsing: try #require(server.nextLogLine(with: "can't be accepted")))
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        let attempts = try #require(second["attempts"]?.stringValue.flatMap { Int($0) })
        // A loop that spins makes thousands, and takes all of the time.
        #expect(attempts >= 1 && Double(attempts) <= seconds * 4 + 2, "\(attempts) in \(seconds) s")
        let busy = Double(try processorTicks(of: server) - ticks) / Double(sysconf(Int32(_SC_CLK_TCK)))
        #expect(busy < seconds / 2, "\(busy) s of \(seconds)")

        // The limit stays; there is room for the one that waits and for two more.
        held.removeAll()
        let metrics = Curl(port: server.port).request("/metrics").body
        let pauses = metrics.split(separator: "\n").first { $0.hasPrefix("tandem_accept_pauses_total ") }
        #expect(pauses.flatMap { Int($0.split(separator: " ")[1]) } ?? 0 > attempts)
        withExtendedLifetime(waiting) {}
        #expect(server.stop() == 0)
    }

    private func setLimit(of server: ServerProcess, _ files: Int) throws {
        let result = Command.run("prlimit", ["--pid", String(server.processID), "--nofile=\(files):"])
        try #require(result.status == 0, "\(result.errors)")
    }

    private func openFiles(of server: ServerProcess) throws -> Set<Int> {
        Set(try FileManager.default.contentsOfDirectory(atPath: "/proc/\(server.processID)/fd").compactMap { Int($0) })
    }

    /// User and system time so far.
    private func processorTicks(of server: ServerProcess) throws -> Int {
        let line = try String(contentsOfFile: "/proc/\(server.processID)/stat", encoding: .utf8)
        // Behind the name, which may hold anything, the 12th and 13th.
        let fields = line[try #require(line.lastIndex(of: ")"))...].split(separator: " ")
        return try #require(Int(fields[12])) + #require(Int(fields[13]))
    }
}

/// A server's background work, while connections take every descriptor that they may have.
@Suite("Descriptors under load", .serialized)
struct DescriptorLoadTests {
    /// Connections that come without a pause, each to be refused or in another's place, and stay as long as they may.
    private final class Flood: @unchecked Sendable {
        // Proof: the sockets are the flood's own thread's, once it is there.
        private var sockets: [TCPSocket] = []
        private let isDone = DispatchSemaphore(value: 0)
        private let hasEnded = DispatchSemaphore(value: 0)

        init(port: Int) {
            Thread.detachNewThread { [self] in
                while isDone.wait(timeout: .now() + 0.005) == .timedOut {
                    guard let socket = TCPSocket(port: port) else { continue }
                    socket.send([22, 3, 1, 2, 0, 1])
                    sockets.append(socket)
                    if sockets.count > 100 { sockets.removeFirst() }
                }
                sockets = []
                hasEnded.signal()
            }
        }

        func end() {
            isDone.signal()
            hasEnded.wait()
        }
    }

    private let release =
        #"{"jsonrpc":"2.0","id":1,"method":"Release","params":{"service":{"metadata":{"name":"NAME"}}}}"#

    /// `known`: of the 33 places, those that clients with certificates have.
    @Test(
        "backups, folds, certificates and the audit log have descriptors left, whichever clients have the connections",
        arguments: [33, 10])
    func leavesReserve(_ known: Int) throws {
        let directory = ScratchDirectory()
        let audit = "\(directory.path)/audit.log"
        let server = try ServerProcess(
            command: ["sh", "-c", "ulimit -n 117; exec \"$@\"", "sh", ServerProcess.program]
                + ServerProcess.tls + ServerProcess.ranges + [
                    "--data-dir=\(directory.path)/data", "--secure-port=0", "--log-format=json", "--event-loops=1",
                    "--audit-log-path=\(audit)", "--audit-log-maxsize=1",
                ])
        let pools = #"{"jsonrpc":"2.0","id":1,"method":"GetPools"}"# + "\n"
        // Three that ask in HTTP.
        func get(_ client: WireClient, _ path: String) {
            client.begin("GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n")
        }
        let web = try (0..<3).map { _ in
            let client = try WireClient(port: server.port, protocols: ["http/1.1"])
            get(client, "/livez")
            #expect(client.receive()?.occurrences(of: " 200 ") == 1)
            for _ in 0..<3 { _ = client.receive() }
            return client
        }
        // Each identity keeps as many places as it leaves for others: 17, 8, 4, 2, 1 and 1 of 33.
        let roles = [("admin", 14), ("viewer", 8), ("services", 4), ("pods", 2), ("node-n1", 1), ("node-n2", 1)]
            .flatMap { Array(repeating: $0.0, count: $0.1) }
        let clients = try roles[..<(known - 3)].map { role in
            let client = try WireClient(port: server.port, role: role)
            client.begin(pools)
            #expect(client.receive() != nil)
            return client
        }
        let flood = Flood(port: server.port)
        defer { flood.end() }
        /// A whole number of `/metrics`.
        func metric(_ name: String) throws -> Int {
            get(web[2], "/metrics")
            var value = 0
            while let line = web[2].receive().map({ String(buffer: $0) }), !line.hasPrefix("process_start_time") {
                if line.hasPrefix(name + " ") { value = Int(line.dropFirst(name.count + 1)) ?? 0 }
            }
            return value
        }
        // Until all are there that may be: the places, and those that leave.
        var most = 0
        for _ in 0..<10_000 where most < 33 + 18 { most = max(most, try openSockets(of: server)) }
        #expect(most >= 33 + 18)

        // Backups: two at a time, of three that are asked for.
        for client in web[..<2] { get(client, "/backup") }
        for client in web[..<2] { #expect(client.receive()?.occurrences(of: " 200 ") == 1) }

        // The audit log moves on, a change is folded, certificates are read.
        let named = release.replacing("NAME", with: String(repeating: "x", count: 63))
        let batch = "[" + Array(repeating: named, count: 500).joined(separator: ",") + "]\n"
        for _ in 0..<12 {
            clients[0].begin(batch)
            #expect(clients[0].receive()?.occurrences(of: "released") == 500)
        }
        clients[0].begin(
            #"{"jsonrpc":"2.0","id":1,"method":"AllocateServiceIPs","params":{"service":{"metadata":{"name":"a"},"spec":{}}}}"#
                + "\n")
        #expect(clients[0].receive()?.occurrences(of: "clusterIP") ?? 0 > 0)
        #expect(try (0..<2_000).contains { _ in try metric("tandem_checkpoint_lag_changes") == 0 })
        server.send(SIGHUP)
        #expect(server.log.entry { $0["cause"] == "SIGHUP" }?["level"] == "notice")
        // It is written behind the answers: each look takes a call.
        let hasMovedOn = try (0..<2_000).contains { _ in
            try metric("tandem_ready") == 1 && FileManager.default.fileExists(atPath: audit + ".1")
        }
        #expect(hasMovedOn)

        #expect(try metric("tandem_accept_pauses_total") == 0)
        #expect(try metric("tandem_audit_file_errors_total") == 0)
        // The connections that there may be at any time; the rest is for everything else.
        for _ in 0..<1_000 { most = max(most, try openSockets(of: server)) }
        #expect(most <= 33 + 26, "\(most)")
        for client in clients {
            client.begin(pools)
            #expect(client.receive() != nil)
        }
        #expect(server.log.text.contains("connections are refused") == (known == 33))
        #expect(!server.log.text.contains("can't be"))
    }

    /// Connections of the server: its sockets but for the listener and those of signals.
    private func openSockets(of server: ServerProcess) throws -> Int {
        let folder = "/proc/\(server.processID)/fd"
        return try FileManager.default.contentsOfDirectory(atPath: folder).count {
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\($0)"))?.hasPrefix("socket:")
                ?? false
        } - 1
    }
}

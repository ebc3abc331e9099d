import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing

@Suite("Life cycle", .serialized)
struct LifeCycleTests {
    /// The notifications for systemd: datagrams on a socket of the test's own.
    private final class NotifyListener {
        let path: String
        private let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)

        init(_ path: String) throws {
            self.path = path
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
            let status = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            try #require(status == 0)
            // One that never hears anything fails rather than hangs.
            var patience = timeval(tv_sec: 30, tv_usec: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        }

        deinit { close(descriptor) }

        /// The lines of the next datagram; blocks until there is one.
        func next() -> [String] {
            var bytes = [UInt8](repeating: 0, count: 4096)
            let count = max(0, recv(descriptor, &bytes, bytes.count, 0))
            return String(decoding: bytes[..<count], as: UTF8.self).split(separator: "\n").map(String.init)
        }
    }

    private func command(_ directory: String, _ more: [String], environment: [String] = []) -> [String] {
        environment + [ServerProcess.program] + ServerProcess.tls + ServerProcess.ranges
            + ["--data-dir=\(directory)/data", "--secure-port=0", "--log-format=json"] + more
    }

    @Test("systemd is told when calls are served, and when the server is leaving")
    func notifies() throws {
        let directory = ScratchDirectory()
        let listener = try NotifyListener("\(directory.path)/notify")
        let server = try ServerProcess(
            command: command(directory.path, [], environment: ["NOTIFY_SOCKET=\(listener.path)"]))
        #expect(listener.next() == ["READY=1", "STATUS=serving on 127.0.0.1:\(server.port)"])
        #expect(Curl(port: server.port, role: nil).request("/readyz").status == 200)
        #expect(server.stop() == 0)
        #expect(listener.next() == ["STOPPING=1", "STATUS=draining"])
        // No program listens at the socket, or none can: that keeps no server from serving.
        let deaf = try ServerProcess(
            command: command(directory.path, [], environment: ["NOTIFY_SOCKET=\(directory.path)/nobody"]))
        #expect(deaf.stop() == 0)
    }

    @Test("told to stop: unready at once but alive, and still serving for the delay; then it drains and ends with 0")
    func leaves() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(command: command(directory.path, ["--shutdown-delay=3600"]))
        let stream = try LineStream(port: server.port)
        #expect(stream.call(.getPools)?["result"] != nil)
        server.send(SIGTERM)
        _ = server.log.entry { $0["message"] == "leaving" }
        let anyone = Curl(port: server.port, role: nil)
        #expect(anyone.request("/livez").status == 200)
        let ready = anyone.request("/readyz")
        #expect(ready.status == 503 && ready.body.contains("[-]serving failed: shutting down"))
        #expect(anyone.request("/livez").headers["connection"] == "close")
        #expect(
            stream.call(.allocateServiceIPs, ["service": ["metadata": ["name": "late"], "spec": [:]]])?["result"] != nil
        )
        server.crash()
    }

    @Test("a drain answers calls in flight, closes idle connections, checkpoints, and exits with 0 in time")
    func drains() throws {
        let directory = ScratchDirectory()
        var server = try ServerProcess(directory.path, ServerProcess.ranges + ["--shutdown-timeout=30"])
        let idle = try LineStream(port: server.port)
        #expect(idle.call(.getPools)?["result"] != nil)
        let busy = try LineStream(port: server.port)
        for id in 0..<500 {
            busy.send(
                #"{"jsonrpc":"2.0","id":\#(id),"method":"AllocateServiceIPs","params":{"service":{"metadata":{"name":"s\#(id)"},"spec":{}}}}"#
            )
        }
        // The first answer says that the others are in flight or waiting to be read.
        #expect(busy.receive()?["result"] != nil)
        let started = Date()
        #expect(server.stop() == 0)
        #expect(Date().timeIntervalSince(started) < 30)
        #expect(idle.receive() == nil)
        var answered: Set<String> = []
        while let answer = busy.receive() {
            if let name = answer["result"]?["service"]?["metadata"]?["name"]?.stringValue { answered.insert(name) }
        }
        // Everything is in the tables, and nothing is left to replay.
        let tables = Command.run(
            "python3",
            [
                "-c",
                "import sqlite3,sys; d=sqlite3.connect(sys.argv[1]); print([d.execute('select count(*) from '+t).fetchone()[0] for t in ('journal','services')])",
                "\(directory.path)/tandem.db",
            ]
        ).output
        #expect(tables.hasPrefix("[0, "), "\(tables)")
        #expect(
            try Set(FileManager.default.contentsOfDirectory(atPath: directory.path)) == ["tandem.db", "tandem.lock"])
        server = try ServerProcess(directory.path)
        let stream = try LineStream(port: server.port)
        for name in answered {
            #expect(stream.call(.getService, ["service": ["metadata": ["name": .string(name)]]])?["result"] != nil)
        }
        #expect(server.stop() == 0)
    }

    @Test(
        "told to stop while storage does not answer: it ends in time with 1, says why, and loses nothing acknowledged",
        .enabled(if: StalledStorage.isAllowed))
    func leavesHungStorage() throws {
        func params(_ name: String) -> JSONValue { ["service": ["metadata": ["name": .string(name)], "spec": [:]]] }
        let directory = ScratchDirectory()
        var server = try ServerProcess(directory.path, ServerProcess.ranges + ["--shutdown-timeout=1"])
        let kept = try LineStream(port: server.port).call(.allocateServiceIPs, params("kept"))?["result"]?["service"]
        let storage = try StalledStorage(server)
        let stream = try LineStream(port: server.port)
        let request: JSONValue = [
            "jsonrpc": "2.0", "id": 1, "method": "AllocateServiceIPs", "params": params("waiting"),
        ]
        stream.send(request.text.description)
        let isWaiting = (0..<1_000).contains { _ in
            MetricsReader(port: server.port).value("tandem_journal_lag_seconds") != 0
        }
        #expect(isWaiting)
        server.send(SIGTERM)
        // One second to answer, one to tidy up, two for storage; the rest is for a machine that is slow.
        let status = try #require(server.exitStatus(within: 30))
        #expect(status == 1)
        #expect(stream.receive()?["result"] == nil)
        let lines = server.log.text.split(separator: "\n")
        #expect(
            lines.last?.hasPrefix("tandemd: storage did not answer within the 1 s of --shutdown-timeout") == true,
            "\(server.log.text)")
        storage.goOn()
        server = try ServerProcess(directory.path)
        let next = try LineStream(port: server.port)
        #expect(kept != nil && next.call(.allocateServiceIPs, params("kept"))?["result"]?["service"] == kept)
        #expect(next.call(.allocateServiceIPs, params("waiting"))?["result"]?["replayed"] != true)
        #expect(server.stop() == 0)
    }

    @Test(
        "a user without any privilege is served as root is",
        .enabled(if: getuid() == 0 && Project.tool("setpriv") != nil))
    func needsNoPrivilege() throws {
        let directory = ScratchDirectory()
        let certificates = ScratchDirectory()
        for name in ["ca.crt", "server.crt", "server.key"] {
            try FileManager.default.copyItem(
                atPath: "\(Certificates.shared.directory)/\(name)", toPath: "\(certificates.path)/\(name)")
        }
        _ = Command.run("chown", ["-R", "65532:65532", directory.path, certificates.path])
        let program = "\(certificates.path)/tandemd"
        try FileManager.default.copyItem(atPath: ServerProcess.program, toPath: program)
        let server = try ServerProcess(
            command: ["setpriv", "--reuid=65532", "--regid=65532", "--clear-groups", "--bounding-set=-all", program]
                + [
                    "--tls-cert-file=\(certificates.path)/server.crt",
                    "--tls-private-key-file=\(certificates.path)/server.key",
                    "--client-ca-file=\(certificates.path)/ca.crt", "--data-dir=\(directory.path)/data",
                    "--secure-port=0", "--log-format=json",
                ] + ServerProcess.ranges)
        #expect(Curl(port: server.port).request("/readyz").status == 200)
        #expect(try LineStream(port: server.port).call(.getPools)?["result"] != nil)
        #expect(server.stop() == 0)
    }

    @Test("the systemd unit is one that systemd accepts", .enabled(if: Project.tool("systemd-analyze") != nil))
    func unitIsSound() throws {
        let directory = ScratchDirectory()
        let unit = "\(directory.path)/tandemd.service"
        // The program is where the unit says on the machine that it is for; here it lies elsewhere.
        try Project.text("docker/systemd/tandemd.service")
            .replacing("/usr/local/bin/tandemd", with: ServerProcess.program)
            .write(toFile: unit, atomically: true, encoding: .utf8)
        let result = Command.run("systemd-analyze", ["verify", "--man=no", unit])
        #expect(result.status == 0 && result.errors.isEmpty, "\(result.errors)")
        let security = Command.run("systemd-analyze", ["security", "--offline=true", "--threshold=20", unit])
        #expect(security.status == 0, "\(security.output)")
    }
}

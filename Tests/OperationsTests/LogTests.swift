import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing

@Suite("Logs", .serialized)
struct LogTests {
    @Test("a refused call is one line, with its id and user; a successful one has none")
    func tellsRefusals() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let curl = Curl(port: server.port, role: "services")
        #expect(curl.rpc(#"{"jsonrpc":"2.0","id":"ok-1","method":"GetPools"}"#).json?["result"] != nil)
        let named = #""params":{"service":{"metadata":{"name":"s"}}}}"#
        _ = curl.rpc(#"{"jsonrpc":"2.0","id":"no-1","method":"UpdateServiceIPs",\#(named)"#)
        // A read of a missing object is no refusal.
        #expect(curl.rpc(#"{"jsonrpc":"2.0","id":"look-1","method":"GetService",\#(named)"#).json?["error"] != nil)
        _ = curl.rpc(#"{"jsonrpc":"2.0","id":7,"method":"GetPod","params":{"pod":{"metadata":{"name":"p"}}}}"#)
        _ = curl.rpc("neither JSON\nor one line")
        let missing = server.log.entry { $0["reason"] == "NotFound" }
        #expect(missing?["id"] == #""no-1""#)
        #expect(
            missing?["method"] == "UpdateServiceIPs" && missing?["object"] == "Service default/s"
                && missing?["user"] == "service-controller")
        #expect(missing?["status"] == "NOT_FOUND" && missing?["level"] == "info" && missing?["message"] == "refused")
        #expect(missing?["peer"]?.stringValue?.hasPrefix("127.0.0.1:") == true)
        let forbidden = server.log.entry { $0["reason"] == "Forbidden" }
        #expect(forbidden?["id"] == "7" && forbidden?["status"] == "PERMISSION_DENIED")
        #expect(server.log.entry { $0["reason"] == "ParseError" } != nil)
        #expect(server.stop() == 0)
        let lines = server.log.text.split(separator: "\n")
        #expect(lines.count { $0.contains("refused") } == 3)
        #expect(!server.log.text.contains("ok-1") && !server.log.text.contains("look-1"))
        #expect(lines.last?.contains("stopped") == true)
    }

    @Test("SIGUSR1 makes the log say more, SIGUSR2 less")
    func changesLevel() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let curl = Curl(port: server.port)
        func refused(_ id: String) {
            _ = curl.rpc(
                #"{"jsonrpc":"2.0","id":"\#(id)","method":"LookupIP","params":{"ip":"none"}}"#)
        }
        server.send(SIGUSR2)
        #expect(server.log.entry { $0["to"] == "notice" }?["message"] == "log level")
        refused("one")
        server.send(SIGUSR2)
        #expect(server.log.entry { $0["to"] == "warning" } != nil)
        server.send(SIGUSR1)
        server.send(SIGUSR1)
        // Two of a kind may reach a process as one.
        for _ in 0..<100_000 where !server.log.text.contains(#""to":"info""#) { server.send(SIGUSR1) }
        refused("two")
        #expect(server.log.entry { $0["id"] == #""two""# } != nil)
        #expect(server.stop() == 0)
        #expect(!server.log.text.contains("one"))
    }

    @Test("text: a client's input can't make a line of its own")
    func quotesText() throws {
        let directory = ScratchDirectory()
        // The port comes from a free one: text has no JSON to read it from.
        let socket = try ServerProcess(directory.path)
        let port = socket.port
        #expect(socket.stop() == 0)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: ServerProcess.program)
        process.arguments =
            ServerProcess.tls + ServerProcess.ranges + ["--data-dir=\(directory.path)", "--secure-port=\(port)"]
        let errors = Pipe()
        process.standardError = errors
        try Children.start(process)
        let reader = LineReader(errors.fileHandleForReading)
        let ready = reader.next() ?? ""
        #expect(ready.contains(" notice ready ") && ready.contains(" address=127.0.0.1:\(port)"), "\(ready)")
        _ = Curl(port: port).rpc(
            #"{"jsonrpc":"2.0","id":"a\nb=\"c\"","method":"UpdateServiceIPs","params":{"service":{"metadata":{"name":"p q\nr"}}}}"#
        )
        let line = reader.next() ?? ""
        #expect(line.contains(" info refused error="), "\(line)")
        #expect(line.contains(#" object="Service default/p q\nr""#), "\(line)")
        #expect(line.contains(" method=UpdateServiceIPs ") && line.contains(" status="), "\(line)")
        kill(process.processIdentifier, SIGTERM)
        #expect(reader.next()?.contains(" info draining connections=") == true)
        #expect(reader.next()?.hasSuffix(" notice stopped") == true)
        process.waitUntilExit()
    }

    @Test("the audit log has user, method, object, addresses and time of every change, and rotates")
    func audits() throws {
        let directory = ScratchDirectory()
        let path = "\(directory.path)/audit.log"
        let server = try ServerProcess(
            "\(directory.path)/data",
            ServerProcess.ranges + [
                "--load-balancer-ip-range=192.0.2.0/24", "--audit-log-path=\(path)", "--audit-log-maxsize=1",
                "--audit-log-maxbackup=2",
            ])
        let stream = try LineStream(port: server.port)
        // More than three files of a megabyte: a line is some 250 bytes.
        let name = String(repeating: "x", count: 63)
        for id in 0..<200 {
            let calls = (0..<100).map { _ in
                #"{"jsonrpc":"2.0","id":\#(id),"method":"Release","params":{"service":{"metadata":{"name":"\#(name)"}}}}"#
            }
            stream.send("[\(calls.joined(separator: ","))]")
            #expect(stream.receive()?.arrayValue?.count == 100)
        }
        #expect(server.stop() == 0)

        let files = try FileManager.default.contentsOfDirectory(atPath: directory.path).filter { $0.hasPrefix("audit") }
        #expect(Set(files) == ["audit.log", "audit.log.1", "audit.log.2"])
        var lines = 0
        for file in files {
            let text = try String(contentsOfFile: "\(directory.path)/\(file)", encoding: .utf8)
            #expect(text.utf8.count <= 1 << 20 && text.hasSuffix("\n"))
            for line in text.split(separator: "\n") {
                lines += 1
                #expect((try? JSONValue(parsing: String(line)))?["method"] == "Release")
            }
            let attributes = try FileManager.default.attributesOfItem(atPath: "\(directory.path)/\(file)")
            #expect(attributes[.posixPermissions] as? Int == 0o600)
        }
        #expect(lines > 8000)

        // The content of the entries.
        let second = try ServerProcess(
            "\(directory.path)/data2",
            ServerProcess.ranges + ["--load-balancer-ip-range=192.0.2.0/24", "--audit-log-path=\(path)2"])
        let again = Curl(port: second.port, role: "services")
        let service = again.rpc(
            #"{"jsonrpc":"2.0","id":"a","method":"AllocateServiceIPs","params":{"service":{"metadata":{"name":"w","namespace":"shop"},"spec":{"type":"LoadBalancer"}}}}"#
        ).json?["result"]?["service"]
        _ = again.rpc(#"{"jsonrpc":"2.0","id":"read","method":"GetPools"}"#)
        _ = again.rpc(
            #"{"jsonrpc":"2.0","id":"dry","method":"Release","params":{"dryRun":true,"service":{"metadata":{"name":"w","namespace":"shop"}}}}"#
        )
        _ = again.rpc(
            #"{"jsonrpc":"2.0","id":"b","method":"Release","params":{"service":{"metadata":{"name":"w","namespace":"shop"}}}}"#
        )
        _ = again.rpc(
            #"{"jsonrpc":"2.0","id":"c","method":"AllocateNodeCIDRs","params":{"node":{"metadata":{"name":"n1"}}}}"#)
        _ = Curl(port: second.port).rpc(
            #"{"jsonrpc":"2.0","id":"d","method":"AllocatePodIPs","params":{"pod":{"metadata":{"name":"p"},"spec":{"nodeName":"n1"}}}}"#
        )
        #expect(second.stop() == 0)
        let entries = try String(contentsOfFile: "\(path)2", encoding: .utf8).split(separator: "\n").map {
            try JSONValue(parsing: String($0))
        }
        #expect(entries.map { $0["id"] } == ["a", "b", "c", "d"])
        let held =
            (service?["spec"]?["clusterIPs"]?.arrayValue ?? [])
            + (service?["status"]?["loadBalancer"]?["ingress"]?.arrayValue ?? []).compactMap { $0["ip"] }
        #expect(held.count == 2)
        #expect(entries[0]["user"] == "service-controller" && entries[0]["groups"] == ["tandem:services"])
        #expect(entries[0]["method"] == "AllocateServiceIPs" && entries[0]["object"] == "Service shop/w")
        #expect(entries[0]["allocated"] == .array(held) && entries[0]["released"] == [])
        #expect(entries[0]["time"]?.stringValue?.hasPrefix("20") == true && entries[0]["peer"] != nil)
        #expect(Set(entries[1]["released"]?.arrayValue ?? []) == Set(held) && entries[1]["allocated"] == [])
        #expect(entries[2]["status"] == "PERMISSION_DENIED" && entries[2]["allocated"] == nil)
        #expect(entries[3]["allocated"] == ["10.244.0.2", "fd00:10:244::2"] && entries[3]["status"] == "OK")
    }

    @Test("with --audit-policy=all reads and dry runs are kept as well, and still nothing of a stranger")
    func auditsAll() throws {
        let directory = ScratchDirectory()
        let path = "\(directory.path)/audit.log"
        let server = try ServerProcess(
            "\(directory.path)/data", ServerProcess.ranges + ["--audit-log-path=\(path)", "--audit-policy=all"])
        let release = #""method":"Release","params":{"dryRun":true,"service":{"metadata":{"name":"w"}}}}"#
        _ = Curl(port: server.port).rpc(#"{"jsonrpc":"2.0","id":1,"method":"GetPools"}"#)
        _ = Curl(port: server.port).rpc(#"{"jsonrpc":"2.0","id":2,\#(release)"#)
        _ = Curl(port: server.port, role: nil).rpc(#"{"jsonrpc":"2.0","id":3,"method":"GetPools"}"#)
        _ = Curl(port: server.port, role: nil).rpc(#"{"jsonrpc":"2.0","id":4,\#(release)"#)
        // Forbidden calls may come without end: an entry a second stands for all of them.
        let refused = Array(repeating: #"{"jsonrpc":"2.0","id":5,\#(release)"#, count: 1_000).joined(separator: ",")
        _ = Curl(port: server.port, role: "viewer").rpc("[\(refused)]")
        #expect(server.stop() == 0)
        let entries = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map {
            try JSONValue(parsing: String($0))
        }
        try #require((3..<10).contains(entries.count))
        #expect(entries[0]["method"] == "GetPools" && entries[0]["dryRun"] == nil && entries[0]["status"] == "OK")
        #expect(entries[1]["method"] == "Release" && entries[1]["dryRun"] == true)
        #expect(entries.dropFirst(2).allSatisfy { $0["id"] == 5 })
    }

    @Test("an audit log that logrotate moved is begun anew on SIGHUP, without an entry")
    func followsAudit() throws {
        let directory = ScratchDirectory()
        let path = "\(directory.path)/audit.log"
        let server = try ServerProcess("\(directory.path)/data", ServerProcess.ranges + ["--audit-log-path=\(path)"])
        try FileManager.default.moveItem(atPath: path, toPath: path + ".moved")
        server.send(SIGHUP)
        let isThere = (0..<1_000).contains { _ in
            FileManager.default.fileExists(atPath: path)
                || Curl(port: server.port, role: nil).request("/livez").status != 200
        }
        #expect(isThere && FileManager.default.fileExists(atPath: path))
        #expect(server.stop() == 0)
    }

    @Test(
        "a disk that takes no more of the audit log stops no call; lines stay whole, and losses are counted",
        .enabled(if: Project.tool("prlimit") != nil))
    func survivesFullDisk() throws {
        let directory = ScratchDirectory()
        // It can't be moved aside either: its next name would be too long.
        let path = "\(directory.path)/\(String(repeating: "a", count: 253))"
        let server = try ServerProcess(
            command: ["prlimit", "--fsize=1500000", ServerProcess.program] + ServerProcess.tls + ServerProcess.ranges
                + [
                    "--data-dir=\(directory.path)/data", "--secure-port=0", "--log-format=json",
                    "--audit-log-path=\(path)", "--audit-log-maxsize=1",
                ])
        let stream = try LineStream(port: server.port)
        let name = String(repeating: "x", count: 63)
        let call = #"{"jsonrpc":"2.0","id":1,"method":"Release","params":{"service":{"metadata":{"name":"\#(name)"}}}}"#
        for _ in 0..<100 {
            stream.send("[\(Array(repeating: call, count: 100).joined(separator: ","))]")
            #expect(stream.receive()?.arrayValue?.count == 100)
        }
        // They are written behind the answers.
        let areCounted = (0..<400).contains { _ in
            MetricsReader(port: server.port).value("tandem_audit_dropped_entries_total", ["cause": "write"]) ?? 0 > 0
        }
        #expect(areCounted)
        #expect(stream.call(.getPools)?["result"] != nil)
        #expect(server.stop() == 0)
        let text = try String(contentsOfFile: path, encoding: .utf8)
        #expect(text.utf8.count > 1_400_000 && text.hasSuffix("}\n"))
        #expect(text.split(separator: "\n").allSatisfy { $0.hasPrefix("{") && $0.hasSuffix("}") })
        #expect((1...10).contains(server.log.text.matches(of: /audit log can't/).count))
    }

    @Test("an audit log that can't be written keeps the server from starting")
    func refusesAuditPath() {
        let directory = ScratchDirectory()
        let result = Command.run(
            ServerProcess.program,
            ServerProcess.tls + ServerProcess.ranges + [
                "--data-dir=\(directory.path)", "--secure-port=0", "--audit-log-path=/nowhere/audit.log",
            ])
        #expect(result.status == 1)
        #expect(
            result.errors
                == "tandemd: --audit-log-path: /nowhere/audit.log can't be written: No such file or directory\n")
    }
}

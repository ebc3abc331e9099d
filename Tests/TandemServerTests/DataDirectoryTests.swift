import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing

/// Changes to a server's files from outside, the files it leaves in its directory, and their modes.
@Suite("The data directory of a server", .serialized)
struct DataDirectoryTests {
    private let files = FileManager.default

    private func service(_ name: String) -> JSONValue {
        ["service": ["metadata": ["name": .string(name)], "spec": ["ipFamilyPolicy": "PreferDualStack"]]]
    }

    private func mode(_ path: String) throws -> Int {
        try #require(try files.attributesOfItem(atPath: path)[.posixPermissions] as? Int, "\(path)")
    }

    @Test(
        "a database that is moved away ends all acknowledging and the server, which says the cure; put back it is served",
        .enabled(if: StalledStorage.isAllowed))
    func endsWithItsDatabase() throws {
        let directory = ScratchDirectory()
        let (database, away) = ("\(directory.path)/tandem.db", "\(directory.path)/away")
        var server = try ServerProcess(directory.path)
        var stream = try LineStream(port: server.port)
        let kept = try #require(stream.call(.allocateServiceIPs, service("before"))?["result"]?["service"])
        // Its storage looks only when the call is there.
        let storage = try StalledStorage(server)
        try files.moveItem(atPath: database, toPath: away)
        stream.send(
            #"{"jsonrpc":"2.0","id":9,"method":"AllocateServiceIPs","params":{"service":{"metadata":{"name":"lost"}}}}"#
        )
        // Answered behind it on the same loop: the call waits for storage by now.
        stream.send(#"{"jsonrpc":"2.0","id":10,"method":"GetPools"}"#)
        #expect(stream.receive()?["id"] == 10)
        storage.goOn()
        let error = stream.receive()?["error"]
        #expect(error?["code"] == -32014, "\(String(describing: error))")
        #expect(error?["message"]?.stringValue?.contains("\(database) was moved away") == true)
        // Unready, until no server listens any more.
        #expect(Curl(port: server.port, role: nil).request("/readyz").status != 200)
        #expect(server.exitStatus(within: 60) == 1)
        let said = server.log.entry { $0["message"] == "storage has failed" }
        #expect(said?["error"]?.stringValue?.contains("--restore FILE") == true, "\(server.log.text)")
        // A supervisor starts it again: that is no reason to begin with no addresses given out.
        let refused = try #require(#expect(throws: ServerProcess.NotReady.self) { try ServerProcess(directory.path) })
        #expect(refused.description.contains("its database \(database) is not"), "\(refused)")
        try files.moveItem(atPath: away, toPath: database)
        server = try ServerProcess(directory.path)
        stream = try LineStream(port: server.port)
        #expect(
            stream.call(.getService, ["service": ["metadata": ["name": "before"]]])?["result"]?["service"] == kept)
        #expect(server.stop() == 0)
    }

    @Test("a server killed in a backup has left nothing behind after the next start")
    func leavesNoCopies() throws {
        let directory = ScratchDirectory()
        var server = try ServerProcess(directory.path)
        #expect(try LineStream(port: server.port).call(.allocateServiceIPs, service("web"))?["result"] != nil)
        #expect(server.stop() == 0)
        // Much to copy.
        let filled = Command.run(
            "sqlite3",
            [
                "\(directory.path)/tandem.db",
                """
                WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
                INSERT INTO stored_services (key, version, holdings, context, document)
                SELECT 'default/copy-' || i, version, '', context, json_set(document, '$.metadata.name', 'copy-' || i,
                '$.metadata.annotations', json_object('filler', printf('%1000s', ''))) FROM n, services
                """,
            ])
        #expect(filled.status == 0, "\(filled.errors)")
        func copies() throws -> [String] {
            try files.contentsOfDirectory(atPath: directory.path).filter { $0.hasPrefix("tandem.db.") }
        }
        // Until a kill hits the copying.
        while try copies().isEmpty {
            server = try ServerProcess(directory.path)
            let port = server.port
            let ended = DispatchSemaphore(value: 0)
            Thread.detachNewThread {
                _ = Curl(port: port).request("/backup", ["-o", "/dev/null"])
                ended.signal()
            }
            var hasEnded = false
            while try !hasEnded && copies().isEmpty { hasEnded = ended.wait(timeout: .now()) == .success }
            server.crash()
            if !hasEnded { ended.wait() }
        }
        server = try ServerProcess(directory.path)
        #expect(
            Set(try files.contentsOfDirectory(atPath: directory.path).filter { !$0.hasPrefix("tandem.journal-") }) == [
                "tandem.db", "tandem.db-shm", "tandem.db-wal", "tandem.lock",
            ])
        #expect(server.stop() == 0)
    }

    @Test("database, lock, audit log and backups are their owner's alone, whatever the umask and whatever they were")
    func keepsFilesPrivate() throws {
        let scratch = ScratchDirectory()
        let (data, audit, backup) = ("\(scratch.path)/data", "\(scratch.path)/audit.log", "\(scratch.path)/backup.db")
        func loosely(_ command: [String]) -> [String] { ["sh", "-c", "umask 0; exec \"$@\"", "sh"] + command }
        let command = loosely(
            [ServerProcess.program] + ServerProcess.tls + ServerProcess.ranges + [
                "--data-dir=\(data)", "--secure-port=0", "--log-format=json", "--audit-log-path=\(audit)",
            ])
        for round in 0..<2 {
            let server = try ServerProcess(command: command)
            #expect(
                try LineStream(port: server.port).call(.allocateServiceIPs, service("web-\(round)"))?["result"] != nil)
            let certificates = Certificates.shared
            let saved = Command.run(
                "env",
                loosely([
                    ServerProcess.program("tandemctl"), "backup", "\(backup)\(round)", "--server",
                    "127.0.0.1:\(server.port)", "--ca-file", certificates.ca, "--cert-file",
                    certificates.certificate("admin"), "--key-file", certificates.key("admin"),
                ]))
            #expect(saved.status == 0, "\(saved.errors)")
            #expect(try mode(data) == 0o700)
            #expect(try mode(audit) == 0o600)
            #expect(try mode("\(backup)\(round)") == 0o600)
            for name in try files.contentsOfDirectory(atPath: data) {
                #expect(try mode("\(data)/\(name)") == 0o600, "\(name)")
            }
            #expect(server.stop() == 0)
            for name in try files.contentsOfDirectory(atPath: data) { chmod("\(data)/\(name)", 0o666) }
            chmod(audit, 0o666)
        }
    }

    @Test("a backup with a trigger in it is not started from, and the directory stays as it is")
    func refusesStrangeBackups() throws {
        let scratch = ScratchDirectory()
        let (data, backup) = ("\(scratch.path)/data", "\(scratch.path)/backup.db")
        let server = try ServerProcess(data)
        #expect(Ctl(port: server.port)("backup \(backup)").status == 0)
        #expect(server.stop() == 0)
        let changed = Command.run(
            "sqlite3", [backup, "CREATE TRIGGER t AFTER INSERT ON stored_pods BEGIN DELETE FROM stored_services; END"])
        #expect(changed.status == 0, "\(changed.errors)")
        let target = "\(scratch.path)/other"
        let refused = try #require(
            #expect(throws: ServerProcess.NotReady.self) {
                try ServerProcess(target, ServerProcess.ranges + ["--restore=\(backup)"])
            })
        #expect(refused.description.contains("the trigger t") && refused.description.contains("restore"), "\(refused)")
        #expect(try files.contentsOfDirectory(atPath: target) == ["tandem.lock"])
    }
}

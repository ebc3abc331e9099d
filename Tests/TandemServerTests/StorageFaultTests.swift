import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing

/// Real faults of storage under a real server: the answers to its clients, the answer of `/readyz`, the state kept, and how
/// it comes back.
@Suite("Storage faults under a server", .serialized)
struct StorageFaultTests {
    /// A small file system of its own, which goes away with the test.
    private final class SmallDisk {
        let directory = ScratchDirectory()

        static let isAllowed: Bool = {
            let directory = ScratchDirectory()
            defer { _ = Command.run("umount", [directory.path]) }
            return geteuid() == 0 && Command.run("mount", ["-t", "tmpfs", "tmpfs", directory.path]).status == 0
        }()

        init() {
            let result = Command.run("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", directory.path])
            #expect(result.status == 0, "\(result.errors)")
        }

        deinit { _ = Command.run("umount", ["-l", directory.path]) }

        var filler: String { "\(directory.path)/filler" }

        /// Leaves no byte free.
        func fill() {
            _ = Command.run("dd", ["if=/dev/zero", "of=\(filler)", "bs=4096"])
        }
    }

    private func allocate(_ server: ServerProcess, _ name: String) -> JSONValue? {
        Curl(port: server.port).rpc(
            #"{"jsonrpc":"2.0","id":1,"method":"AllocateServiceIPs","params":{"service":{"metadata":{"name":"\#(name)"},"spec":{"ipFamilyPolicy":"PreferDualStack"}}}}"#
        ).json
    }

    private func get(_ server: ServerProcess, _ name: String) -> JSONValue? {
        Curl(port: server.port).rpc(
            #"{"jsonrpc":"2.0","id":1,"method":"GetService","params":{"service":{"metadata":{"name":"\#(name)"}}}}"#
        ).json?["result"]?["service"]
    }

    private func expectUnavailable(_ answer: JSONValue?, _ word: String) {
        let error = answer?["error"]
        #expect(error?["code"] == -32014, "\(String(describing: answer))")
        #expect(error?["data"]?["retryable"] == true)
        #expect(error?["message"]?.stringValue?.contains(word) == true, "\(String(describing: error))")
    }

    private func expectUnready(_ server: ServerProcess, _ word: String) {
        let answer = Curl(port: server.port, role: nil).request("/readyz")
        #expect(answer.status == 503)
        #expect(answer.body.contains("[-]storage failed") && answer.body.contains(word), "\(answer.body)")
        #expect(Curl(port: server.port, role: nil).request("/livez").status == 200)
    }

    /// The line with which a start was refused.
    private func refusedStart(_ directory: String) throws -> String {
        try #require(#expect(throws: ServerProcess.NotReady.self) { try ServerProcess(directory) }).description
    }

    @Test(
        "a full disk: UNAVAILABLE, unready, reads go on; with room again it works at once",
        .enabled(if: SmallDisk.isAllowed))
    func survivesFullDisks() throws {
        let disk = SmallDisk()
        let data = "\(disk.directory.path)/data"
        var server = try ServerProcess(data)
        var kept: [String: JSONValue] = [:]
        kept["before"] = allocate(server, "before")?["result"]?["service"]
        disk.fill()
        // Changes that fit into the journal's existing files are still kept.
        var refused: JSONValue?
        for step in 0..<600 where refused == nil {
            let answer = allocate(server, "full-\(step)")
            if let service = answer?["result"]?["service"] {
                kept["full-\(step)"] = service
            } else {
                refused = answer
            }
        }
        expectUnavailable(refused, "the disk is full; make room on it")
        expectUnready(server, "the disk is full")
        for (name, service) in kept { #expect(get(server, name) == service, "\(name)") }
        try FileManager.default.removeItem(atPath: disk.filler)
        kept["after"] = allocate(server, "after")?["result"]?["service"]
        #expect(kept["after"] != nil)
        #expect(Curl(port: server.port, role: nil).request("/readyz").status == 200)
        server.crash()
        server = try ServerProcess(data)
        for (name, service) in kept { #expect(get(server, name) == service, "\(name)") }
        #expect(server.stop() == 0)
    }

    @Test("a start on a full disk is refused, and says so", .enabled(if: SmallDisk.isAllowed))
    func refusesFullDisks() throws {
        let disk = SmallDisk()
        disk.fill()
        let said = try refusedStart("\(disk.directory.path)/data")
        #expect(said.contains("data-dir") && (said.contains("full") || said.contains("No space left")), "\(said)")
    }

    @Test(
        "a file system that became read-only: the start is refused; no server's files change under it",
        .enabled(if: SmallDisk.isAllowed))
    func refusesReadOnlyDisks() throws {
        let disk = SmallDisk()
        let data = "\(disk.directory.path)/data"
        var server = try ServerProcess(data)
        let service = allocate(server, "web")?["result"]?["service"]
        // The kernel keeps a file system writable that has a file open for writing.
        #expect(Command.run("mount", ["-o", "remount,ro", disk.directory.path]).status != 0)
        server.crash()
        #expect(Command.run("mount", ["-o", "remount,ro", disk.directory.path]).status == 0)
        let said = try refusedStart(data)
        #expect(
            said.contains("the directory \(data) can't be written") && said.contains("Read-only file system"), "\(said)"
        )
        #expect(Command.run("mount", ["-o", "remount,rw", disk.directory.path]).status == 0)
        server = try ServerProcess(data)
        #expect(service != nil && get(server, "web") == service)
        #expect(server.stop() == 0)
    }

    @Test("another program that holds the database keeps no change waiting, nor a stop; a start names the cause")
    func waitsForOthers() throws {
        let directory = ScratchDirectory()
        var server = try ServerProcess(directory.path)
        #expect(allocate(server, "before")?["result"] != nil)
        var holder = try DatabaseHolder("\(directory.path)/tandem.db")
        let held = try #require(allocate(server, "held")?["result"]?["service"])
        #expect(Curl(port: server.port, role: nil).request("/readyz").status == 200)
        #expect(server.stop() == 0)
        holder.letGo()
        server = try ServerProcess(directory.path)
        #expect(get(server, "held") == held)
        #expect(server.stop() == 0)
        holder = try DatabaseHolder("\(directory.path)/tandem.db", .everything)
        let said = try refusedStart(directory.path)
        #expect(said.contains("locked by another program"), "\(said)")
        holder.letGo()
    }

    @Test("a damaged page: the start is refused with the table and the cure, and the cure works")
    func restoresBackups() throws {
        let directory = ScratchDirectory()
        let data = "\(directory.path)/data"
        var server = try ServerProcess(data)
        let service = allocate(server, "web")?["result"]?["service"]
        let backup = "\(directory.path)/backup.db"
        let certificates = Certificates.shared
        let copied = Command.run(
            "curl",
            [
                "-sSf", "--cacert", certificates.ca, "--cert", certificates.certificate("admin"), "--key",
                certificates.key("admin"), "-o", backup, "https://127.0.0.1:\(server.port)/backup",
            ])
        #expect(copied.status == 0, "\(copied.errors)")
        #expect(server.stop() == 0)
        let root = Command.run(
            "sqlite3", ["\(data)/tandem.db", "SELECT rootpage FROM sqlite_master WHERE name = 'stored_services'"]
        ).output.trimmingCharacters(in: .newlines)
        let file = try #require(FileHandle(forUpdatingAtPath: "\(data)/tandem.db"))
        try file.seek(toOffset: UInt64((Int(root)! - 1) * 4096))
        try file.write(contentsOf: Data(repeating: 0xA5, count: 4096))
        try file.close()
        let damaged = try Data(contentsOf: URL(fileURLWithPath: "\(data)/tandem.db"))
        let said = try refusedStart(data)
        #expect(said.contains("damaged, in the table stored_services"), "\(said)")
        #expect(said.contains("tandemctl backup") && said.contains("--restore FILE"), "\(said)")
        #expect(try Data(contentsOf: URL(fileURLWithPath: "\(data)/tandem.db")) == damaged)
        for name in ["tandem.db", "tandem.db-wal"] where FileManager.default.fileExists(atPath: "\(data)/\(name)") {
            try FileManager.default.moveItem(atPath: "\(data)/\(name)", toPath: "\(directory.path)/\(name).damaged")
        }
        server = try ServerProcess(data, ServerProcess.ranges + ["--restore=\(backup)"])
        #expect(service != nil && get(server, "web") == service)
        #expect(server.stop() == 0)
    }
}

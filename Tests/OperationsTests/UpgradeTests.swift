import Foundation
import ServerSupport
import Synchronization
import TandemAPI
import TestSupport
import Testing

/// Data that an older version wrote, and copies made while calls go on.
@Suite("Upgrade, backup and restore", .serialized)
struct UpgradeTests {
    /// A data directory of version 1 as `kill -9` left it: most objects in the tables, the last changes in the journal alone.
    /// Beside it, the answers of that version.
    private static let fixture = "\(Project.root)/Tests/OperationsTests/Fixtures/version-1"
    private static let flags = ServerProcess.ranges + ["--load-balancer-ip-range=192.0.2.0/24,2001:db8::/112"]

    /// All objects and pools, in the order of names.
    private func everything(_ server: ServerProcess) throws -> [JSONValue] {
        let stream = try LineStream(port: server.port)
        func sorted(_ list: JSONValue?) -> [JSONValue] {
            func key(_ object: JSONValue) -> String {
                let metadata = object["metadata"]
                return (metadata?["namespace"]?.stringValue ?? "") + "/"
                    + (metadata?["name"] ?? object["name"] ?? "").text
                    .description
            }
            return (list?.arrayValue ?? []).sorted { key($0) < key($1) }
        }
        return sorted(stream.call(.listServices)?["result"]?["items"])
            + sorted(stream.call(.listNodes)?["result"]?["items"]) + sorted(stream.call(.listPods)?["result"]?["items"])
            + sorted(stream.call(.getPools)?["result"]?["pools"])
    }

    private func check(_ server: ServerProcess) -> String {
        let certificates = Certificates.shared
        return Command.run(
            ServerProcess.program("tandemctl"),
            [
                "check", "--server", "127.0.0.1:\(server.port)", "--ca-file", certificates.ca, "--cert-file",
                certificates.certificate("admin"), "--key-file", certificates.key("admin"),
            ]
        ).output
    }

    private func backup(_ server: ServerProcess, to file: String) -> Command.Result {
        let certificates = Certificates.shared
        return Command.run(
            ServerProcess.program("tandemctl"),
            [
                "backup", file, "--server", "127.0.0.1:\(server.port)", "--ca-file", certificates.ca, "--cert-file",
                certificates.certificate("admin"), "--key-file", certificates.key("admin"),
            ])
    }

    private func upgraded(_ server: ServerProcess) throws {
        let old = try JSONValue(parsing: try String(contentsOfFile: Self.fixture + ".json", encoding: .utf8))
        let before = ["ListServices", "ListNodes", "ListPods"].flatMap { old[$0]?.arrayValue ?? [] }
        let now = try everything(server)
        #expect(before.count == 13 + 4 + 10)
        #expect(now.prefix(before.count).map(\.withoutAttachment) == before)
        for pool in old["GetPools"]?.arrayValue ?? [] {
            let same = now.first { $0["name"] == pool["name"] }
            #expect(same?["allocated"] == pool["allocated"] && same?["cidr"] == pool["cidr"], "\(pool["name"] ?? "")")
        }
        #expect(check(server).hasPrefix("ok: "), "\(check(server))")
        // Old identities are known, old versions are not given again, and no old address is.
        let stream = try LineStream(port: server.port)
        let again = stream.call(
            .allocatePodIPs,
            ["pod": ["metadata": ["name": "late", "uid": "u-1"], "spec": ["nodeName": "n9"]]])
        #expect(again?["result"]?["replayed"] == true)
        let versions = before.compactMap { $0["metadata"]?["resourceVersion"]?.stringValue.flatMap { Int($0) } }
        let made = stream.call(.allocateServiceIPs, ["service": ["metadata": ["name": "new"], "spec": [:]]])?["result"]
        let version = made?["service"]?["metadata"]?["resourceVersion"]?.stringValue.flatMap { Int($0) }
        #expect(version ?? 0 > versions.max() ?? 0)
        #expect(check(server).hasPrefix("ok: "))
    }

    @Test("a data directory of version 1 is brought to this one: every object, address and identity as it was")
    func upgradesDirectory() throws {
        let directory = ScratchDirectory()
        try FileManager.default.copyItem(atPath: Self.fixture + ".db", toPath: "\(directory.path)/tandem.db")
        var server = try ServerProcess(directory.path, Self.flags)
        try upgraded(server)
        let before = try everything(server)
        server.crash()
        server = try ServerProcess(directory.path, Self.flags)
        #expect(try everything(server) == before)
        #expect(server.stop() == 0)
    }

    @Test("a backup that version 1 made is restored by this one")
    func restoresOldBackup() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path, Self.flags + ["--restore=\(Self.fixture).db"])
        try upgraded(server)
        #expect(server.stop() == 0)
    }

    @Test("a backup taken while calls go on has everything that was acknowledged before, whole, and starts elsewhere")
    func backsUpWhileServing() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess("\(directory.path)/old", Self.flags)
        let acknowledged = Mutex<[String]>([])
        let isDone = Mutex(false)
        let port = server.port
        let writer = Thread {
            guard let stream = try? LineStream(port: port) else { return }
            var number = 0
            while !isDone.withLock({ $0 }) {
                number += 1
                let answer = stream.call(
                    .allocateServiceIPs,
                    [
                        "service": [
                            "metadata": ["name": .string("s\(number)")], "spec": ["ipFamilyPolicy": "RequireDualStack"],
                        ]
                    ])
                if answer?["result"] != nil { acknowledged.withLock { $0.append("s\(number)") } }
            }
            acknowledged.withLock { $0.append("end") }
        }
        writer.start()
        var copies: [(file: String, names: [String])] = []
        for number in 0..<3 {
            while acknowledged.withLock({ $0.count }) < (number + 1) * 20 {}
            let names = acknowledged.withLock { $0 }
            let file = "\(directory.path)/backup-\(number).db"
            let result = backup(server, to: file)
            #expect(result.status == 0, "\(result.errors)")
            copies.append((file, names))
        }
        isDone.withLock { $0 = true }
        while acknowledged.withLock({ $0.last }) != "end" {}
        #expect(server.stop() == 0)
        for (file, names) in copies {
            let copy = try ServerProcess("\(directory.path)/\(names.count)", Self.flags + ["--restore=\(file)"])
            #expect(check(copy).hasPrefix("ok: "))
            let stream = try LineStream(port: copy.port)
            for name in names {
                let found = stream.call(.getService, ["service": ["metadata": ["name": .string(name)]]])
                #expect(found?["result"]?["service"]?["spec"]?["clusterIPs"]?.arrayValue?.count == 2, "\(name)")
            }
            #expect(copy.stop() == 0)
        }
    }
}

extension JSONValue {
    /// Lists show since 1.1 which interface a pod's row is.
    fileprivate var withoutAttachment: JSONValue {
        var object = self
        object["attachment"] = nil
        return object
    }
}

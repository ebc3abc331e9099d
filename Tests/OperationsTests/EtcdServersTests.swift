import EtcdSupport
import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing

/// Real servers over a real etcd: any of them answers, and no client that retries notices the death of one, or of a member.
@Suite("Servers over etcd", .enabled(if: EtcdCluster.program != nil), .serialized)
struct EtcdServersTests {
    private func allocate(_ stream: LineStream, _ name: String) -> JSONValue? {
        stream.call(
            .allocateServiceIPs,
            ["service": ["metadata": ["name": .string(name)], "spec": ["ipFamilyPolicy": "RequireDualStack"]]])?[
                "result"]
    }

    private func addresses(_ result: JSONValue?) -> [String] {
        result?["service"]?["spec"]?["clusterIPs"]?.arrayValue?.compactMap(\.stringValue) ?? []
    }

    @Test(
        "every server shows the allocations of each; servers and a member are killed, and nothing is lost or assigned twice"
    )
    func survives() async throws {
        let cluster = try await EtcdCluster(members: 3)
        var servers = try (0..<3).map { _ in try ServerProcess(etcd: cluster.servers) }
        var given: [String: [String]] = [:]
        func allocateSome(_ round: Int) throws {
            for number in 0..<30 {
                let name = "s\(round)-\(number)"
                // A client whose server does not answer goes to the next, and asks for the same.
                for attempt in 0..<40 {
                    let server = servers[(number + attempt) % servers.count]
                    guard let stream = try? LineStream(port: server.port) else { continue }
                    let found = addresses(allocate(stream, name))
                    guard found.count == 2 else { continue }
                    given[name] = found
                    break
                }
            }
        }
        try allocateSome(0)
        servers.removeFirst().crash()
        try allocateSome(1)
        cluster.members[0].crash()
        try allocateSome(2)
        servers.append(try ServerProcess(etcd: cluster.servers))
        try await cluster.members[0].restart()
        servers.removeFirst().crash()
        try allocateSome(3)
        #expect(given.count == 120)
        #expect(Set(given.values.joined()).count == 240)
        for server in servers {
            let stream = try LineStream(port: server.port)
            for (name, addresses) in given {
                let service = stream.call(.getService, ["service": ["metadata": ["name": .string(name)]]])?["result"]
                #expect(self.addresses(service) == addresses, "\(name)")
            }
            #expect(server.stop() == 0)
        }
    }

    @Test(
        "a watch at one server goes on at another from the version that it came to: nothing is missed, nothing told twice"
    )
    func watchGoesOnElsewhere() async throws {
        let cluster = try await EtcdCluster()
        let servers = [try ServerProcess(etcd: cluster.servers), try ServerProcess(etcd: cluster.servers)]
        let changes = try servers.map { try LineStream(port: $0.port) }
        // Each change is made at the server that the watch is not at: it is told once etcd has brought it there.
        func allocateSome(_ names: ClosedRange<Int>, through stream: LineStream) {
            for number in names { #expect(addresses(allocate(stream, "s\(number)")).count == 2) }
        }
        /// The events up to that of the object of the name; each must have the version that follows.
        func follow(_ watch: LineStream, from version: inout UInt64, until last: String) -> [String] {
            var told: [String] = []
            while told.last != last, let line = watch.receive() {
                for event in line["params"]?["events"]?.arrayValue ?? [] {
                    let here = event["resourceVersion"]?.stringValue.flatMap { UInt64($0) } ?? 0
                    guard event["type"] != "BOOKMARK" else {
                        #expect(here == version)
                        continue
                    }
                    #expect(here == version + 1)
                    version = here
                    told.append(event["object"]?["metadata"]?["name"]?.stringValue ?? "")
                }
            }
            return told
        }
        // From "0" on it would begin with the stored objects.
        #expect(addresses(allocate(changes[0], "first")).count == 2)
        var version: UInt64 = 1
        var told: [String] = []
        for round in 0..<6 {
            let (here, there) = (round % 2, 1 - round % 2)
            let first = round * 20
            // Some changes come while no client watches, and some at a watch.
            allocateSome(first...first + 9, through: changes[here])
            let watch = try LineStream(port: servers[here].port)
            let begun = watch.call(.watch, ["resourceVersion": .string("\(version)"), "kinds": ["Service"]])
            #expect(begun?["result"]?["resourceVersion"] == .string("\(version)"))
            allocateSome(first + 10...first + 19, through: changes[there])
            told += follow(watch, from: &version, until: "s\(first + 19)")
        }
        #expect(told == (0..<120).map { "s\($0)" })
        // The one where it was last is killed: at the other it goes on as well.
        let (rest, other) = (servers[0], servers[1])
        allocateSome(120...124, through: changes[1])
        other.crash()
        allocateSome(125...129, through: changes[0])
        let watch = try LineStream(port: rest.port)
        _ = watch.call(.watch, ["resourceVersion": .string("\(version)"), "kinds": ["Service"]])
        #expect(follow(watch, from: &version, until: "s129") == (120..<130).map { "s\($0)" })
        #expect(rest.stop() == 0)
    }

    @Test("over HTTP a watch has its head first, at a server that asks the log where its changes are")
    func watchesHTTP() async throws {
        let cluster = try await EtcdCluster()
        let server = try ServerProcess(etcd: cluster.servers)
        #expect(addresses(allocate(try LineStream(port: server.port), "a")).count == 2)
        let watch = try Reading.curl(server.port, "/watch?kinds=Service", ["-i"])
        #expect(watch.line() == "HTTP/1.1 200 OK\r")
        while let line = watch.line(), line != "\r" {}
        #expect(watch.events()?["events"]?.arrayValue?.first?["type"] == "ADDED")
        #expect(server.stop() == 0)
    }

    @Test("tandemctl get servers: the servers of the range, as any of them knows it; a stopped one is gone")
    func lists() async throws {
        let cluster = try await EtcdCluster()
        let servers = [try ServerProcess(etcd: cluster.servers), try ServerProcess(etcd: cluster.servers)]
        let ctl = Ctl(port: servers[0].port)
        #expect(addresses(allocate(try LineStream(port: servers[1].port), "a")).count == 2)
        func list() throws -> [JSONValue] {
            try JSONValue(parsing: ctl("get servers -o json").output)["items"]?.arrayValue ?? []
        }
        // Each says once a second how far it has come; a fold counts as well.
        var found = try list()
        while found.contains(where: { $0["ready"] != true || ($0["place"]?.intValue ?? 0) < 1 }) {
            await Task.yield()
            found = try list()
        }
        #expect(found.count == 2)
        #expect(found.allSatisfy { $0["program"]?.stringValue == OpenRPC.version && $0["since"] != nil })
        #expect(found.allSatisfy { ($0["revision"]?.intValue ?? 0) > 1 })
        let name = try #require(found[1]["name"]?.stringValue)
        let lines = ctl("get servers").output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        #expect(lines.count == 3 && lines[0] == ["NAME", "ADDRESS", "READY", "VERSION", "REVISION", "AGE"])
        #expect(lines[2].prefix(4) == [name, "127.0.0.1:0", "true", OpenRPC.version])
        #expect(ctl("get server \(name) -o yaml").output.contains("name: "))
        #expect(ctl("get server nobody").errors == "Error from server (NotFound): server \"nobody\" not found\n")
        #expect(Ctl(port: servers[0].port, role: "pods")("get servers").errors.contains("Forbidden"))
        #expect(servers[1].stop() == 0)
        while try list().count > 1 { await Task.yield() }
        #expect(servers[0].stop() == 0)
    }

    /// All objects, as clients see them.
    private func objects(_ port: Int) -> [String] {
        let ctl = Ctl(port: port)
        return [ctl("get svc -A -o json"), ctl("get nodes -o json"), ctl("get pods -A -o json")].map(\.output)
    }

    /// The tables of a database, and none of its journal.
    private func tables(_ path: String) -> String {
        let tables = ["services", "nodes", "pods", "cooling"].map { table in
            "SELECT key, version, created, \(table == "nodes" ? "releasing" : "0"), holdings, context, document FROM \(table) ORDER BY key;"
        }
        return Command.run("sqlite3", [path, tables.joined(), "SELECT count(*) FROM journal"]).output
    }

    @Test(
        "a backup of one server fills a prefix of etcd, and one of any server there starts a single one again: all is the same"
    )
    func movesBothWays() async throws {
        let cluster = try await EtcdCluster()
        let files = ScratchDirectory()
        let flags = ServerProcess.ranges + ["--pod-ip-reuse-delay=86400", "--service-node-port-range=30000-32767"]
        let single = try ServerProcess("\(files.path)/single", flags)
        var ctl = Ctl(port: single.port)
        let applied = ctl(
            "apply -f -",
            input: """
                {"apiVersion":"v1","kind":"List","items":[
                {"kind":"Service","metadata":{"name":"web"},"spec":{"ipFamilyPolicy":"PreferDualStack","ports":[{"port":80}]}},
                {"kind":"Service","metadata":{"name":"np"},"spec":{"type":"NodePort","ports":[{"port":80}]}},
                {"kind":"Node","metadata":{"name":"n1"}},{"kind":"Node","metadata":{"name":"n2"}},
                {"kind":"Pod","metadata":{"name":"p"},"spec":{"nodeName":"n1"}},
                {"kind":"Pod","metadata":{"name":"gone"},"spec":{"nodeName":"n1"}},
                {"kind":"Pod","metadata":{"name":"q"},"spec":{"nodeName":"n2"}}]}
                """)
        #expect(applied.status == 0, "\(applied.errors)")
        #expect(ctl("delete pod gone").status == 0)
        #expect(ctl("backup \(files.path)/single.db").status == 0)
        let before = objects(single.port)
        #expect(single.stop() == 0)
        let stored = tables("\(files.path)/single/tandem.db")
        #expect(stored.contains(" nodePort=TCP/3"), "\(stored)")
        #expect(stored.contains("10.244.0.3|") && stored.hasSuffix("\n0\n"), "\(stored)")

        let restore = "--restore=\(files.path)/single.db"
        let first = try ServerProcess(etcd: cluster.servers, flags + [restore])
        let second = try ServerProcess(etcd: cluster.servers, flags)
        #expect(objects(first.port) == before && objects(second.port) == before)
        ctl.port = second.port
        #expect(ctl("check").output.hasPrefix("ok:"))
        #expect(ctl("backup \(files.path)/shared.db").status == 0)
        #expect(tables("\(files.path)/shared.db") == stored)
        let refused = Command.run(
            ServerProcess.program,
            ServerProcess.tls + flags + [restore, "--secure-port=0", "--etcd-servers=\(cluster.servers)"])
        #expect(refused.status == 1 && refused.errors.contains("--restore: the prefix /tandem is not empty"))
        // Versions go on far behind all that can have been given since the backup.
        let version = { (port: Int, name: String) in
            let made = Ctl(port: port)("apply -f -", input: "kind: Service\nmetadata: {name: \(name)}\n")
            #expect(made.status == 0, "\(made.errors)")
            let service = try JSONValue(parsing: Ctl(port: port)("get svc \(name) -o json").output)
            return service["metadata"]?["resourceVersion"]?.stringValue.flatMap { Int($0) } ?? 0
        }
        #expect((1_000_000_000..<1_000_001_000).contains(try version(first.port, "later")))
        #expect(ctl("backup \(files.path)/later.db").status == 0)
        let after = objects(second.port)
        #expect(first.stop() == 0 && second.stop() == 0)

        let again = try ServerProcess("\(files.path)/again", flags + ["--restore=\(files.path)/later.db"])
        #expect(objects(again.port) == after)
        #expect(Ctl(port: again.port)("check").output.hasPrefix("ok:"))
        #expect((2_000_000_000..<2_000_001_000).contains(try version(again.port, "last")))
        // Cooling addresses still cool.
        let taken = Ctl(port: again.port)("lookup 10.244.0.3")
        #expect(taken.output.contains("<none>"), "\(taken.output)")
        #expect(again.stop() == 0)
    }

    @Test(
        "/readyz names a server's needs of etcd: it is not ready while etcd is silent, recovers by itself, and stops on a signal"
    )
    func readiness() async throws {
        let cluster = try await EtcdCluster()
        let member = cluster.members[0]
        let server = try await onOwnThread {
            try ServerProcess(etcd: cluster.servers, ServerProcess.ranges + ["--etcd-healthcheck-timeout=1s"])
        }
        // A question waits for its answer: not on a thread that others' tests need.
        let port = server.port
        func readiness() async throws -> Curl.Answer {
            try await onOwnThread { Curl(port: port, role: nil).request("/readyz?verbose") }
        }
        func turns(_ status: Int) async throws -> String {
            for _ in 0..<2_000 {
                let answer = try await readiness()
                if answer.status == status { return answer.body }
            }
            return "never \(status)"
        }
        let rows = ["ping", "serving", "storage", "etcd", "watch", "configuration", "books"]
        let ready = rows.map { "[+]\($0) ok\n" }.joined() + "readyz check passed\n"
        #expect(try await turns(200) == ready)
        member.send(SIGSTOP)
        let unready = try await turns(503)
        #expect(unready.contains("[-]etcd failed: etcd does not answer"), "\(unready)")
        #expect(unready.contains("[+]books ok") && unready.contains("[+]configuration ok"), "\(unready)")
        member.send(SIGCONT)
        #expect(try await turns(200) == ready)
        member.send(SIGSTOP)
        #expect(try await turns(503).contains("etcd does not answer"))
        server.send(SIGTERM)
        // To the end of its log.
        _ = try await onOwnThread { [log = server.log] in log.entry { _ in false } == nil }
        #expect(server.exitStatus(within: 60) == 0)
    }

    @Test("a start over an etcd that takes connections and says nothing ends, and says why")
    func silentAtStart() async throws {
        let cluster = try await EtcdCluster()
        cluster.members[0].send(SIGSTOP)
        let ended = try await onOwnThread {
            Command.run(
                "timeout",
                ["120", ServerProcess.program] + ServerProcess.tls + ServerProcess.ranges + [
                    "--secure-port=0", "--etcd-servers=\(cluster.servers)",
                ])
        }
        #expect(ended.status == 1)
        #expect(ended.errors.contains(cluster.servers), "\(ended.errors)")
    }

    @Test("flags that do not go together, or that other servers have otherwise, are named")
    func refusesFlags() async throws {
        let cluster = try await EtcdCluster()
        func message(_ arguments: [String]) -> String {
            Command.run(
                ServerProcess.program, ServerProcess.tls + ServerProcess.ranges + ["--secure-port=0"] + arguments
            ).errors
        }
        let servers = "--etcd-servers=\(cluster.servers)"
        #expect(message(["--data-dir=x", servers]).contains("--data-dir"))
        #expect(message(["--data-dir=x", "--etcd-prefix=/a"]).contains("--etcd-prefix"))
        #expect(message(["--storage=etcd"]).contains("--etcd-servers"))
        #expect(message([servers, "--etcd-prefix=tandem"]).contains("--etcd-prefix"))
        #expect(message([servers, "--etcd-compaction-interval=5x"]).contains("5m0s"))
        #expect(message(["--etcd-servers=http://192.0.2.1:2379"]).contains("--etcd-servers"))
        let server = try ServerProcess(etcd: cluster.servers)
        let other = Command.run(
            ServerProcess.program,
            ServerProcess.tls + [
                "--service-cluster-ip-range=10.97.0.0/20", ServerProcess.ranges[1], "--secure-port=0", servers,
            ]
        ).errors
        #expect(other.contains("--service-cluster-ip-range=10.96.0.0/20,fd00:10:96::/112"))
        #expect(server.stop() == 0)
    }
}

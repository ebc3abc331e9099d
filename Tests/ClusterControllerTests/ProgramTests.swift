import Foundation
import KubeSupport
import Reconciliation
import ServerSupport
import TandemAPI
import TestSupport
import Testing

/// A `tandem-controller` that runs.
private final class ControllerProcess: @unchecked Sendable {
    // Proof: the process is started in `init` and only signalled afterwards.
    private let process = Process()
    private let lines: LineReader

    init(_ world: Fixture, _ arguments: [String] = ["--release-grace-period=0"]) throws {
        process.executableURL = URL(fileURLWithPath: ServerProcess.program("tandem-controller"))
        process.arguments = arguments + ["--log-format=json"] + world.controllerArguments
        let errors = Pipe()
        process.standardError = errors
        process.standardInput = FileHandle.nullDevice
        lines = LineReader(errors.fileHandleForReading)
        try Children.start(process)
    }

    deinit {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
    }

    /// The next line with this message; nil at the end. Not on the pool's threads: it blocks.
    func line(_ message: String) async throws -> JSONValue? {
        try await onOwnThread { [self] in
            while let line = lines.next() {
                if let entry = try? JSONValue(parsing: line), entry["message"]?.stringValue == message { return entry }
            }
            return nil
        }
    }

    func end(_ signal: Int32) async throws -> Int32 {
        kill(process.processIdentifier, signal)
        return try await status()
    }

    func status() async throws -> Int32 {
        try await onOwnThread { [self] in
            process.waitUntilExit()
            return process.terminationStatus
        }
    }
}

@Suite("tandem-controller", .serialized)
struct ProgramTests {
    private static let finalizer = LoadBalancerPass.finalizer

    @Test("one leads; the other does once the first has ended; one whose lease is another's ends at once")
    func leads() async throws {
        let world = try await Fixture()
        let first = try ControllerProcess(world)
        #expect(try await first.line("leading") != nil)
        let second = try ControllerProcess(world)
        #expect(try await second.line("started") != nil)
        world.putLoadBalancer("web")
        try await until { Fixture.addresses(world.service("web")).count == 2 }
        let lease = try #require(world.kube.object("leases", "tandem-controller", in: "tandem"))
        let holder = lease["spec"]?["holderIdentity"]
        #expect(try await first.end(SIGTERM) == 0)
        #expect(try await second.line("leading") != nil)
        var stolen = try #require(world.kube.object("leases", "tandem-controller", in: "tandem"))
        #expect(stolen["spec"]?["holderIdentity"] != holder)
        stolen["spec"]?["holderIdentity"] = "somebody"
        world.kube.put("leases", stolen)
        #expect(try await second.line("lease lost") != nil)
        #expect(try await second.status() == 1)
    }

    @Test("kill -9 at each step, twice: both sides come out as if nothing had been")
    func kills() async throws {
        let world = try await Fixture()
        world.put("nodes", "n1", ["spec": [:]])
        for name in ["stays", "goes", "turns"] { world.putLoadBalancer(name, uid: name) }
        /// Kills one as soon as it asks for that, whether it is done or not.
        func kill(at method: String, _ path: String) async throws {
            for effect in [FakeFault.Effect.hang, .lose(applied: true)] {
                world.kube.mend()
                world.kube.forgetRequests()
                world.kube.fail(FakeFault(effect, method, path))
                let controller = try ControllerProcess(world, ["--release-grace-period=0", "--leader-elect=false"])
                // Where it was done the time before nothing may be left to ask for.
                try await until {
                    world.kube.requests.contains { $0.kind == method && $0.uri.contains(path) } || isSettled(world)
                }
                _ = try await controller.end(SIGKILL)
            }
            world.kube.mend()
        }
        func isSettled(_ world: Fixture) -> Bool {
            world.kube.objects("services").allSatisfy { service in
                let name = service["metadata"]?["name"]?.stringValue ?? ""
                let isLoadBalancer = service["spec"]?["type"] == "LoadBalancer"
                return service["metadata"]?["deletionTimestamp"] == nil
                    && Fixture.addresses(service).count == (isLoadBalancer ? 2 : 0)
                    && world.finalizers(name) == (isLoadBalancer ? [Self.finalizer] : [])
            } && Fixture.addresses(world.kube.object("nodes", "n1")).count == 2
        }
        for step in [("GET", "/services"), ("PATCH", "/nodes/n1"), ("PATCH", "/services/goes"), ("POST", "/events")] {
            try await kill(at: step.0, step.1)
        }
        try await world.runUntilIdle()
        #expect(isSettled(world))
        let before = Fixture.addresses(world.service("stays"))
        world.kube.delete("services", "goes", in: "default")
        world.kube.patch("services", "turns", in: "default", ["spec": ["type": "ClusterIP"]])
        for step in [("PATCH", "/services/goes"), ("PATCH", "/services/turns"), ("POST", "/events")] {
            try await kill(at: step.0, step.1)
        }
        try await world.runUntilIdle()
        #expect(isSettled(world))
        #expect(world.service("goes") == nil)
        #expect(try await world.held(.listServices) == ["stays": before])
        #expect(Fixture.addresses(world.service("stays")) == before)
        #expect(
            try await world.held(.listNodes)["n1"] == Fixture.addresses(world.kube.object("nodes", "n1")))
    }

    @Test("a dry run prints the steps to be done, and does nothing")
    func dryRun() async throws {
        let world = try await Fixture()
        world.put("nodes", "n1", ["spec": ["podCIDRs": ["10.244.9.0/24"]]])
        world.put("nodes", "n2", ["spec": [:]])
        world.putLoadBalancer("shown", showing: ["192.0.2.3", "2001:db8::3"])
        world.putLoadBalancer("new")
        let result = try await world.program(["--dry-run"])
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.output.contains("would adopt node/n1: 10.244.9.0/24\n"))
        #expect(
            result.output.contains("would allocate node/n2: a /24 of 10.244.0.0/16 and a /64 of fd00:10:244::/48\n"))
        #expect(result.output.contains("would patch node/n2: a /24 of 10.244.0.0/16 and a /64 of fd00:10:244::/48\n"))
        #expect(result.output.contains("would adopt service/default/shown: 192.0.2.3,2001:db8::3\n"))
        let ranges = "one of 192.0.2.0/28 and one of 2001:db8::/124\n"
        #expect(result.output.contains("would allocate service/default/new: \(ranges)"))
        #expect(result.output.contains("would patch service/default/new: \(ranges)"))
        #expect(world.kube.requests.allSatisfy { $0.method == "GET" })
        #expect(try await world.held(.listNodes) == [:])
        #expect(try await world.held(.listServices) == [:])
    }

    @Test("a dry run names no address twice: one still to be given is said by its range, a known one as it is")
    func dryRunPromisesNothingTwice() async throws {
        let world = try await Fixture()
        // The answers of a server that keeps nothing, to all of them: its ranges are fuller than they look.
        for number in 0..<3 {
            world.put("nodes", "n\(number)", ["spec": [:]])
            world.putLoadBalancer("pending-\(number)")
        }
        world.putLoadBalancer("asks", annotations: ["metallb.io/loadBalancerIPs": "192.0.2.9"])
        for (name, addresses) in [("shown", ["192.0.2.3", "2001:db8::3"]), ("first", ["192.0.2.1", "2001:db8::1"])] {
            world.putLoadBalancer(name, showing: addresses)
        }
        // Known to Tandem, and not shown yet.
        let node: JSONValue = [
            "metadata": ["name": "n0", "uid": world.kube.object("nodes", "n0")?["metadata"]?["uid"] ?? .null]
        ]
        let held = Fixture.addresses(try await world.call(.allocateNodeCIDRs, ["node": node])["node"])
        let result = try await world.program(["--dry-run"])
        #expect(result.status == 0, "\(result.errors)")
        let lines = result.output.split(separator: "\n").map(String.init)
        var named: [String: Set<String>] = [:]
        for line in lines {
            let parts = line.split(separator: ": ", maxSplits: 1)
            let object = parts[0].split(separator: " ").last.map(String.init) ?? ""
            let words = parts.count == 2 ? parts[1].split(whereSeparator: { $0 == " " || $0 == "," }) : []
            // Ranges stand behind "of".
            for (before, word) in zip([""] + words, words)
            where before != "of" && word.contains(where: { ".:".contains($0) }) {
                named[String(word), default: []].insert(object)
            }
        }
        #expect(named.allSatisfy { $0.value.count == 1 }, "\(named)")
        #expect(named["192.0.2.9"] == ["service/default/asks"])
        #expect(named["192.0.2.1"] == ["service/default/first"])
        #expect(held.count == 2 && held.allSatisfy { named[$0] == ["node/n0"] })
        #expect(lines.contains("would adopt service/default/first: 192.0.2.1,2001:db8::1"))
        #expect(lines.filter { $0.contains("would allocate") && $0.contains("one of 192.0.2.0/28") }.count == 3)
        #expect(lines.filter { $0.contains("would allocate") && $0.contains("a /24 of 10.244.0.0/16") }.count == 2)
    }

    @Test("uninstalling takes the finalizers off and leaves the addresses; not while a controller leads")
    func uninstalls() async throws {
        let world = try await Fixture()
        for name in ["a", "b"] { world.putLoadBalancer(name) }
        world.kube.put(
            "services",
            [
                "metadata": ["namespace": "default", "name": "theirs", "finalizers": [.string(Self.finalizer)]],
                "spec": ["type": "LoadBalancer", "loadBalancerClass": "example.com/other"],
            ])
        try await world.runUntilIdle()
        let before = ["a", "b"].map { Fixture.addresses(world.service($0)) }
        #expect(try await world.program(["uninstall", "--dry-run"]).output.contains("2 Services (dry run)\n"))
        #expect(world.finalizers("a") == [Self.finalizer])
        // Another one writes at the same time.
        world.kube.fail(FakeFaultKind.conflict.fault("PATCH", "/services/a/"))
        let result = try await world.program(["uninstall"])
        #expect(result.status == 0, "\(result.errors)")
        #expect(
            result.output
                == "service/default/a is without finalizer\nservice/default/b is without finalizer\n2 Services\n")
        #expect(world.finalizers("a") == [] && world.finalizers("b") == [])
        #expect(world.finalizers("theirs") == [Self.finalizer])
        #expect(["a", "b"].map { Fixture.addresses(world.service($0)) } == before)
        #expect(try await world.held(.listServices).count == 2)
        // Taken over again, as it stands.
        try await world.runUntilIdle()
        #expect(["a", "b"].map { Fixture.addresses(world.service($0)) } == before)
    }

    @Test("metrics and health are served; the fault of a command line is said")
    func serves() async throws {
        let world = try await Fixture()
        world.put("nodes", "n1", ["spec": [:]])
        let controller = try ControllerProcess(
            world, ["--metrics-bind-address=127.0.0.1:0", "--controllers=node", "--leader-elect=false"])
        let started = try #require(try await controller.line("started"))
        let port = started["metrics"]?.stringValue?.dropFirst("port ".count) ?? ""
        func get(_ path: String, _ more: [String] = []) async throws -> String {
            let url = "http://127.0.0.1:\(port)\(path)"
            return try await onOwnThread { Command.run("curl", ["-sS", "-i"] + more + [url]).output }
        }
        #expect(try await get("/healthz").hasSuffix("\r\n\r\nok\n"))
        try await until { Fixture.addresses(world.kube.object("nodes", "n1")).count == 2 }
        let wanted = #"tandem_controller_decisions_total{controller="node",action="patch",outcome="done"} 1"#
        try await until { try await get("/metrics").contains(wanted) }
        let metrics = try await get("/metrics")
        #expect(
            metrics.contains("\ntandem_controller_leader 1\n") && metrics.contains("\ntandem_controller_synced 1\n"))
        #expect(try await get("/other").hasPrefix("HTTP/1.1 404"))
        #expect(try await get("/metrics", ["-X", "POST"]).hasPrefix("HTTP/1.1 405"))
        #expect(try await controller.end(SIGTERM) == 0)

        for (arguments, words) in [
            (["--controllers=nodes"], "did you mean node?"), (["--release-grace-period=-1"], "0 to 86400"),
            (["--metrics-bind-address=x"], "such as 127.0.0.1:8444"), (["--log-level=loud"], "--log-level must be"),
            (["--load-balancer-class=a b"], "--load-balancer-class"), (["--kubeconfig=/nowhere"], "/nowhere"),
            (["--no-such-flag"], "no-such-flag"), (["--cert-file=/nowhere"], "/nowhere"),
        ] {
            // The last of two counts.
            let all = world.controllerArguments + ["--leader-elect=false"] + arguments
            let result = try await onOwnThread { Command.run(ServerProcess.program("tandem-controller"), all) }
            #expect(result.status == 2 && result.errors.contains(words), "\(arguments): \(result.errors)")
        }
        world.kube.cutConnections()
        let other = try await onOwnThread {
            let certificates = Certificates.shared
            return Command.run(
                ServerProcess.program("tandem-controller"),
                [
                    "--dry-run", "--server=127.0.0.1:1", "--ca-file", certificates.ca, "--kubeconfig",
                    world.kube.kubeconfigFile,
                ])
        }
        #expect(other.status == 3, "\(other.errors)")
    }
}

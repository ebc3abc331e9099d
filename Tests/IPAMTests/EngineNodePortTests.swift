import Addressing
import Allocation
import EngineSupport
import FaultyLog
import Ledger
import TandemAPI
import TestSupport
import Testing

@testable import IPAM

/// Node ports as holdings: claimed, kept in the log and the books, agreed on by several servers, and given back.
@Suite("Node ports in the books")
struct EngineNodePortTests {
    private let log = FaultyLog()

    private static func cluster(_ range: ClosedRange<UInt16>?) -> ClusterConfiguration {
        ClusterConfiguration(serviceRanges: [CIDR("10.96.0.0/24")!], nodePortRange: range)
    }

    /// On the same disk as before: a restart.
    private func start(_ range: ClosedRange<UInt16>? = 30_000...30_007) throws -> EngineHarness {
        try EngineHarness(FaultyLog(disk: log.disk), Self.cluster(range))
    }

    private static func service(_ name: String, _ ports: JSONValue = [["port": 80]], _ others: JSONValue = [:])
        -> JSONValue
    {
        let spec: JSONValue = ["type": "NodePort", "ports": ports]
        return ["service": ["metadata": ["name": .string(name)], "spec": spec.merging(others)]]
    }

    private static func asking(_ port: UInt16, _ name: String, _ transport: String = "TCP") -> JSONValue {
        service(name, [["port": 80, "protocol": .string(transport), "nodePort": .number("\(port)")]])
    }

    private func release(_ name: String, _ harness: EngineHarness) async throws {
        _ = try await harness.call(.release, ["service": ["metadata": ["name": .string(name)]]]).get()
    }

    private static func ports(_ result: JSONValue) -> [Int] {
        let spec = result["service"]?["spec"]
        let all = (spec?["ports"]?.arrayValue ?? []).map { $0["nodePort"] } + [spec?["healthCheckNodePort"]]
        return all.compactMap { $0?.intValue }
    }

    private func pool(_ harness: EngineHarness) throws -> PortPool { try #require(harness.engine.pools.nodePorts) }

    private func faults(_ harness: EngineHarness) async -> [String] {
        let audit = Audit(harness.engine)
        var found: [String] = []
        for _ in 0..<2 {
            while true {
                let step = audit.step()
                found += step.newFaults
                if step.endsPass { break }
                await Task.yield()
            }
        }
        return found
    }

    @Test("allocated ports are held, named in conflicts, and released with the Service; a dry run keeps nothing")
    func holds() async throws {
        let harness = try start()
        var trial = Self.service("a")
        trial["dryRun"] = true
        #expect(Self.ports(try await harness.call(.allocateServiceIPs, trial).get()).count == 1)
        #expect(try pool(harness).allocatedCount == 0)

        let local: JSONValue = ["type": "LoadBalancer", "externalTrafficPolicy": "Local"]
        let dns: JSONValue = [["name": "t", "port": 53], ["name": "u", "port": 53, "protocol": "UDP"]]
        let made = try await harness.call(.allocateServiceIPs, Self.service("a", dns, local)).get()
        let ports = Self.ports(made)
        #expect(ports.count == 3 && ports[0] == ports[1] && ports[2] != ports[0])
        let stored = try #require(harness.engine.books.services["default/a"])
        let (number, check) = (UInt16(ports[0]), UInt16(ports[2]))
        #expect(Array(stored.holdings.dropFirst()) == [.port(.tcp, number), .port(.udp, number), .port(.tcp, check)])
        #expect(try pool(harness).allocatedCount == 2)

        let taken = (await harness.call(.allocateServiceIPs, Self.asking(number, "b", "SCTP"))).error
        #expect(taken?.status == .invalidArgument && taken?.causes.map(\.field) == ["spec.ports[0].nodePort"])
        #expect(taken?.causes.first?.message.contains("provided port is already allocated") == true)
        let outside = (await harness.call(.allocateServiceIPs, Self.asking(31_000, "b"))).error
        #expect(
            outside?.causes.first?.message.hasSuffix(
                "provided port is not in the valid range. The range of valid ports is 30000-30007") == true)
        // A name in use is found out last; by then a port was claimed.
        #expect((await harness.call(.allocateServiceIPs, Self.service("a"))).error?.status == .alreadyExists)
        #expect(try pool(harness).allocatedCount == 2)

        let status = try await harness.call(.getPools, ["kind": "NodePort"]).get()
        let expected: JSONValue = [
            "name": "nodeports", "kind": "NodePort", "ports": "30000-30007", "capacity": "8", "allocated": "2",
            "available": "6", "coolingDown": "0", "percent": .number("25.0"),
        ]
        #expect(status["pools"] == [expected])
        #expect(await faults(harness) == [])
        try await release("a", harness)
        #expect(try pool(harness).allocatedCount == 0)
        _ = try await harness.call(.allocateServiceIPs, Self.asking(number, "b", "SCTP")).get()
        #expect(harness.engine.allocations.nodePorts(.isStatic) == 1)
        #expect(harness.engine.allocations.nodePorts(.staticRefused) == 2)
        #expect(harness.engine.allocations.nodePorts(.isDynamic) == 3)
        harness.stop()
    }

    @Test("many at once: as many as there are ports get one each, the others are told that the range is full")
    func runsFull() async throws {
        let harness = try start(30_000...30_039)
        let results = await withTaskGroup(of: Result<JSONValue, APIError>.self) { group in
            for index in 0..<64 {
                group.addTask { await harness.call(.allocateServiceIPs, Self.service("s\(index)")) }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        let ports = results.compactMap { try? $0.get() }.flatMap(Self.ports)
        #expect(Set(ports).count == 40 && ports.count == 40)
        for error in results.compactMap(\.error) {
            #expect(error.status == .resourceExhausted && error.reason == "RangeFull" && error.isRetryable)
            #expect(error.fullPorts == 30_000...30_039 && error.fullRange == nil)
        }
        // Those that were refused hold no address either.
        #expect(harness.engine.pools.clusterIP[0].allocatedCount == 40)
        #expect(await faults(harness) == [])
        harness.stop()
    }

    @Test("the cost of a Service with very many ports is linear in its length")
    func takesMany() async throws {
        var harness = try start(1...65_535)
        // Some 31 bytes each: as many as an object may have.
        let count = 2_000
        func ports(_ first: Int) -> JSONValue { .array((0..<count).map { ["port": .number("\(first + $0)")] }) }
        let made = try await harness.call(.allocateServiceIPs, Self.service("a", ports(1))).get()
        #expect(Set(Self.ports(made)).count == count)
        // All but the last keep theirs.
        let changed = try await harness.call(.updateServiceIPs, Self.service("a", ports(2))).get()
        #expect(Self.ports(changed).dropLast() == Self.ports(made).dropFirst())
        #expect(await faults(harness) == [])
        harness.stop()
        harness = try start(1...65_535)
        #expect(try pool(harness).allocatedCount == count)
        try await release("a", harness)
        #expect(try pool(harness).allocatedCount == 0)
        harness.stop()
    }

    @Test("a restart knows every port, folded or not")
    func keepsOverRestart() async throws {
        var harness = try start()
        for index in 0..<3 {
            _ = try await harness.call(.allocateServiceIPs, Self.asking(30_000 + UInt16(index), "s\(index)")).get()
        }
        harness.stop()
        log.fold()
        harness = try start()
        _ = try await harness.call(.allocateServiceIPs, Self.asking(30_003, "s3", "UDP")).get()
        try await release("s1", harness)
        let digest = harness.engine.digest
        harness.stop()

        harness = try start()
        #expect(harness.engine.digest == digest)
        var marked: [UInt16] = []
        try pool(harness).forEachAllocated { marked.append($0) }
        #expect(marked == [30_000, 30_002, 30_003])
        #expect((await harness.call(.allocateServiceIPs, Self.asking(30_003, "t"))).error?.status == .invalidArgument)
        // A port that is kept is not claimed again.
        let kept = try await harness.call(.updateServiceIPs, Self.service("s3", [["port": 81]])).get()
        #expect(Self.ports(kept) == [30_003])
        #expect(await faults(harness) == [])
        harness.stop()
    }

    @Test(
        "ports that Services showed while there was no range are assigned to no other, and to them with their next update"
    )
    func takesOver() async throws {
        var harness = try start(nil)
        for name in ["a", "b"] { _ = try await harness.call(.allocateServiceIPs, Self.asking(30_000, name)).get() }
        _ = try await harness.call(.allocateServiceIPs, Self.asking(30_001, "c")).get()
        #expect(harness.engine.books.services["default/a"]?.holdings.count == 1)
        #expect(harness.engine.rangeStatuses().allSatisfy { $0.kind != .nodePort })
        harness.stop()

        harness = try start(30_000...30_003)
        for name in ["d", "e"] {
            let made = try await harness.call(.allocateServiceIPs, Self.service(name)).get()
            #expect(Self.ports(made).allSatisfy { $0 >= 30_002 })
        }
        #expect((await harness.call(.allocateServiceIPs, Self.service("f"))).error?.reason == "RangeFull")
        #expect((await harness.call(.allocateServiceIPs, Self.asking(30_000, "f"))).error?.status == .invalidArgument)
        #expect(await faults(harness) == [])
        // The first to be written has it from then on; the other one goes on showing it.
        for name in ["b", "a", "c"] {
            let ports: JSONValue = [["port": 8_080]]
            _ = try await harness.call(.updateServiceIPs, Self.service(name, ports)).get()
        }
        #expect(harness.engine.books.service(holding: 30_000)?.name == "b")
        #expect(harness.engine.books.service(holding: 30_001)?.name == "c")
        #expect(harness.engine.books.services["default/a"]?.shownPorts == [30_000])
        for (name, isFree) in [("b", false), ("a", true)] {
            try await release(name, harness)
            let isGiven = (try? await harness.call(.allocateServiceIPs, Self.asking(30_000, "g")).get()) != nil
            #expect(isGiven == isFree)
        }
        #expect(await faults(harness) == [])
        harness.stop()
    }

    @Test("with another range, or none, held ports stay held, and are counted as outside")
    func changedRange() async throws {
        var harness = try start()
        for index in 0..<2 {
            _ = try await harness.call(.allocateServiceIPs, Self.asking(30_000 + UInt16(index), "s\(index)")).get()
        }
        harness.stop()

        for range in [31_000...31_003, nil] as [ClosedRange<UInt16>?] {
            harness = try start(range)
            #expect(harness.engine.outsideRanges.nodePorts == 2 && !harness.engine.outsideRanges.isEmpty)
            #expect(harness.engine.outsideRanges.example?.hasPrefix("node port 3000") == true)
            let port: JSONValue = range == nil ? [["port": 81, "nodePort": 30_000]] : [["port": 82]]
            let kept = try await harness.call(.updateServiceIPs, Self.service("s0", port)).get()
            #expect(Self.ports(kept) == [30_000])
            harness.stop()
        }
        harness = try start()
        #expect(harness.engine.outsideRanges.nodePorts == 0)
        #expect((await harness.call(.allocateServiceIPs, Self.asking(30_000, "t"))).error?.status == .invalidArgument)
        try await release("s0", harness)
        _ = try await harness.call(.allocateServiceIPs, Self.asking(30_000, "t")).get()
        #expect(await faults(harness) == [])
        harness.stop()
    }

    @Test("two servers over one log never give one number twice, whatever the protocols")
    func twoServers() throws {
        let store = SharedLog.Store()
        let members = (0..<2).map { _ in SharedLog.Member(store) }
        // Both draw at the same place.
        let environment = Environment(random: { 0 }, now: { 0 }, uptime: { 0 })
        let engines = try members.map {
            try Engine(cluster: Self.cluster(30_000...30_007), log: $0, environment: environment, stepsByHand: true)
        }
        /// Calls at both servers at once, whose proposals land one behind the other.
        func answers(_ calls: [(TandemAPI.Method, JSONValue)]) -> [Result<JSONValue, APIError>] {
            let noted = calls.map { _ in Noted<Result<JSONValue, APIError>>() }
            for (index, call) in calls.enumerated() {
                engines[index].begin(call.0, call.1) { noted[index].add($0) }
            }
            for _ in 0..<8 {
                for index in 0..<2 {
                    engines[index].step()
                    members[index].answerFence()
                    engines[index].step()
                }
                for member in members { store.land(member) }
                for index in 0..<2 {
                    members[index].deliver(.max)
                    engines[index].step()
                }
            }
            return noted.flatMap(\.all)
        }
        /// At an address of its own, so that the port alone stands in the way.
        func at(_ last: Int, _ service: JSONValue) -> (TandemAPI.Method, JSONValue) {
            (.allocateServiceIPs, service.merging(["service": ["spec": ["clusterIP": .string("10.96.0.\(last)")]]]))
        }
        let asked = answers([at(1, Self.asking(30_005, "a")), at(2, Self.asking(30_005, "b", "UDP"))])
        #expect(asked.count == 2 && asked.compactMap { try? $0.get() }.flatMap(Self.ports) == [30_005])
        #expect(asked.compactMap(\.error).map { $0.causes.map(\.field) } == [["spec.ports[0].nodePort"]])
        let drawn = answers([at(3, Self.service("c")), at(4, Self.service("d"))])
        let ports = drawn.compactMap { try? $0.get() }.flatMap(Self.ports)
        #expect(ports.count == 2 && Set(ports).count == 2)
        #expect(members.map(\.refusedCount).reduce(0, +) >= 2, "they were never at odds")
        // A port that one gives back the other may give.
        _ = answers([(.release, ["service": ["metadata": ["name": "a"]]])])
        let again = answers([
            (.getService, ["service": ["metadata": ["name": "c"]]]), at(5, Self.asking(30_005, "e")),
        ])
        #expect(again.compactMap(\.error).isEmpty)
        #expect(engines[0].digest == engines[1].digest)
        for engine in engines {
            var marked: [UInt16] = []
            engine.pools.nodePorts?.forEachAllocated { marked.append($0) }
            #expect(marked.map(Int.init) == (ports + [30_005]).sorted())
            engine.stop()
        }
    }

    @Test("the audit names a port without mark, a mark without Service, and a port that leads to no Service")
    func audits() async throws {
        let harness = try start()
        for index in 0..<2 {
            _ = try await harness.call(.allocateServiceIPs, Self.asking(30_000 + UInt16(index), "s\(index)")).get()
        }
        let pool = try pool(harness)
        pool.release(30_000)
        #expect(await faults(harness) == ["node port 30000 of Service default/s0 is not marked as taken"])
        pool.mark(30_000)
        pool.mark(30_006)
        #expect(await faults(harness) == ["node port 30006 is marked as taken, but no Service has it"])
        pool.release(30_006)
        harness.engine.books.withHeld { $0.ports[30_001] = nil }
        #expect(
            await faults(harness) == [
                "node port 30001 of Service default/s1 does not lead back to it",
                "node port 30001 is marked as taken, but no Service has it",
            ])
        harness.engine.books.withHeld { $0.ports[30_001] = $0.ports[30_000] }
        #expect(
            (await faults(harness)).contains(
                "node port 30001 has two owners: Service default/s1 and Service default/s0"))
        harness.stop()
    }
}

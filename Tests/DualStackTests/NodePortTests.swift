import ServiceDecisions
import TandemAPI
import TestSupport
import Testing

/// Node ports by the rules alone: one by one, and at random against their second statement.
@Suite("Node ports")
struct NodePortTests {
    private let rules = RulesAlone(["10.96.0.0/16"], nodePorts: 30_000...30_015)

    private func service(_ name: String, _ spec: JSONValue, on rules: RulesAlone? = nil) -> JSONValue {
        let live = (rules ?? self.rules).get(name)
        var metadata: JSONValue = ["name": .string(name)]
        if case .service(let live) = live { metadata["resourceVersion"] = live["metadata"]?["resourceVersion"] }
        return ["metadata": metadata, "spec": spec]
    }

    private func create(_ name: String, _ spec: JSONValue) -> JSONValue { answer(rules.create(service(name, spec))) }

    private func update(_ name: String, _ spec: JSONValue) -> JSONValue { answer(rules.replace(service(name, spec))) }

    /// The ports of the answer, and its health check's; or the causes.
    private func answer(_ answer: DecisionAnswer) -> JSONValue {
        switch answer {
        case .refused(_, let causes): return .array(causes.map { .string($0) })
        case .service(let service):
            let spec = service["spec"]
            let ports = (spec?["ports"]?.arrayValue ?? []).map { $0["nodePort"] ?? .null }
            return .array(ports + (spec?["healthCheckNodePort"].map { [$0] } ?? []))
        }
    }

    private func spec(_ type: String, _ ports: JSONValue, _ others: JSONValue = [:]) -> JSONValue {
        let spec: JSONValue = ["type": .string(type), "ports": ports]
        return spec.merging(others)
    }

    @Test("TCP and UDP of one port share a node port, drawn or asked for, and of no others")
    func shares() {
        let dns: JSONValue = [["name": "t", "port": 53], ["name": "u", "port": 53, "protocol": "UDP"]]
        #expect(create("a", spec("NodePort", dns)) == [30_000, 30_000])
        let asked: JSONValue = [
            ["name": "t", "port": 53], ["name": "u", "port": 53, "protocol": "UDP", "nodePort": 30_005],
        ]
        #expect(create("b", spec("NodePort", asked)) == [30_005, 30_005])
        // Of another Service the number is in use, whatever the protocol; and so it is for another port of the same, at first.
        let other: JSONValue = [["port": 80, "protocol": "SCTP", "nodePort": 30_005]]
        #expect(create("c", spec("NodePort", other)) == ["spec.ports[0].nodePort FieldValueInvalid"])
        let two: JSONValue = [
            ["name": "t", "port": 80, "nodePort": 30_006],
            ["name": "u", "port": 81, "protocol": "UDP", "nodePort": 30_006],
        ]
        #expect(create("c", spec("NodePort", two)) == ["spec.ports[1].nodePort FieldValueInvalid"])
        #expect(create("c", spec("NodePort", [["port": 80]])) == [30_001])
        #expect(update("c", spec("NodePort", two)) == [30_006, 30_006])
        #expect(rules.release("c") == 1)
        #expect(rules.ports == [30_000, 30_005])
    }

    @Test("an update that leaves node ports out keeps them by name, whatever else changes")
    func keeps() {
        let ports: JSONValue = [["name": "a", "port": 80], ["name": "b", "port": 81]]
        #expect(create("s", spec("NodePort", ports)) == [30_000, 30_001])
        let moved: JSONValue = [["name": "b", "port": 8_081], ["name": "c", "port": 80], ["name": "a", "port": 82]]
        #expect(update("s", spec("LoadBalancer", moved)) == [30_001, 30_002, 30_000])
        // One that another port names now goes there.
        let taken: JSONValue = [["name": "a", "port": 82], ["name": "d", "port": 90, "nodePort": 30_000]]
        #expect(update("s", spec("NodePort", taken)) == [30_003, 30_000])
        #expect(rules.ports == [30_000, 30_003])
        // Without names the protocol and the number tell them apart.
        let nameless: JSONValue = [["port": 53], ["port": 53, "protocol": "UDP"], ["port": 80]]
        #expect(create("n", spec("NodePort", nameless)) == [30_001, 30_001, 30_002])
        let fewer: JSONValue = [["port": 80], ["port": 53, "protocol": "UDP"], ["port": 54]]
        #expect(update("n", spec("NodePort", fewer)) == [30_002, 30_001, 30_004])
    }

    @Test("node ports go with the type, unless the client names others in the same write")
    func goesWithType() {
        #expect(create("s", spec("NodePort", [["port": 80]])) == [30_000])
        let named: JSONValue = [["port": 80, "nodePort": 30_009]]
        #expect(update("s", spec("ClusterIP", named)) == ["spec.ports[0].nodePort FieldValueForbidden"])
        #expect(rules.ports == [30_000])
        #expect(update("s", spec("ClusterIP", [["port": 80, "nodePort": 30_000]])) == [.null])
        #expect(rules.ports == [])
        #expect(update("s", spec("LoadBalancer", named)) == [30_009])
        let external: JSONValue = ["externalName": "a.example"]
        #expect(update("s", spec("ExternalName", [["port": 80]], external)) == [.null])
        #expect(rules.ports == [])
    }

    @Test("a load balancer that wants none gets none, but for those that it asks for")
    func allocatesNone() {
        let none: JSONValue = ["allocateLoadBalancerNodePorts": false]
        let ports: JSONValue = [["name": "a", "port": 80], ["name": "b", "port": 81, "nodePort": 30_007]]
        #expect(create("s", spec("LoadBalancer", ports, none)) == [.null, 30_007])
        // Left out they are not kept either.
        #expect(update("s", spec("LoadBalancer", [["name": "b", "port": 81]], none)) == [.null])
        #expect(rules.ports == [])
        #expect(
            create("c", spec("NodePort", [["port": 80]], none))
                == ["spec.allocateLoadBalancerNodePorts FieldValueForbidden"])
        // It goes with the type where it is as it was.
        #expect(update("s", spec("NodePort", [["name": "b", "port": 81]], none)) == [30_000])
    }

    @Test("a load balancer that keeps traffic local has a port for its health checks, which stays")
    func healthChecks() {
        let local: JSONValue = ["externalTrafficPolicy": "Local"]
        let ports: JSONValue = [["port": 80]]
        func asking(_ port: Int) -> JSONValue {
            spec("LoadBalancer", ports, local.merging(["healthCheckNodePort": .number("\(port)")]))
        }
        #expect(create("s", spec("LoadBalancer", ports, local)) == [30_000, 30_001])
        #expect(update("s", spec("LoadBalancer", ports, local)) == [30_000, 30_001])
        #expect(update("s", asking(30_005)) == ["spec.healthCheckNodePort FieldValueForbidden"])
        #expect(create("t", asking(30_001)) == ["spec.healthCheckNodePort FieldValueInvalid"])
        #expect(create("t", asking(40_000)) == ["spec.healthCheckNodePort FieldValueInvalid"])
        #expect(create("t", asking(30_009)) == [30_002, 30_009])
        // With another policy it goes, as it was; where none is needed none may be named.
        let cluster: JSONValue = ["externalTrafficPolicy": "Cluster", "healthCheckNodePort": 30_009]
        #expect(update("t", spec("LoadBalancer", ports, cluster)) == [30_002])
        #expect(rules.ports == [30_000, 30_001, 30_002])
        #expect(
            update("t", spec("LoadBalancer", ports, cluster)) == ["spec.healthCheckNodePort FieldValueInvalid"])
    }

    @Test("ports taken for a write that fails are given back")
    func givesBack() {
        let two: JSONValue = [
            ["name": "a", "port": 80, "nodePort": 30_003], ["name": "b", "port": 81, "nodePort": 9],
        ]
        #expect(create("s", spec("NodePort", two)) == ["spec.ports[1].nodePort FieldValueInvalid"])
        #expect(rules.ports == [])
        #expect(
            create("h", spec("NodePort", [["port": 80]], ["clusterIP": "None"])) == [
                "spec.clusterIPs[0] FieldValueInvalid"
            ])
        #expect(rules.ports == [])
        let wrong: JSONValue = ["externalTrafficPolicy": "Local", "healthCheckNodePort": "30001"]
        #expect(
            create("w", spec("LoadBalancer", [["port": 80]], wrong.merging(["allocateLoadBalancerNodePorts": "no"])))
                == [
                    "spec.allocateLoadBalancerNodePorts FieldValueInvalid",
                    "spec.healthCheckNodePort FieldValueInvalid",
                ])
        #expect(rules.ports == [])
        let unknown: JSONValue = [["port": 80, "protocol": "ICMP"]]
        #expect(create("u", spec("NodePort", unknown)) == ["spec.ports[0].protocol FieldValueNotSupported"])
        #expect(rules.ports == [])
    }

    @Test("a full range refuses a Service that needs a port, and no other")
    func runsFull() {
        for index in 0..<16 { _ = create("s\(index)", spec("NodePort", [["port": 80]])) }
        #expect(rules.ports.count == 16)
        #expect(create("t", spec("NodePort", [["port": 80]])) == ["ports"])
        #expect(create("t", spec("ClusterIP", [["port": 80]])) == [.null])
        #expect(update("t", spec("NodePort", [["port": 80]])) == ["ports"])
        #expect(rules.release("s3") == 1)
        #expect(update("t", spec("NodePort", [["port": 80]])) == [30_003])
    }

    @Test("a field without a rule stays with its port, asked for or drawn")
    func keepsText() throws {
        let ports: JSONValue = [["nodePort": 30_001, "appProtocol": "h2", "port": 80, "targetPort": "web"]]
        guard case .service(let made) = rules.create(service("s", spec("NodePort", ports))) else {
            Issue.record("refused")
            return
        }
        #expect(made["spec"]?["ports"]?.text == ports.text)
        let drawn: JSONValue = [["appProtocol": "h2", "port": 80, "targetPort": "web"]]
        guard case .service(let other) = rules.create(service("t", spec("NodePort", drawn))) else {
            Issue.record("refused")
            return
        }
        #expect(
            other["spec"]?["ports"] == [["appProtocol": "h2", "port": 80, "targetPort": "web", "nodePort": 30_000]])
    }

    // MARK: At random

    @Test("creates, updates and releases at random agree with the table", arguments: seeds)
    func agrees(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let rules = RulesAlone(["10.96.0.0/16"], nodePorts: 30_000...30_006)
        var table = NodePortTable(30_000...30_006)
        var outcomes: [String: Int] = [:]
        for step in 0..<3_000 {
            let name = ["a", "b", "c", "d", "e", "f"].randomElement(using: &generator) ?? ""
            var asked = Self.random(&generator)
            let (outcome, expected): (TablePortOutcome, TablePortOutcome)
            switch Int.random(in: 0..<10, using: &generator) {
            case ..<4:
                expected = table.create(name, asked)
                outcome = Self.outcome(rules.create(service(name, Self.json(asked), on: rules)))
            case ..<9:
                // Mostly the live object with a few changes, as clients write it.
                if let live = table.services[name], Bool.random(using: &generator) {
                    var changed = live
                    if Bool.random(using: &generator) { changed.type = asked.type }
                    if Bool.random(using: &generator) { changed.ports = asked.ports }
                    if Bool.random(using: &generator) { changed.isLocal.toggle() }
                    asked = changed
                }
                expected = table.update(name, asked)
                outcome = Self.outcome(rules.replace(service(name, Self.json(asked), on: rules)))
            default:
                table.delete(name)
                _ = rules.release(name)
                (outcome, expected) = (.missing, .missing)
            }
            try #require(outcome == expected, "seed \(seed), step \(step): \(asked)")
            try #require(rules.ports.map(Int.init).sorted() == table.taken.sorted(), "seed \(seed), step \(step)")
            try #require(rules.ports == Set(rules.shownPorts) && rules.ports.count == rules.shownPorts.count)
            outcomes[expected.word, default: 0] += 1
        }
        for word in ["done", "invalid", "full", "exists"] {
            #expect(outcomes[word, default: 0] > 10, "too few outcomes \(word) to say anything: \(outcomes)")
        }
    }

    private static func random(_ generator: inout SeededGenerator) -> TablePortSpec {
        func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &generator) < percent }
        func number() -> Int { Int.random(in: 29_999...30_007, using: &generator) }
        var spec = TablePortSpec()
        spec.type =
            ["ClusterIP", "NodePort", "NodePort", "LoadBalancer", "LoadBalancer", "ExternalName"]
            .randomElement(using: &generator) ?? ""
        let names = ["x", "y", "z"].shuffled(using: &generator)
        spec.ports = names.prefix(Int.random(in: 1...3, using: &generator)).map { name in
            TablePort(
                name: name, transport: ["TCP", "TCP", "UDP", "SCTP"].randomElement(using: &generator) ?? "",
                port: [53, 53, 80].randomElement(using: &generator) ?? 0, nodePort: chance(25) ? number() : 0)
        }
        spec.allocates = chance(20) ? Bool.random(using: &generator) : nil
        spec.isLocal = chance(40)
        spec.healthCheck = chance(10) ? number() : 0
        return spec
    }

    private static func json(_ spec: TablePortSpec) -> JSONValue {
        var json: JSONValue = ["type": .string(spec.type), "externalName": "a.example"]
        json["ports"] = .array(
            spec.ports.map { port in
                var entry: JSONValue = ["name": .string(port.name), "port": .number("\(port.port)")]
                // The default may be left out.
                if port.transport != "TCP" || port.port == 80 { entry["protocol"] = .string(port.transport) }
                if port.nodePort != 0 { entry["nodePort"] = .number("\(port.nodePort)") }
                return entry
            })
        json["allocateLoadBalancerNodePorts"] = spec.allocates.map { .bool($0) }
        if spec.isLocal { json["externalTrafficPolicy"] = "Local" }
        if spec.healthCheck != 0 { json["healthCheckNodePort"] = .number("\(spec.healthCheck)") }
        return json
    }

    private static func outcome(_ answer: DecisionAnswer) -> TablePortOutcome {
        switch answer {
        case .refused("NOT_FOUND", _): return .missing
        case .refused("ALREADY_EXISTS", _): return .exists
        case .refused("RESOURCE_EXHAUSTED", _): return .full
        case .refused(_, let causes): return .invalid(causes)
        case .service(let service):
            let json = service["spec"] ?? [:]
            var spec = TablePortSpec(type: json["type"]?.stringValue ?? "")
            spec.ports = (json["ports"]?.arrayValue ?? []).map { port in
                TablePort(
                    name: port["name"]?.stringValue ?? "", transport: port["protocol"]?.stringValue ?? "TCP",
                    port: port["port"]?.intValue ?? 0, nodePort: port["nodePort"]?.intValue ?? 0)
            }
            spec.allocates = json["allocateLoadBalancerNodePorts"]?.boolValue
            spec.isLocal = json["externalTrafficPolicy"] == "Local"
            spec.healthCheck = json["healthCheckNodePort"]?.intValue ?? 0
            return .done(spec)
        }
    }
}

extension TablePortOutcome {
    fileprivate var word: String {
        switch self {
        case .done: "done"
        case .invalid: "invalid"
        case .full: "full"
        case .missing: "missing"
        case .exists: "exists"
        }
    }
}

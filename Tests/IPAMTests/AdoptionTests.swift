import Addressing
import FaultyLog
import Ledger
import TandemAPI
import TestSupport
import Testing

@testable import IPAM

/// Objects as a cluster has them, taken in.
@Suite("Adoption")
struct AdoptionTests {
    private let store = FaultyLog()

    private func start(_ change: (inout ClusterConfiguration) -> Void = { _ in }) throws -> EngineHarness {
        var cluster = ClusterConfiguration.small
        change(&cluster)
        return try EngineHarness(store, cluster)
    }

    private func json(_ text: String) throws -> JSONValue { try JSONValue(parsing: Array(text.utf8)) }

    private func service(
        _ name: String, _ uid: String, _ ips: [String], ingress: [String] = [], policy: String = "PreferDualStack"
    ) throws -> JSONValue {
        let families = ips.map { $0.contains(":") ? #""IPv6""# : #""IPv4""# }.joined(separator: ",")
        let list = ips.map { "\"\($0)\"" }.joined(separator: ",")
        let shown = ingress.map { #"{"ip":"\#($0)","ipMode":"VIP"}"# }.joined(separator: ",")
        return try json(
            """
            {"apiVersion":"v1","kind":"Service","metadata":{"namespace":"default","name":"\(name)","uid":"\(uid)",
             "resourceVersion":"8817","creationTimestamp":"2024-01-02T03:04:05Z","labels":{"a":"b"}},
             "spec":{"type":"\(ingress.isEmpty ? "ClusterIP" : "LoadBalancer")","ipFamilyPolicy":"\(policy)","ipFamilies":[\(families)],
             "clusterIP":"\(ips.first ?? "")","clusterIPs":[\(list)],"ports":[{"port":80}]},
             "status":{"loadBalancer":{"ingress":[\(shown)]}}}
            """)
    }

    private func node(_ name: String, _ uid: String, _ cidrs: [String]) throws -> JSONValue {
        let list = cidrs.map { "\"\($0)\"" }.joined(separator: ",")
        let first = cidrs.first.map { #""podCIDR":"\#($0)","# } ?? ""
        return try json(
            """
            {"metadata":{"name":"\(name)","uid":"\(uid)","resourceVersion":"1","labels":{"z":"1"},"annotations":{"x":"y"},
             "managedFields":[{}]},"spec":{\(first)"podCIDRs":[\(list)],"taints":[]},"status":{"capacity":{}}}
            """)
    }

    private func pod(_ name: String, _ uid: String?, _ ips: [String], on node: String = "n1", more: String = "") throws
        -> JSONValue
    {
        let list = ips.map { #"{"ip":"\#($0)"}"# }.joined(separator: ",")
        let given = uid.map { #","uid":"\#($0)""# } ?? ""
        return try json(
            """
            {"metadata":{"namespace":"default","name":"\(name)"\(given),"labels":{"app":"x"},"resourceVersion":"77",
             "annotations":{"kubernetes.io/config.hash":"h","other":"o"},"ownerReferences":[{}]},
             "spec":{"nodeName":"\(node)","containers":[{}]\(more)},"status":{"phase":"Running","podIPs":[\(list)]}}
            """)
    }

    private func adopt(_ harness: EngineHarness, service: JSONValue) async -> Result<JSONValue, APIError> {
        await harness.call(.allocateServiceIPs, ["service": service, "adopt": true])
    }

    private func adopt(_ harness: EngineHarness, node: JSONValue, anywhere: Bool = false) async -> Result<
        JSONValue, APIError
    > {
        await harness.call(.allocateNodeCIDRs, ["node": node, "adopt": true, "outOfRange": .bool(anywhere)])
    }

    private func adopt(_ harness: EngineHarness, pod: JSONValue) async -> Result<JSONValue, APIError> {
        await harness.call(.allocatePodIPs, ["pod": pod, "adopt": true])
    }

    private func strings(_ value: JSONValue?) -> [String] { (value?.arrayValue ?? []).compactMap(\.stringValue) }

    private func owner(_ harness: EngineHarness, _ ip: String) throws -> String? {
        harness.engine.lookup(try #require(IPAddress(ip))).owner?.name
    }

    // MARK: Services

    @Test("a Service keeps the addresses that it shows, once or ten times, and over a restart")
    func convergesServices() async throws {
        var harness = try start()
        let web = try service("web", "u1", ["10.96.0.5", "fd00:10:96::5"], ingress: ["192.0.2.3"])
        let first = try await adopt(harness, service: web).get()
        #expect(strings(first["service"]?["spec"]?["clusterIPs"]) == ["10.96.0.5", "fd00:10:96::5"])
        #expect(first["service"]?["metadata"]?["creationTimestamp"]?.stringValue == "2024-01-02T03:04:05Z")
        #expect(first["replayed"] == nil && first["kept"] == nil)
        let version = first["service"]?["metadata"]?["resourceVersion"]
        for _ in 0..<9 {
            let again = try await adopt(harness, service: web).get()
            #expect(again["replayed"]?.boolValue == true)
            #expect(again["service"]?["metadata"]?["resourceVersion"] == version)
        }
        #expect(try await harness.faults() == [])
        harness.stop()
        harness = try start()
        #expect(try await adopt(harness, service: web).get()["replayed"]?.boolValue == true)
        for ip in ["10.96.0.5", "fd00:10:96::5", "192.0.2.3"] { #expect(try owner(harness, ip) == "web") }
        harness.stop()
    }

    @Test("one family of a PreferDualStack Service stays one, and a load balancer without address gets none")
    func givesNothingMore() async throws {
        let harness = try start()
        let single = try await adopt(harness, service: service("one", "u1", ["10.96.0.5"])).get()
        #expect(strings(single["service"]?["spec"]?["clusterIPs"]) == ["10.96.0.5"])
        #expect(strings(single["service"]?["spec"]?["ipFamilies"]) == ["IPv4"])
        var pending = try service("pending", "u2", ["10.96.0.6"])
        pending["spec"]?["type"] = "LoadBalancer"
        let answer = try await adopt(harness, service: pending).get()
        #expect(answer["service"]?["status"]?["loadBalancer"]?["ingress"] == nil)
        harness.stop()
    }

    @Test("newly shown addresses are claimed, and those no longer shown are kept and named")
    func keepsWhatIsNotShown() async throws {
        let harness = try start()
        _ = try await adopt(
            harness, service: service("web", "u1", ["10.96.0.5", "fd00:10:96::5"], ingress: ["192.0.2.3"])
        ).get()
        let less = try await adopt(harness, service: service("web", "u1", ["10.96.0.5"], ingress: ["192.0.2.4"])).get()
        #expect(Set(strings(less["kept"])) == ["fd00:10:96::5", "192.0.2.3"])
        let ingress = less["service"]?["status"]?["loadBalancer"]?["ingress"]?.arrayValue ?? []
        #expect(ingress.map { $0["ip"]?.stringValue } == ["192.0.2.4", "192.0.2.3"])
        for ip in ["10.96.0.5", "fd00:10:96::5", "192.0.2.3", "192.0.2.4"] { #expect(try owner(harness, ip) == "web") }
        // Again, and after a restart: nothing is new, and all is still there.
        harness.stop()
        let second = try start()
        let again = try await adopt(second, service: service("web", "u1", ["10.96.0.5"], ingress: ["192.0.2.4"])).get()
        #expect(again["replayed"]?.boolValue == true && Set(strings(again["kept"])) == ["fd00:10:96::5", "192.0.2.3"])
        let audit = Audit(second.engine)
        var step = Audit.Step()
        repeat { step = audit.step() } while !step.endsPass
        #expect(step.faults == 0)
        let back = try await adopt(
            second, service: service("web", "u1", ["10.96.0.5", "fd00:10:96::5"], ingress: ["192.0.2.4"])
        ).get()
        #expect(strings(back["kept"]) == ["192.0.2.3"])
        let released = try await second.call(.release, ["service": ["metadata": ["name": "web"]]]).get()
        #expect(released["released"]?.arrayValue?.count == 4)
        #expect(try await second.faults() == [])
        second.stop()
    }

    @Test("an address of another's is refused, as is another uid; a uid of Tandem's making gives way")
    func refusesServices() async throws {
        let harness = try start()
        _ = try await harness.call(
            .allocateServiceIPs, ["service": try json(#"{"metadata":{"name":"old"},"spec":{"clusterIP":"10.96.0.5"}}"#)]
        ).get()
        let taken = await adopt(harness, service: try service("web", "u1", ["10.96.0.5"]))
        #expect(throws: APIError.self) { try taken.get() }
        guard case .failure(let error) = taken else { return }
        #expect(error.causes.first?.field == "spec.clusterIPs")
        #expect(error.message.contains("already allocated"))
        let adopted = try await adopt(harness, service: service("old", "u2", ["10.96.0.5"])).get()
        #expect(adopted["service"]?["metadata"]?["uid"]?.stringValue == "u2")
        guard case .failure(let other) = await adopt(harness, service: try service("old", "u3", ["10.96.0.5"])) else {
            Issue.record("another uid was taken in")
            return
        }
        #expect(other.status == .alreadyExists && other.message.contains("u2"))
        guard case .failure(let outside) = await adopt(harness, service: try service("far", "u4", ["10.97.0.1"])) else {
            Issue.record("an address outside of the range was taken in")
            return
        }
        #expect(outside.message.contains("10.96.0.0/28"))
        let foreign = try service("lb", "u5", ["10.96.0.7"], ingress: ["198.51.100.1"])
        guard case .failure(let ingress) = await adopt(harness, service: foreign) else {
            Issue.record("an ingress outside of the ranges was taken in")
            return
        }
        #expect(ingress.causes.first?.field == "status.loadBalancer.ingress[0].ip")
        #expect(try await harness.faults() == [])
        harness.stop()
    }

    @Test("a Service that is served no more by a changed flag keeps the address that it shows and holds")
    func keepsWhatIsServedNoMore() async throws {
        var harness = try start()
        let web = try service("web", "u1", ["10.96.0.5"], ingress: ["192.0.2.3"])
        _ = try await adopt(harness, service: web).get()
        harness.stop()
        harness = try start { $0.servesUnclassedLoadBalancers = false }
        _ = try await adopt(harness, service: web).get()
        #expect(try owner(harness, "192.0.2.3") == "web")
        harness.stop()
    }

    @Test("a load balancer of many addresses is taken in whole, and again")
    func takesManyAddresses() async throws {
        let harness = try start { $0.loadBalancerRanges = [AddressRange("192.0.2.0/24")!] }
        let many = (1...200).map { "192.0.2.\($0)" }
        // One comes twice.
        let web = try service("web", "u1", ["10.96.0.5"], ingress: many + ["192.0.2.100"])
        let first = try await adopt(harness, service: web).get()
        #expect(first["service"]?["status"]?["loadBalancer"]?["ingress"]?.arrayValue?.count == 200)
        #expect(try await adopt(harness, service: web).get()["replayed"]?.boolValue == true)
        let less = try await adopt(
            harness, service: service("web", "u1", ["10.96.0.5"], ingress: Array(many.prefix(3)))
        )
        .get()
        #expect(strings(less["kept"]).count == 197)
        #expect(try await harness.faults() == [])
        harness.stop()
    }

    @Test("a dry run claims and keeps nothing")
    func dryRun() async throws {
        let harness = try start()
        let web = try service("web", "u1", ["10.96.0.5", "fd00:10:96::5"])
        let answer = try await harness.call(
            .allocateServiceIPs, ["service": web, "adopt": true, "dryRun": true]
        ).get()
        #expect(strings(answer["service"]?["spec"]?["clusterIPs"]) == ["10.96.0.5", "fd00:10:96::5"])
        let node = try node("n1", "u", ["10.244.0.0/28"])
        _ = try await harness.call(.allocateNodeCIDRs, ["node": node, "adopt": true, "dryRun": true]).get()
        #expect(try await harness.faults() == [])
        #expect(try await harness.items(.listServices).isEmpty)
        #expect(try await harness.items(.listNodes).isEmpty)
        harness.stop()
    }

    // MARK: Nodes

    @Test("a node keeps its CIDRs, of any length, and takes another uid; one outside of the ranges must be allowed")
    func convergesNodes() async throws {
        let harness = try start()
        // Half of a subnet of the range, and one of many.
        let shown = ["10.244.0.8/29", "fd00:10:244:1::/64"]
        let first = try await adopt(harness, node: node("n1", "u1", shown)).get()
        #expect(strings(first["node"]?["spec"]?["podCIDRs"]) == shown)
        #expect(first["node"]?["metadata"]?["labels"] != nil && first["node"]?["metadata"]?["annotations"] == nil)
        #expect(first["node"]?["status"] == nil)
        #expect(try await adopt(harness, node: node("n1", "u1", shown)).get()["replayed"]?.boolValue == true)
        let other = try await adopt(harness, node: node("n1", "u2", [])).get()
        #expect(strings(other["node"]?["spec"]?["podCIDRs"]) == shown && strings(other["kept"]) == shown)
        #expect(other["node"]?["metadata"]?["uid"]?.stringValue == "u2")
        // Other nodes keep off.
        let second = try await harness.call(.allocateNodeCIDRs, ["node": ["metadata": ["name": "n2"]]]).get()
        #expect(strings(second["node"]?["spec"]?["podCIDRs"]) == ["10.244.0.16/28", "fd00:10:244::/64"])
        for (cidr, hint) in [
            ("10.99.0.0/24", "outOfRange"), ("10.244.0.0/28", "another node holds 10.244.0.8/29"),
            ("10.244.0.0/31", "/30"),
        ] {
            guard case .failure(let error) = await adopt(harness, node: try node("n3", "u3", [cidr])) else {
                Issue.record("\(cidr) was taken in")
                continue
            }
            #expect(error.causes.first?.field == "spec.podCIDRs[0]" && error.message.contains(hint), "\(error.message)")
        }
        let far = try await adopt(harness, node: node("n3", "u3", ["10.99.0.0/24"]), anywhere: true).get()
        #expect(strings(far["node"]?["spec"]?["podCIDRs"]) == ["10.99.0.0/24"])
        // A node that shows none has nothing to be taken in.
        let none = try await adopt(harness, node: node("n4", "u4", [])).get()
        #expect(none["held"]?.boolValue == false)
        #expect(try await harness.items(.listNodes).count == 3)
        harness.stop()
    }

    @Test("pods of an adopted node get addresses of its shown CIDRs, not of earlier ones")
    func putsShownFirst() async throws {
        let harness = try start()
        _ = try await harness.call(.allocateNodeCIDRs, ["node": ["metadata": ["name": "n1"]]]).get()
        let adopted = try await adopt(harness, node: node("n1", "u1", ["10.244.0.48/28"])).get()
        #expect(strings(adopted["kept"]) == ["10.244.0.0/28", "fd00:10:244::/64"])
        let pod = try await harness.call(
            .allocatePodIPs, ["pod": try json(#"{"metadata":{"name":"p"},"spec":{"nodeName":"n1"}}"#)]
        ).get()
        let ip = try #require(pod["pod"]?["status"]?["podIP"]?.stringValue)
        #expect(try #require(CIDR("10.244.0.48/28")).contains(try #require(IPAddress(ip))))
        harness.stop()
    }

    // MARK: Pods

    @Test("a pod keeps the addresses that it shows; one that shows none holds none")
    func convergesPods() async throws {
        var harness = try start()
        _ = try await adopt(harness, node: node("n1", "u1", ["10.244.0.0/28", "fd00:10:244::/64"])).get()
        let web = try pod("web", "p1", ["10.244.0.7", "fd00:10:244::7"])
        let first = try await adopt(harness, pod: web).get()
        #expect(first["pod"]?["status"]?["podIP"]?.stringValue == "10.244.0.7")
        #expect(first["pod"]?["metadata"]?["annotations"]?.objectValue?.members.count == 1)
        #expect(first["pod"]?["spec"]?["containers"] == nil && first["pod"]?["metadata"]?["ownerReferences"] == nil)
        #expect(try await adopt(harness, pod: web).get()["replayed"]?.boolValue == true)
        harness.stop()
        harness = try start()
        #expect(try await adopt(harness, pod: web).get()["replayed"]?.boolValue == true)
        let less = try await adopt(harness, pod: pod("web", "p1", ["10.244.0.7"])).get()
        #expect(strings(less["kept"]) == ["fd00:10:244::7"])
        // Another uid is another pod, whose address is the first one's still.
        guard case .failure(let error) = await adopt(harness, pod: try pod("web", "p2", ["10.244.0.7"])) else {
            Issue.record("one address was given to two pods")
            return
        }
        #expect(error.causes.first?.field == "status.podIPs[0].ip")
        #expect(try await adopt(harness, pod: pod("new", "p3", [])).get()["held"]?.boolValue == false)
        #expect(try await adopt(harness, pod: pod("new", "p3", [], on: "n9")).get()["held"]?.boolValue == false)
        guard case .failure(let unknown) = await adopt(harness, pod: try pod("x", "p4", ["10.244.0.9"], on: "n9"))
        else {
            Issue.record("a pod of an unknown node was taken in")
            return
        }
        #expect(unknown.status == .failedPrecondition && unknown.message.contains("adopt it first"))
        guard case .failure(let far) = await adopt(harness, pod: try pod("y", "p5", ["10.9.9.9"])) else {
            Issue.record("an address outside of the node's CIDR was taken in")
            return
        }
        #expect(far.message.contains("10.244.0.0/28"))
        #expect(try await harness.faults() == [])
        harness.stop()
    }

    @Test("an allocation by attachment that has the uid and the addresses is that pod")
    func knowsAttachments() async throws {
        let harness = try start()
        let made = try await harness.call(
            .allocatePodIPs,
            [
                "pod": try json(#"{"metadata":{"namespace":"default","name":"web"},"spec":{"nodeName":"n1"}}"#),
                "attachment": ["containerID": "c1"],
            ]
        ).get()
        let ips = (made["pod"]?["status"]?["podIPs"]?.arrayValue ?? []).compactMap { $0["ip"]?.stringValue }
        // The run-time gave no uid: Tandem's own gives way.
        let adopted = try await adopt(harness, pod: pod("web", "p1", ips)).get()
        #expect(adopted["pod"]?["metadata"]?["uid"]?.stringValue == "p1" && adopted["replayed"] == nil)
        #expect(try await adopt(harness, pod: pod("web", "p1", ips)).get()["replayed"]?.boolValue == true)
        #expect(try await harness.items(.listPods).count == 1)
        // The next one of the name is another.
        let next = await adopt(harness, pod: try pod("web", "p2", ips))
        #expect(throws: APIError.self) { try next.get() }
        let gone = try await harness.call(.release, ["attachment": ["containerID": "c1"]]).get()
        #expect(gone["released"]?.arrayValue?.count == 2)
        #expect(try await harness.items(.listPods).isEmpty)
        harness.stop()
    }

    @Test("pods of the host's network, and pods that are over, hold nothing", arguments: [false, true])
    func passesWhatHoldsNothing(_ adopts: Bool) async throws {
        let harness = try start()
        var over = try pod("job", "p2", ["10.244.0.7"])
        for phase in ["Succeeded", "Failed"] {
            over["status"]?["phase"] = .string(phase)
            let answer = try await harness.call(.allocatePodIPs, ["pod": over, "adopt": .bool(adopts)]).get()
            #expect(answer["held"]?.boolValue == false && answer["pod"]?["metadata"]?["uid"]?.stringValue == "p2")
        }
        let host = try pod("proxy", "p1", ["192.168.1.1"], more: #","hostNetwork":true"#)
        let answer = try await harness.call(.allocatePodIPs, ["pod": host, "adopt": .bool(adopts)]).get()
        #expect(answer["held"]?.boolValue == false)
        #expect(answer["pod"]?["status"]?["podIPs"]?.arrayValue?.first?["ip"]?.stringValue == "192.168.1.1")
        #expect(try await harness.items(.listPods).isEmpty)
        #expect(try await harness.items(.listNodes).isEmpty)
        let released = try await harness.call(.release, ["pod": host]).get()
        #expect(released["released"]?.arrayValue == [])
        // Of a pod that has the network of its own "false" says no more than nothing.
        let own = try pod("own", "p3", [], more: #","hostNetwork":false"#)
        #expect(try await harness.call(.allocatePodIPs, ["pod": own]).get()["held"] == nil)
        harness.stop()
    }

    // MARK: No service range

    @Test("without a service range cluster IPs are recorded, shared where two show one, and never given out")
    func records() async throws {
        func start() throws -> EngineHarness { try self.start { $0.serviceRanges = [] } }
        var harness = try start()
        let ips = ["10.100.0.5", "fd00:10:100::5"]
        for name in ["a", "b"] {
            let answer = try await adopt(harness, service: service(name, name, ips)).get()
            #expect(strings(answer["service"]?["spec"]?["clusterIPs"]) == ips)
        }
        let bare = try await harness.call(
            .allocateServiceIPs, ["service": try json(#"{"metadata":{"name":"bare"},"spec":{}}"#)]
        ).get()
        #expect(bare["service"]?["spec"]?["clusterIPs"] == nil && bare["service"]?["spec"]?["ipFamilies"] == nil)
        #expect(bare["service"]?["spec"]?["ipFamilyPolicy"] == nil)
        #expect(harness.engine.outsideRanges.isEmpty)
        harness.stop()
        harness = try start()
        let audit = Audit(harness.engine)
        var step = Audit.Step()
        repeat { step = audit.step() } while !step.endsPass
        #expect(step.faults == 0)
        #expect(try owner(harness, "10.100.0.5") == "a")
        _ = try await harness.call(.release, ["service": ["metadata": ["name": "a"]]]).get()
        #expect(try owner(harness, "10.100.0.5") == "b")
        // No load balancer and no node is given it, whatever the ranges are by then.
        harness.stop()
        let changed = try self.start { cluster in
            cluster.serviceRanges = []
            cluster.loadBalancerRanges = [AddressRange("10.100.0.4-10.100.0.6")!]
        }
        var given: [String] = []
        for index in 0..<2 {
            let lb = try json(#"{"metadata":{"name":"lb\#(index)"},"spec":{"type":"LoadBalancer"}}"#)
            let answer = try await changed.call(.allocateServiceIPs, ["service": lb]).get()
            given += (answer["service"]?["status"]?["loadBalancer"]?["ingress"]?.arrayValue ?? []).compactMap {
                $0["ip"]?.stringValue
            }
        }
        #expect(Set(given) == ["10.100.0.4", "10.100.0.6"])
        guard case .failure(let taken) = await adopt(changed, service: try service("c", "c", ["10.100.0.4"])) else {
            Issue.record("a load balancer's address was recorded of another")
            return
        }
        #expect(taken.message.contains("already allocated"))
        changed.stop()
    }

    @Test("random objects that show addresses, over restarts, against a table", arguments: [1, 2, 3] as [UInt64])
    func agreesWithATable(_ seed: UInt64) async throws {
        func start() throws -> EngineHarness { try self.start { $0.serviceRanges = [] } }
        var harness = try start()
        var random = SeededGenerator(seed: seed)
        let addresses = ["10.100.0.5", "10.100.0.6", "fd00:10:100::5", "fd00:10:100::6"]
        // The addresses of each Service: those that it shows, and those that it has shown since it was last updated.
        var table: [String: Set<String>] = [:]
        for step in 0..<300 {
            let name = "s\(Int.random(in: 0..<6, using: &random))"
            var ips = [addresses[Int.random(in: 0...1, using: &random)]]
            if Bool.random(using: &random) { ips.append(addresses[Int.random(in: 2...3, using: &random)]) }
            var service = try service(name, name, ips)
            service["metadata"]?["resourceVersion"] = "0"
            switch Int.random(in: 0..<8, using: &random) {
            case 0:
                harness.stop()
                harness = try start()
            case 1:
                _ = try await harness.call(.release, ["service": ["metadata": ["name": .string(name)]]]).get()
                table[name] = nil
            case 2:
                if (try? await harness.call(.updateServiceIPs, ["service": service]).get()) != nil {
                    table[name] = Set(ips)
                } else {
                    #expect(table[name] == nil, "step \(step)")
                }
            default:
                let answer = try await adopt(harness, service: service).get()
                let kept = table[name, default: []].subtracting(ips)
                #expect(Set(strings(answer["kept"])) == kept, "step \(step)")
                table[name] = kept.union(ips)
            }
            for text in addresses {
                let address = try #require(IPAddress(text))
                let holders = table.filter { $0.value.contains(text) }.keys.sorted()
                #expect(harness.engine.books.recorderCount(of: address) == holders.count, "step \(step): \(text)")
                #expect(try owner(harness, text) == holders.first, "step \(step): \(text)")
            }
        }
        harness.stop()
    }

    @Test("one address is recorded of so many Services, and no more")
    func boundsRecorders() async throws {
        let harness = try start { $0.serviceRanges = [] }
        for index in 0..<16 {
            _ = try await adopt(harness, service: service("s\(index)", "u\(index)", ["10.100.0.5"])).get()
        }
        let next = await adopt(harness, service: try service("more", "more", ["10.100.0.5"]))
        #expect(throws: APIError.self) { try next.get() }
        for index in 0..<16 {
            #expect(try owner(harness, "10.100.0.5") != nil)
            _ = try await harness.call(.release, ["service": ["metadata": ["name": .string("s\(index)")]]]).get()
        }
        #expect(try owner(harness, "10.100.0.5") == nil)
        harness.stop()
    }

    @Test("holdings of a service range stay where there is none any more, and the other way round")
    func changesRanges() async throws {
        var harness = try start()
        let web = try service("web", "u1", ["10.96.0.5", "fd00:10:96::5"])
        _ = try await adopt(harness, service: web).get()
        harness.stop()
        harness = try start { $0.serviceRanges = [] }
        var changed = web
        changed["metadata"]?["labels"] = ["c": "d"]
        _ = try await adopt(harness, service: changed).get()
        _ = try await adopt(harness, service: service("rec", "u2", ["10.96.0.6"])).get()
        let second = await adopt(harness, service: try service("other", "u3", ["10.96.0.5"]))
        #expect(throws: APIError.self) { try second.get() }
        harness.stop()
        harness = try start()
        var relabelled = try service("rec", "u2", ["10.96.0.6"])
        relabelled["metadata"]?["labels"] = ["c": "e"]
        _ = try await adopt(harness, service: relabelled).get()
        #expect(try await harness.faults() == [])
        harness.stop()
    }

    @Test("node ports that a Service shows are claimed, none is drawn, and those no longer shown are kept")
    func adoptsNodePorts() async throws {
        func start() throws -> EngineHarness { try self.start { $0.nodePortRange = 30000...30100 } }
        func service(_ name: String, _ ports: String, _ more: String = "") throws -> JSONValue {
            try json(
                """
                {"metadata":{"name":"\(name)","uid":"\(name)"},"spec":{"type":"NodePort","clusterIP":"10.96.0.\(name.utf8.count)",
                 "ports":[\(ports)]\(more)}}
                """)
        }
        var harness = try start()
        let web = try service("web", #"{"port":80,"nodePort":30080},{"port":53,"name":"dns"}"#)
        let first = try await adopt(harness, service: web).get()
        let ports = first["service"]?["spec"]?["ports"]?.arrayValue ?? []
        #expect(ports.map { $0["nodePort"]?.intValue } == [30080, nil])
        #expect(try await adopt(harness, service: web).get()["replayed"]?.boolValue == true)
        let other = await adopt(harness, service: try service("other", #"{"port":80,"nodePort":30080}"#))
        guard case .failure(let taken) = other else {
            Issue.record("one port was given to two Services")
            return
        }
        #expect(taken.causes.first?.field == "spec.ports[0].nodePort")
        let moved = try await adopt(harness, service: service("web", #"{"port":80,"nodePort":30081}"#)).get()
        #expect(strings(moved["kept"]) == ["nodePort/30080"])
        harness.stop()
        harness = try start()
        let again = try await adopt(harness, service: service("web", #"{"port":80,"nodePort":30081}"#)).get()
        #expect(again["replayed"]?.boolValue == true && strings(again["kept"]) == ["nodePort/30080"])
        let held = await adopt(harness, service: try service("other", #"{"port":80,"nodePort":30080}"#))
        #expect(throws: APIError.self) { try held.get() }
        // An update gives it back.
        _ = try await harness.call(
            .updateServiceIPs,
            ["service": service("web", #"{"port":80,"nodePort":30081}"#, #","sessionAffinity":"None""#)]
        ).get()
        _ = try await adopt(harness, service: service("other", #"{"port":80,"nodePort":30080}"#)).get()
        harness.stop()
    }

    @Test("lists, and a look at a node, say which uids Tandem made itself")
    func madeUIDs() async throws {
        let harness = try start()
        for name in ["n1", "n2"] {
            var metadata: JSONValue = ["name": .string(name)]
            if name == "n2" { metadata["uid"] = "given" }
            _ = try await harness.call(.allocateNodeCIDRs, ["node": ["metadata": metadata]]).get()
            let pod: JSONValue = ["metadata": metadata, "spec": ["nodeName": .string(name)]]
            _ = try await harness.call(.allocatePodIPs, ["pod": pod]).get()
        }
        for method: TandemAPI.Method in [.listNodes, .listPods] {
            let page = try await harness.call(method).get()
            let made = (page["items"]?.arrayValue ?? []).compactMap { $0["metadata"]?["uid"] }.filter { $0 != "given" }
            #expect(made.count == 1 && page["madeUIDs"] == .array(made))
        }
        let byNode = try await harness.call(.listPods, ["nodeName": "n2"]).get()
        #expect(byNode["madeUIDs"] == nil)
        #expect(try await harness.call(.getNode, ["node": ["metadata": ["name": "n1"]]]).get()["uidMade"] == true)
        #expect(try await harness.call(.getNode, ["node": ["metadata": ["name": "n2"]]]).get()["uidMade"] == nil)
    }
}

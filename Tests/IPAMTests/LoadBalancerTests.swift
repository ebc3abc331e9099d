import Addressing
import FaultyLog
import Ledger
import TandemAPI
import Testing

@testable import IPAM

/// Load-balancer addresses of several ranges, and of ranges that are full.
@Suite("Load-balancer ranges")
struct LoadBalancerRangeTests {
    private let store = FaultyLog()

    private func start(_ ranges: String) throws -> EngineHarness {
        var cluster = ClusterConfiguration.small
        cluster.loadBalancerRanges = ranges.split(separator: ",").map { AddressRange($0)! }
        return try EngineHarness(store, cluster)
    }

    private func service(_ name: String, _ policy: String = "SingleStack", _ more: String = "") throws -> JSONValue {
        let text = """
            {"metadata":{"name":"\(name)"},"spec":{"type":"LoadBalancer","ipFamilyPolicy":"\(policy)","ports":[{"port":80}]\(more)}}
            """
        return ["service": try JSONValue(parsing: Array(text.utf8))]
    }

    private func ingress(_ answer: JSONValue?) -> [String] {
        (answer?["service"]?["status"]?["loadBalancer"]?["ingress"]?.arrayValue ?? []).compactMap {
            $0["ip"]?.stringValue
        }
    }

    @Test("the first that has room is taken from, to the last address of each")
    func fillsInOrder() async throws {
        let harness = try start("192.0.2.0/30,198.51.100.7/32,203.0.113.9-203.0.113.11")
        var given: [[String]] = []
        for index in 0..<6 {
            given.append(ingress(try await harness.call(.allocateServiceIPs, service("s\(index)")).get()))
        }
        #expect(Set(given.prefix(2).joined()) == ["192.0.2.1", "192.0.2.2"])
        #expect(given[2] == ["198.51.100.7"])
        #expect(Set(given.suffix(3).joined()) == ["203.0.113.9", "203.0.113.10", "203.0.113.11"])
        guard case .failure(let full) = try await harness.call(.allocateServiceIPs, service("more")) else {
            Issue.record("an address more than there are")
            return
        }
        #expect(full.reason == "RangeFull" && full.fullRange == AddressRange("203.0.113.9-203.0.113.11"))
        let pools = try await harness.call(.getPools, ["kind": "LoadBalancer"]).get()["pools"]?.arrayValue ?? []
        #expect(
            pools.map { [$0["name"], $0["cidr"], $0["capacity"], $0["allocated"]].map { $0?.stringValue } } == [
                ["loadbalancers-ipv4", "192.0.2.0/30", "2", "2"],
                ["loadbalancers-ipv4-2", "198.51.100.7/32", "1", "1"],
                ["loadbalancers-ipv4-3", "203.0.113.9-203.0.113.11", "3", "3"],
            ])
        let status = harness.engine.lookup(try #require(IPAddress("203.0.113.10")))
        #expect(status.pool == "loadbalancers-ipv4-3" && status.state == .allocated)
        #expect(try await harness.faults() == [])
        harness.stop()
    }

    @Test("PreferDualStack takes one family where the other is full, and the missing one with a later update")
    func fallsBack() async throws {
        var harness = try start("192.0.2.0/28,2001:db8::1/128")
        _ = try await harness.call(.allocateServiceIPs, service("first", "RequireDualStack")).get()
        #expect(
            ingress(try await harness.call(.allocateServiceIPs, service("web", "PreferDualStack")).get()).count == 1)
        guard
            case .failure(let refused) = try await harness.call(.allocateServiceIPs, service("all", "RequireDualStack"))
        else {
            Issue.record("RequireDualStack was given one address")
            return
        }
        #expect(refused.reason == "RangeFull" && refused.fullRange == AddressRange("2001:db8::1/128"))
        // An update that finds no room leaves it as it is; over a restart as well.
        let update = try service("web", "PreferDualStack", #","externalTrafficPolicy":"Local""#)
        #expect(ingress(try await harness.call(.updateServiceIPs, update).get()).count == 1)
        harness.stop()
        harness = try start("192.0.2.0/28,2001:db8::1/128")
        _ = try await harness.call(.release, ["service": ["metadata": ["name": "first"]]]).get()
        // The same update again, which was answered before.
        let grown = try await harness.call(.updateServiceIPs, update).get()
        #expect(ingress(grown).contains("2001:db8::1") && ingress(grown).count == 2)
        #expect(try await harness.call(.updateServiceIPs, update).get()["replayed"]?.boolValue == true)
        #expect(try await harness.faults() == [])
        harness.stop()
    }

    @Test("with no room at all PreferDualStack is refused, and keeps nothing")
    func needsOne() async throws {
        let harness = try start("192.0.2.1/32,2001:db8::1/128")
        _ = try await harness.call(.allocateServiceIPs, service("first", "RequireDualStack")).get()
        guard
            case .failure(let refused) = try await harness.call(.allocateServiceIPs, service("web", "PreferDualStack"))
        else {
            Issue.record("an address more than there are")
            return
        }
        #expect(refused.reason == "RangeFull")
        #expect(try await harness.faults() == [])
        harness.stop()
    }

    @Test("held addresses stay over restarts of a full range, whatever object waits")
    func keepsOverRestarts() async throws {
        var harness = try start("192.0.2.1/32")
        let first = try service("first")
        let held = ingress(try await harness.call(.allocateServiceIPs, first).get())
        for _ in 0..<3 {
            harness.stop()
            harness = try start("192.0.2.1/32")
            guard case .failure(let refused) = try await harness.call(.allocateServiceIPs, service("waiting")) else {
                Issue.record("the held address was given to the one that waits")
                return
            }
            #expect(refused.reason == "RangeFull")
            let again = try await harness.call(.allocateServiceIPs, first).get()
            #expect(ingress(again) == held && again["replayed"]?.boolValue == true)
        }
        harness.stop()
    }
}

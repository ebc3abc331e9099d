import Addressing
import DualStack
import TandemAPI
import Testing

/// Services from a time in which another program gave cluster IPs.
@Suite("Services without the addresses that their families would have")
struct RecordedServiceTests {
    @Test("an update to two families gives it both addresses, each in its place")
    func givesBoth() throws {
        let metadata = ObjectMeta(namespace: "default", name: "web")
        var stored = Service(metadata: metadata)
        stored.spec.type = .clusterIP
        stored.spec.ipFamilies = [.value(.ipv4)]
        var asked = Service(metadata: metadata)
        asked.spec.ipFamilies = [.value(.ipv4)]
        asked.spec.ipFamilyPolicy = .preferDualStack
        let plan = try ServiceRules(clusterFamilies: [.ipv4, .ipv6]).update(stored, to: asked)
        #expect(plan.claims.map(\.family) == [.ipv4, .ipv6])
        let addresses = [try #require(IPAddress("10.96.0.7")), try #require(IPAddress("fd00:10:96::7"))]
        let decision = try plan.completed(with: Few(addresses))
        #expect(decision.service.spec.clusterIPs.map(\.description) == ["10.96.0.7", "fd00:10:96::7"])
        #expect(decision.held.map(\.address) == addresses)
    }
}

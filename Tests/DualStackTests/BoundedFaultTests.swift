import Addressing
import DualStack
import TandemAPI
import TestSupport
import Testing

/// Objects with a fault in each of very many elements. They take milliseconds; compared with one another, or with each fault kept,
/// they took minutes and gigabytes.
@Suite("Faults of large objects are bounded")
struct BoundedFaultTests {
    private static let count = 100_000
    private let metadata = ObjectMeta(namespace: "default", name: "web")

    private func expectBounded(_ faults: Int, _ body: () throws(APIError) -> Void) throws {
        var thrown: APIError?
        let seconds = processorSeconds {
            do throws(APIError) { try body() } catch { thrown = error }
        }
        #expect(seconds < 20)
        let error = try #require(thrown)
        #expect(error.causes.count == APIError.Causes.maximum)
        #expect(error.message.contains("\"web\" is invalid (the first 32 of \(faults) faults): "))
        #expect(error.message.utf8.count <= APIError.maximumMessageBytes)
    }

    @Test("Services: families that there are not, and addresses that are none")
    func boundsServices() throws {
        let rules = ServiceRules(clusterFamilies: [.ipv4])
        var service = Service(metadata: metadata)
        service.spec.ipFamilies = WrittenList((0..<Self.count).map { Written("family-\($0)") })
        try expectBounded(Self.count) { () throws(APIError) in _ = try rules.create(service) }
        // Each but the first of its kind is repeated too.
        service.spec.ipFamilies += service.spec.ipFamilies
        try expectBounded(3 * Self.count) { () throws(APIError) in _ = try rules.create(service) }

        service.spec.ipFamilies = []
        service.spec.clusterIP = "ip-0"
        service.spec.clusterIPs = WrittenList((0..<Self.count).map { Written("ip-\($0)") })
        // And they are more than two.
        try expectBounded(Self.count + 1) { () throws(APIError) in _ = try rules.create(service) }
    }

    @Test("Pods: families and addresses that are repeated")
    func boundsPods() throws {
        let rules = PodRules(podFamilies: [.ipv4, .ipv6])
        var request = PodRequest(pod: Pod(metadata: metadata, nodeName: "n1"))
        request.ipFamilies = WrittenList((0..<Self.count).map { Written($0 < Self.count / 2 ? "IPv4" : "IPv6") })
        try expectBounded(Self.count - 2) { () throws(APIError) in _ = try rules.check(request) }
        request.ipFamilies = nil
        request.pod.podIPs = WrittenList((0..<Self.count).map { Written($0 < Self.count / 2 ? "10.0.0.1" : "fd00::1") })
        try expectBounded(Self.count - 2) { () throws(APIError) in _ = try rules.check(request) }
    }

    @Test("Nodes: CIDRs of one family")
    func boundsNodes() throws {
        let ranges = ["10.244.0.0/16", "fd00:10:244::/48"].compactMap { CIDR($0) }
        let rules = NodeRules(clusterCIDRs: ranges) { $0 == .ipv4 ? 24 : 64 }
        var node = Node(metadata: metadata)
        node.podCIDRs = WrittenList(
            (0..<Self.count).map { Written($0 < Self.count / 2 ? "10.244.0.0/24" : "fd00:10:244::/64") })
        try expectBounded(Self.count - 2) { () throws(APIError) in _ = try rules.podCIDRs(askedBy: node) }
    }

    @Test("a long value gives way to the correct form; one of an ordinary length is quoted whole")
    func quotesValues() throws {
        let rules = ServiceRules(clusterFamilies: [.ipv4])
        func cause(_ change: (inout Service) -> Void) throws -> APIError.Cause {
            var service = Service(metadata: metadata)
            change(&service)
            let error = try #require(throws: APIError.self) { _ = try rules.create(service) }
            return try #require(error.causes.first)
        }
        for value in [String(repeating: "x", count: 1 << 20), String(repeating: "\u{1}", count: 1 << 20)] {
            for cause in [
                try cause { $0.metadata.name = value }, try cause { $0.spec.ipFamilies = [Written(value)] },
                try cause { ($0.spec.clusterIP, $0.spec.clusterIPs) = ("a", [Written(value), Written(value)]) },
            ] {
                #expect(cause.message.utf8.count <= APIError.Cause.maximumTextBytes)
                #expect(cause.message.contains("…: "))
                #expect(["characters", "\"IPv6\"", "match `clusterIP`"].contains { cause.message.hasSuffix($0) })
            }
        }
        let bad = try cause { $0.spec.ipFamilies = ["IPv5"] }
        #expect(bad.message == #"Unsupported value: "IPv5": supported values: "IPv4", "IPv6""#)
        let list = try cause { ($0.spec.clusterIP, $0.spec.clusterIPs) = ("10.96.0.1", ["10.96.0.2", "fd00::2"]) }
        #expect(list.message == #"Invalid value: ["10.96.0.2","fd00::2"]: first value must match `clusterIP`"#)
    }
}

import Addressing
import DualStack
import TandemAPI
import Testing

/// What a LoadBalancer Service claims, keeps and gives back of the load-balancer ranges, by the rules alone.
@Suite("Load-balancer addresses")
struct LoadBalancerTests {
    private let rules = ServiceRules(clusterFamilies: [.ipv4, .ipv6], loadBalancerFamilies: [.ipv4, .ipv6])

    private func service(_ spec: String) throws -> Service {
        var service = try JSONReader.read(Array(#"{"metadata":{"name":"web"},"spec":\#(spec)}"#.utf8)) {
            reader throws(JSONError) in try Service(from: &reader)
        }
        service.metadata.namespace = "default"
        return service
    }

    /// The plan with an address in each place: what was asked for, or one that its index tells apart.
    private func decide(_ plan: ServicePlan) throws -> ServiceDecision {
        let addresses = try plan.claims.enumerated().map { index, claim in
            let text = claim.family == .ipv4 ? "192.0.2.\(10 + index)" : "2001:db8::\(10 + index)"
            return try claim.requested ?? #require(IPAddress(text))
        }
        return try plan.completed(with: addresses)
    }

    private func created(_ spec: String) throws -> Service { try decide(try rules.create(service(spec))).service }

    private func families(_ service: Service) -> [IPFamily] { service.status.ingress.map(\.family) }

    @Test("one address per family of the Service, in its order")
    func givesOnePerFamily() throws {
        let dual = #"{"type":"LoadBalancer","ipFamilyPolicy":"RequireDualStack","ipFamilies":["IPv6","IPv4"]}"#
        #expect(families(try created(dual)) == [.ipv6, .ipv4])
        #expect(families(try created(#"{"type":"LoadBalancer"}"#)) == [.ipv4])
        #expect(families(try created(#"{"type":"ClusterIP","ipFamilyPolicy":"PreferDualStack"}"#)) == [])
    }

    @Test("without ranges, and with a class of somebody else's, nothing is given")
    func givesNothing() throws {
        let bare = ServiceRules(clusterFamilies: [.ipv4, .ipv6])
        let plan = try bare.create(service(#"{"type":"LoadBalancer","loadBalancerIP":"192.0.2.7"}"#))
        #expect(try decide(plan).service.status.ingress == [])
        #expect(families(try created(#"{"type":"LoadBalancer","loadBalancerClass":"example.com/lb"}"#)) == [])
        let oneFamily = ServiceRules(clusterFamilies: [.ipv4, .ipv6], loadBalancerFamilies: [.ipv6])
        let dual = try oneFamily.create(service(#"{"type":"LoadBalancer","ipFamilyPolicy":"RequireDualStack"}"#))
        #expect(families(try decide(dual).service) == [.ipv6])
    }

    @Test("kept across updates; the second goes with its family, all with the type")
    func keepsAndGivesBack() throws {
        let dual = try created(#"{"type":"LoadBalancer","ipFamilyPolicy":"PreferDualStack","ports":[{"port":80}]}"#)
        var asked = dual
        asked.status.ingress = []
        let same = try decide(try rules.update(dual, to: asked))
        #expect(same.service.status.ingress == dual.status.ingress)
        #expect(same.released == [])

        asked.spec.ipFamilyPolicy = "SingleStack"
        let single = try decide(try rules.update(dual, to: asked))
        #expect(single.service.status.ingress == [dual.status.ingress[0]])
        #expect(single.released.contains(ServiceHolding(.loadBalancer, dual.status.ingress[1])))
        #expect(single.released.count == 2)

        asked.spec.ipFamilyPolicy = "PreferDualStack"
        asked.spec.type = "ClusterIP"
        let plain = try decide(try rules.update(dual, to: asked))
        #expect(plain.service.status.ingress == [])
        #expect(plain.released == dual.status.ingress.map { ServiceHolding(.loadBalancer, $0) })

        var again = plain.service
        again.spec.type = "LoadBalancer"
        #expect(families(try decide(try rules.update(plain.service, to: again)).service) == [.ipv4, .ipv6])
    }

    @Test("loadBalancerIP asks for one address of either family, exactly")
    func givesWhatIsAskedFor() throws {
        let plan = try rules.create(
            service(#"{"type":"LoadBalancer","ipFamilyPolicy":"PreferDualStack","loadBalancerIP":"2001:db8::7"}"#))
        let claims = plan.claims.filter { $0.pool == .loadBalancer }
        #expect(claims.map(\.requested) == [nil, IPAddress("2001:db8::7")])
        for (ip, reason) in [("nonsense", "must be a valid IP address"), ("2001:db8::7", "is IPv6")] {
            let refused = try rules.create(service(#"{"type":"LoadBalancer","loadBalancerIP":"\#(ip)"}"#))
            do {
                _ = try decide(refused)
                Issue.record("\(ip) was taken")
            } catch let error as APIError {
                #expect(error.causes.map(\.field) == ["spec.loadBalancerIP"])
                #expect(error.causes.first?.message.contains(reason) == true)
            }
        }
        let error = plan.refusal(of: claims[1], because: .taken, range: try #require(CIDR("2001:db8::/112")))
        #expect(error.causes.map(\.field) == ["spec.loadBalancerIP"])
    }
}

import Addressing
import DualStack
import TandemAPI
import Testing

/// A LoadBalancer Service's claims, kept and released addresses of the load-balancer ranges, by the rules alone.
@Suite("Load-balancer addresses")
struct LoadBalancerTests {
    private let rules = ServiceRules(clusterFamilies: [.ipv4, .ipv6], loadBalancers: .init(families: [.ipv4, .ipv6]))

    private func service(_ spec: String) throws -> Service {
        var service = try JSONReader.read(Array(#"{"metadata":{"name":"web"},"spec":\#(spec)}"#.utf8)) {
            reader throws(JSONError) in try Service(from: &reader)
        }
        service.metadata.namespace = "default"
        return service
    }

    /// The plan with an address in each place: the requested one, or one by its index.
    private func decide(_ plan: ServicePlan) throws -> ServiceDecision {
        let addresses = try plan.claims.enumerated().map { index, claim in
            let text = claim.family == .ipv4 ? "192.0.2.\(10 + index)" : "2001:db8::\(10 + index)"
            return try claim.requested ?? #require(IPAddress(text))
        }
        return try plan.completed(with: Few(addresses))
    }

    private func created(_ spec: String) throws -> Service { try decide(try rules.create(service(spec))).service }

    private func families(_ service: Service) -> Few<IPFamily> { service.status.ingress.map(\.family) }

    @Test("one address per family of the Service, in its order")
    func givesOnePerFamily() throws {
        let dual = #"{"type":"LoadBalancer","ipFamilyPolicy":"RequireDualStack","ipFamilies":["IPv6","IPv4"]}"#
        #expect(families(try created(dual)) == [.ipv6, .ipv4])
        #expect(families(try created(#"{"type":"LoadBalancer"}"#)) == [.ipv4])
        #expect(families(try created(#"{"type":"ClusterIP","ipFamilyPolicy":"PreferDualStack"}"#)) == [])
    }

    @Test("without ranges, and with another class, nothing is given")
    func givesNothing() throws {
        let bare = ServiceRules(clusterFamilies: [.ipv4, .ipv6])
        let plan = try bare.create(service(#"{"type":"LoadBalancer","loadBalancerIP":"192.0.2.7"}"#))
        #expect(try decide(plan).service.status.ingress == [])
        #expect(families(try created(#"{"type":"LoadBalancer","loadBalancerClass":"example.com/lb"}"#)) == [])
        let oneFamily = ServiceRules(clusterFamilies: [.ipv4, .ipv6], loadBalancers: .init(families: [.ipv6]))
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
        let error = plan.refusal(of: claims[1], because: .taken, range: "2001:db8::/112")
        #expect(error.causes.map(\.field) == ["spec.loadBalancerIP"])
    }

    private func refused(_ plan: () throws -> ServicePlan) -> [String] {
        do {
            _ = try decide(try plan())
            return []
        } catch let error as APIError {
            return error.causes.map { "\($0.field) \($0.reason.rawValue)" }
        } catch {
            return ["\(error)"]
        }
    }

    @Test("a class that is ours, none, or another's")
    func servesItsClass() throws {
        let settings = LoadBalancerSettings(families: [.ipv4], className: "example.com/tandem")
        func given(_ rules: ServiceRules, _ spec: String) throws -> Int {
            try decide(try rules.create(service(spec))).service.status.ingress.count
        }
        let ours = #"{"type":"LoadBalancer","loadBalancerClass":"example.com/tandem"}"#
        let others = #"{"type":"LoadBalancer","loadBalancerClass":"example.com/other"}"#
        let none = #"{"type":"LoadBalancer"}"#
        let both = ServiceRules(clusterFamilies: [.ipv4], loadBalancers: settings)
        #expect(try [ours, others, none].map { try given(both, $0) } == [1, 0, 1])
        var strict = settings
        strict.servesUnclassed = false
        let only = ServiceRules(clusterFamilies: [.ipv4], loadBalancers: strict)
        #expect(try [ours, others, none].map { try given(only, $0) } == [1, 0, 0])
        #expect(try given(rules, #"{"type":"LoadBalancer","loadBalancerClass":null}"#) == 1)
    }

    @Test("a class stays once it is set, goes with the type, and is for load balancers alone")
    func keepsItsClass() throws {
        let field = "spec.loadBalancerClass"
        let live = try created(#"{"type":"LoadBalancer","ports":[{"port":80}],"loadBalancerClass":"a/b"}"#)
        func update(_ change: (inout Service) -> Void) -> [String] {
            var asked = live
            change(&asked)
            return refused { try rules.update(live, to: asked) }
        }
        #expect(update { $0.spec.loadBalancerClass = "a/c" } == ["\(field) FieldValueInvalid"])
        #expect(update { $0.spec.loadBalancerClass = nil } == ["\(field) FieldValueInvalid"])
        #expect(update { $0.metadata.others = JSONMembers() } == [])
        // Wiped with the type, unless the client changed it in the same write.
        var plain = live
        plain.spec.type = "ClusterIP"
        #expect(try decide(try rules.update(live, to: plain)).service.spec.loadBalancerClass == nil)
        #expect(
            update {
                $0.spec.type = "ClusterIP"
                $0.spec.loadBalancerClass = "a/c"
            } == ["\(field) FieldValueForbidden"])
        func create(_ spec: String) -> [String] { refused { try rules.create(service(spec)) } }
        #expect(create(#"{"type":"NodePort","loadBalancerClass":"a/b"}"#) == ["\(field) FieldValueForbidden"])
        #expect(create(#"{"type":"LoadBalancer","loadBalancerClass":"a/b/c"}"#) == ["\(field) FieldValueInvalid"])
        #expect(create(#"{"type":"LoadBalancer","loadBalancerClass":""}"#) == ["\(field) FieldValueInvalid"])
        #expect(create(#"{"type":"LoadBalancer","loadBalancerClass":"a\u0010b"}"#) == ["\(field) FieldValueInvalid"])
        // Without a class it may not be set later while the type stays.
        let bare = try created(#"{"type":"LoadBalancer","ports":[{"port":80}]}"#)
        var classed = bare
        classed.spec.loadBalancerClass = "a/b"
        #expect(refused { try rules.update(bare, to: classed) } == ["\(field) FieldValueInvalid"])
    }

    @Test("a Service that is served no more by a changed flag loses nothing")
    func losesNothing() throws {
        let live = try created(#"{"type":"LoadBalancer","ports":[{"port":80}]}"#)
        let strict = ServiceRules(
            clusterFamilies: [.ipv4, .ipv6], loadBalancers: .init(families: [.ipv4, .ipv6], servesUnclassed: false))
        let decision = try decide(try strict.update(live, to: live))
        #expect(decision.service.status.ingress == live.status.ingress && decision.released == [])
    }

    @Test(
        "two addresses by annotation, exactly",
        arguments: ["metallb.io/loadBalancerIPs", "lbipam.cilium.io/ips"])
    func asksByAnnotation(_ name: String) throws {
        func annotated(_ list: String, _ spec: String) throws -> Service {
            var service = try service(spec)
            let annotations = try JSONValue(parsing: Array(#"{"\#(name)":"\#(list)"}"#.utf8))
            service.metadata.others["annotations"] = annotations.text
            return service
        }
        let dual = #"{"type":"LoadBalancer","ipFamilyPolicy":"RequireDualStack"}"#
        let given = try decide(try rules.create(annotated("2001:db8::7, 192.0.2.7", dual))).service
        #expect(given.status.ingress.map(\.description) == ["192.0.2.7", "2001:db8::7"])
        // Another list later moves the address of that family alone.
        var moved = given
        moved.metadata.others = try annotated("192.0.2.9", dual).metadata.others
        moved.spec.ports = try service(#"{"ports":[{"port":80}]}"#).spec.ports
        let decision = try decide(try rules.update(given, to: moved))
        #expect(decision.service.status.ingress.map(\.description) == ["192.0.2.9", "2001:db8::7"])
        let field = "metadata.annotations[\(name)]"
        func faults(_ list: String, _ spec: String) -> [String] { refused { try rules.create(annotated(list, spec)) } }
        #expect(faults("192.0.2.7,banana", dual) == ["\(field) FieldValueInvalid"])
        #expect(faults("192.0.2.7,192.0.2.8", dual) == ["\(field) FieldValueInvalid"])
        #expect(faults("2001:db8::7", #"{"type":"LoadBalancer"}"#) == ["\(field) FieldValueInvalid"])
        #expect(
            faults("192.0.2.8", #"{"type":"LoadBalancer","loadBalancerIP":"192.0.2.7"}"#) == [
                "\(field) FieldValueInvalid"
            ])
        #expect(faults("192.0.2.7", #"{"type":"LoadBalancer","loadBalancerIP":"192.0.2.7"}"#) == [])
        // On other types it is a word like any other.
        #expect(faults("banana", #"{"type":"ClusterIP"}"#) == [])
        let claim = try #require(
            try rules.create(annotated("192.0.2.7", dual)).claims.first {
                $0.requested != nil && $0.pool == .loadBalancer
            })
        let plan = try rules.create(annotated("192.0.2.7", dual))
        #expect(plan.refusal(of: claim, because: .taken, range: "192.0.2.0/24").causes.map(\.field) == [field])
    }

    @Test("only PreferDualStack does without one of two")
    func marksWhatIsOptional() throws {
        func optional(_ policy: String) throws -> [Bool] {
            try rules.create(service(#"{"type":"LoadBalancer","ipFamilyPolicy":"\#(policy)"}"#)).claims
                .filter { $0.pool == .loadBalancer }.map(\.isOptional)
        }
        #expect(try optional("PreferDualStack") == [true, true])
        #expect(try optional("RequireDualStack") == [false, false])
        #expect(try optional("SingleStack") == [false])
    }

    @Test("on a server without service ranges a load balancer has the families that it names, else those of the ranges")
    func findsFamilies() throws {
        let rules = ServiceRules(clusterFamilies: [], loadBalancers: .init(families: [.ipv6, .ipv4]))
        func families(_ spec: String) throws -> [IPFamily] {
            try decide(try rules.create(service(spec))).service.status.ingress.map(\.family)
        }
        #expect(try families(#"{"type":"LoadBalancer"}"#) == [.ipv6, .ipv4])
        #expect(
            try families(#"{"type":"LoadBalancer","ipFamilies":["IPv4"],"ipFamilyPolicy":"SingleStack"}"#) == [.ipv4])
        #expect(try families(#"{"type":"LoadBalancer","ipFamilyPolicy":"SingleStack"}"#) == [.ipv6])
    }
}

@Suite("Names and numbers as Kubernetes has them today")
struct KubernetesTodayTests {
    private let rules = ServiceRules(clusterFamilies: [.ipv4])

    private func create(_ name: String, _ clusterIP: String = "") throws(APIError) -> ServicePlan {
        var spec = ServiceSpec()
        spec.clusterIP = Written(clusterIP)
        return try rules.create(Service(metadata: ObjectMeta(namespace: "default", name: name), spec: spec))
    }

    @Test("a Service's name is a DNS-1123 label", arguments: ["1web", "web", "9", "a-1"])
    func takesLabels(_ name: String) throws { _ = try create(name) }

    @Test("and nothing else", arguments: ["-web", "web-", "Web", "we.b", String(repeating: "a", count: 64)])
    func refusesOthers(_ name: String) { #expect(throws: APIError.self) { try create(name) } }

    @Test("zeros in front of an IPv4 field are decimal")
    func readsZeros() throws {
        let claims = try create("web", "10.96.011.012").claims
        #expect(claims.map { $0.requested?.description } == ["10.96.11.12"])
    }
}

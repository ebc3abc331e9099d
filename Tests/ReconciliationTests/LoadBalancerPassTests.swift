import Reconciliation
import TandemAPI
import Testing

@Suite("A load balancer on both sides")
struct LoadBalancerPassTests {
    private static let finalizer = LoadBalancerPass.finalizer
    private static let (a, b) = ("192.0.2.1", "192.0.2.2")

    private func shown(
        _ uid: String = "u1", type: String = "LoadBalancer", className: String? = nil, finalizers: [String] = [],
        showing addresses: [String] = [], isDeleting: Bool = false
    ) -> ShownService {
        var spec: JSONValue = ["type": .string(type)]
        if let className { spec["loadBalancerClass"] = .string(className) }
        return ShownService(
            namespace: "default", name: "web", uid: uid, resourceVersion: "7", isDeleting: isDeleting,
            finalizers: finalizers, spec: spec, ingress: addresses.map { ["ip": .string($0)] })
    }

    private func pass(
        _ shown: ShownService?, _ held: HeldService?, isFresh: Bool = false, givesNothing: Bool = false,
        _ classes: LoadBalancerClasses = LoadBalancerClasses()
    ) -> LoadBalancerPass {
        LoadBalancerPass(
            namespace: "default", name: "web", classes: classes, shown: shown, held: held, isFresh: isFresh,
            givesNothing: givesNothing)
    }

    /// A word for a step, with its content.
    private func word(_ step: Step) -> String {
        switch step {
        case .look: return "look"
        case .call(let call): return call.purpose.rawValue
        case .finished(let finding): return finding.word
        case .patch(let patch):
            let finalizers = patch["metadata"]?["finalizers"]?.arrayValue ?? []
            let ingress = patch["status"]?["loadBalancer"]?["ingress"]
            let ips = ingress?.arrayValue?.compactMap { $0["ip"]?.stringValue } ?? []
            let what = ingress == nil ? "kept" : ingress == .null ? "null" : ips.joined(separator: ",")
            return "patch \(what) finalizers \(finalizers.count)"
        }
    }

    @Test("the first step, by the state of each side")
    func table() {
        let (a, b) = (Self.a, Self.b)
        let ours = [Self.finalizer]
        let held = HeldService(uid: "u1", addresses: [a])
        let old = HeldService(uid: "u0", addresses: [a])
        let strict = LoadBalancerClasses(className: "tandem", servesUnclassed: false)
        let table: [(LoadBalancerPass, String)] = [
            (pass(nil, nil), "nothing"),
            // Adoption comes before anything new.
            (pass(shown(showing: [a]), nil), "adopt"),
            (pass(shown(showing: [a]), HeldService(uid: "u1", addresses: [])), "adopt"),
            (pass(shown(), HeldService(uid: "u1", addresses: [b], isManaged: false)), "adopt"),
            (pass(shown(), nil), "allocate"),
            (pass(shown(), nil, givesNothing: true), "postponed"),
            (pass(shown(finalizers: ours, showing: [a]), held), "update"),
            // Gone, and made again: nothing goes by an old look.
            (pass(nil, held), "look"),
            (pass(nil, held, isFresh: true), "release"),
            (pass(nil, HeldService(uid: "u1", addresses: [a], isManaged: false), isFresh: true), "nothing"),
            (pass(shown(), old), "look"),
            (pass(shown(), old, isFresh: true), "release"),
            // Deleted: released, then let go.
            (pass(shown(finalizers: ours, showing: [a], isDeleting: true), held), "release"),
            (pass(shown(finalizers: ours, showing: [a], isDeleting: true), nil), "patch null finalizers 0"),
            (pass(shown(finalizers: ["x"], isDeleting: true), nil), "nothing"),
            // Of another type: the addresses first, then the finalizer, then the rest.
            (pass(shown(type: "ClusterIP", finalizers: ours, showing: [a]), held), "look"),
            (pass(shown(type: "ClusterIP", finalizers: ours, showing: [a]), held, isFresh: true), "vacate"),
            (
                pass(
                    shown(type: "ClusterIP", finalizers: ours, showing: [a]), HeldService(uid: "u1", addresses: []),
                    isFresh: true), "patch null finalizers 0"
            ),
            (pass(shown(type: "ClusterIP"), HeldService(uid: "u1", addresses: []), isFresh: true), "release"),
            (pass(shown(type: "ClusterIP", finalizers: ours), nil), "patch null finalizers 0"),
            (pass(shown(type: "ClusterIP"), nil), "nothing"),
            // Another's.
            (pass(shown(className: "theirs", finalizers: ours, showing: [a]), nil), "nothing"),
            (pass(shown(className: "theirs", finalizers: ours, showing: [a], isDeleting: true), nil), "nothing"),
            (pass(shown(showing: [a]), nil, strict), "nothing"),
            (pass(shown(type: "ClusterIP", finalizers: ours), nil, strict), "nothing"),
            (pass(shown(className: "tandem"), nil, strict), "allocate"),
            // Ours once, another's now: its present addresses are not touched.
            (
                pass(
                    shown(className: "theirs", finalizers: ours, showing: [b]), HeldService(uid: "u1", addresses: []),
                    isFresh: true), "patch kept finalizers 0"
            ),
        ]
        for (index, (pass, expected)) in table.enumerated() {
            #expect(word(pass.next()) == expected, "row \(index)")
        }
        var host = shown()
        host.ingress = [["hostname": "lb.example.com"]]
        #expect(word(pass(host, nil).next()) == "foreign")
    }

    @Test("address and finalizer go in one patch, which names uid and version and keeps the fields that others wrote")
    func patches() throws {
        var service = shown(finalizers: ["example.com/x"], showing: [Self.a])
        service.ingress = [["ip": .string(Self.a), "ipMode": "Proxy"]]
        var pass = pass(service, HeldService(uid: "u1", addresses: [Self.a]))
        guard case .call(let call) = pass.next() else { throw Unexpected() }
        let answer: JSONValue = [
            "service": [
                "metadata": ["uid": "u1"],
                "status": ["loadBalancer": ["ingress": [["ip": .string(Self.a)], ["ip": "2001:db8::1"]]]],
            ]
        ]
        pass.answered(call, answer)
        let metadata: JSONValue = [
            "uid": "u1", "resourceVersion": "7", "finalizers": ["example.com/x", .string(Self.finalizer)],
        ]
        let ingress: JSONValue = [["ip": .string(Self.a), "ipMode": "Proxy"], ["ip": "2001:db8::1"]]
        #expect(pass.next() == .patch(["metadata": metadata, "status": ["loadBalancer": ["ingress": ingress]]]))
    }

    @Test("addresses shown in another order are not written again")
    func order() throws {
        let service = shown(finalizers: [Self.finalizer], showing: ["2001:db8::1", Self.a])
        var pass = pass(service, HeldService(uid: "u1", addresses: [Self.a, "2001:db8::1"]))
        guard case .call(let call) = pass.next() else { throw Unexpected() }
        pass.answered(call, [:])
        #expect(pass.next() == .finished(.settled))
    }

    @Test("Tandem is told the fields that bear on addresses, without the cluster's version and status")
    func asks() throws {
        let object: JSONValue = [
            "metadata": [
                "namespace": "shop", "name": "web", "uid": "u1", "resourceVersion": "88",
                "annotations": ["metallb.io/loadBalancerIPs": "192.0.2.1,2001:db8::1", "other": "x"],
            ],
            "spec": ["type": "LoadBalancer", "ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv4", "IPv6"]],
        ]
        let pass = LoadBalancerPass(
            namespace: "shop", name: "web", classes: LoadBalancerClasses(), shown: ShownService(object), held: nil)
        guard case .call(let call) = pass.next() else { throw Unexpected() }
        let service: JSONValue = [
            "metadata": [
                "namespace": "shop", "name": "web", "uid": "u1",
                "labels": ["app.kubernetes.io/managed-by": "tandem-controller"],
                "annotations": ["metallb.io/loadBalancerIPs": "192.0.2.1,2001:db8::1"],
            ],
            "spec": ["type": "LoadBalancer", "ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv4", "IPv6"]],
        ]
        #expect(call == TandemCall(.allocate, .allocateServiceIPs, ["service": service]))
    }

    @Test("an import of an incarnation that is gone makes room for the one that is there")
    func imported() throws {
        var pass = pass(shown(showing: [Self.b]), HeldService(uid: "u0", addresses: [Self.a], isManaged: false))
        guard case .call(let call) = pass.next() else { throw Unexpected() }
        #expect(call.purpose == .adopt)
        let isThereAWay = pass.refused(call, APIError(.alreadyExists, reason: "AlreadyExists", "another uid"))
        #expect(isThereAWay)
        #expect(pass.next() == .look)
        pass.saw([
            "metadata": ["namespace": "default", "name": "web", "uid": "u1"], "spec": ["type": "LoadBalancer"],
            "status": ["loadBalancer": ["ingress": [["ip": .string(Self.b)]]]],
        ])
        #expect(word(pass.next()) == "release")
        let isThereAnother = pass.refused(call, APIError(.invalidArgument, reason: "Invalid", "taken"))
        #expect(!isThereAnother)
    }

    @Test("where Tandem has no way to keep a Service without addresses it is released")
    func vacates() throws {
        let service = shown(type: "ClusterIP", finalizers: [Self.finalizer], showing: [Self.a])
        var pass = pass(service, HeldService(uid: "u1", addresses: [Self.a]), isFresh: true)
        guard case .call(let call) = pass.next() else { throw Unexpected() }
        #expect(call.purpose == .vacate && call.method == .updateServiceIPs)
        let isThereAWay = pass.refused(call, APIError(.invalidArgument, reason: "Invalid", "spec.ports"))
        #expect(isThereAWay && word(pass.next()) == "release")
    }

    @Test("uninstalling takes this controller's finalizer off, and leaves addresses and others' Services alone")
    func uninstalls() {
        let classes = LoadBalancerClasses(className: "tandem", servesUnclassed: false)
        let service = shown(className: "tandem", finalizers: ["x", Self.finalizer], showing: [Self.a])
        let patch = LoadBalancerPass.withoutFinalizer(service, nil, classes)
        #expect(patch == ["metadata": ["uid": "u1", "resourceVersion": "7", "finalizers": ["x"]]])
        #expect(LoadBalancerPass.withoutFinalizer(shown(className: "tandem"), nil, classes) == nil)
        let theirs = shown(className: "theirs", finalizers: [Self.finalizer], showing: [Self.a])
        #expect(LoadBalancerPass.withoutFinalizer(theirs, nil, classes) == nil)
        #expect(LoadBalancerPass.withoutFinalizer(theirs, HeldService(uid: "u1", addresses: []), classes) != nil)
    }
}

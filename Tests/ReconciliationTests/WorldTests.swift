import Reconciliation
import TandemAPI
import TestSupport
import Testing

/// A cluster's Services and a Tandem with one range, both as slow and as obvious as can be, and passes between them that are broken off
/// anywhere: the result is compared with the cluster's objects alone.
@Suite("Load balancers, broken off anywhere")
struct WorldTests {
    @Test("no address twice, none leaked, others' untouched, whatever was broken off", arguments: seeds)
    func property(_ seed: UInt64) {
        var world = World(seed: seed)
        for _ in 0..<400 {
            world.change()
            for _ in 0..<Int.random(in: 0..<6, using: &world.random) {
                world.pass(world.randomName, steps: Int.random(in: 0..<8, using: &world.random))
            }
            world.check()
        }
        // Left alone for long enough, both sides say the same.
        world.settle()
        world.check()
        world.checkSettled()
        for name in World.names { world.delete(name) }
        world.settle()
        #expect(world.held.isEmpty && world.shown.values.allSatisfy { world.theirUIDs.contains($0.uid) })
        #expect(world.adoptions > 0 && world.conflicts > 0)
        if seed == 1 { #expect(world.fulls > 0) }
    }
}

private struct World {
    static let names = ["a", "b", "c", "d", "e"]
    static let range = (1...2).map { "192.0.2.\($0)" }
    static let theirs = "198.51.100.1"

    var random: SeededGenerator
    var shown: [String: ShownService] = [:]
    /// The last state that a controller saw, which may be old.
    var seen: [String: ShownService] = [:]
    var held: [String: HeldService] = [:]
    let classes: LoadBalancerClasses
    /// Of Services that another's controller has marked.
    private(set) var theirUIDs: Set<String> = []
    private var version = 0
    private var nextUID = 0
    var (adoptions, conflicts, fulls) = (0, 0, 0)

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
        classes = LoadBalancerClasses(className: "ours", servesUnclassed: Bool.random(using: &random))
    }

    var randomName: String {
        mutating get { Self.names.randomElement(using: &random)! }
    }

    // MARK: The cluster

    mutating func change() {
        let name = randomName
        guard var service = shown[name] else { return create(name) }
        switch Int.random(in: 0..<5, using: &random) {
        case 0: return delete(name)
        case 1 where service.isLoadBalancer:
            // Addresses stay behind, as in 1.20; the class goes with the type.
            service.spec = ["type": "ClusterIP"]
        case 1: service.spec = spec(Bool.random(using: &random) ? "ours" : "theirs")
        case 2 where service.loadBalancerClass == "theirs" && !service.isDeleting:
            service.ingress = [["ip": .string(Self.theirs)]]
            service.finalizers = [LoadBalancerPass.finalizer]
            theirUIDs.insert(service.uid)
        case 3: seen[name] = shown[name]
        default: return
        }
        write(name, service)
    }

    private mutating func create(_ name: String) {
        nextUID += 1
        var service = ShownService(
            namespace: "default", name: name, uid: "u\(nextUID)",
            spec: spec(["ours", "ours", "theirs", ""].randomElement(using: &random)!))
        // As before Tandem came: an address that no object of Tandem has.
        let free = Self.range.first { address in
            !shown.values.contains { $0.addresses.contains(address) }
                && !held.values.contains { $0.addresses == [address] }
        }
        if classes.serve(service), Int.random(in: 0..<3, using: &random) == 0, let free {
            service.ingress = [["ip": .string(free)]]
        }
        write(name, service)
    }

    private func spec(_ className: String) -> JSONValue {
        className.isEmpty
            ? ["type": "LoadBalancer"] : ["type": "LoadBalancer", "loadBalancerClass": .string(className)]
    }

    private mutating func write(_ name: String, _ service: ShownService) {
        var service = service
        version += 1
        service.resourceVersion = String(version)
        shown[name] = service.isDeleting && service.finalizers.isEmpty ? nil : service
    }

    mutating func delete(_ name: String) {
        guard var service = shown[name] else { return }
        service.isDeleting = true
        write(name, service)
    }

    /// nil where it is not there or refused.
    private mutating func patch(_ name: String, _ patch: JSONValue) -> JSONValue? {
        guard var service = shown[name], let metadata = patch["metadata"] else { return nil }
        guard metadata["uid"]?.stringValue == service.uid,
            metadata["resourceVersion"]?.stringValue == service.resourceVersion
        else {
            conflicts += 1
            return nil
        }
        // Another's Service is never written but to take this controller's own word back.
        if !classes.serve(service), service.loadBalancerClass != nil { #expect(patch["status"] == nil) }
        service.finalizers = (metadata["finalizers"]?.arrayValue ?? []).compactMap(\.stringValue)
        if let ingress = patch["status"]?["loadBalancer"]?["ingress"] { service.ingress = ingress.arrayValue ?? [] }
        write(name, service)
        return service.object
    }

    // MARK: Tandem

    private mutating func call(_ name: String, _ call: TandemCall) -> Result<JSONValue, APIError> {
        let service = call.params["service"]
        let uid = service?["metadata"]?["uid"]?.stringValue ?? ""
        switch call.purpose {
        case .release:
            guard let stored = held[name], stored.uid == uid else { return .success(["released": []]) }
            held[name] = nil
            return .success(["released": .array(stored.addresses.map { ["ip": .string($0)] })])
        case .adopt:
            adoptions += 1
            var stored = held[name] ?? HeldService(uid: uid, addresses: [])
            guard stored.uid == uid else {
                return .failure(APIError(.alreadyExists, reason: "AlreadyExists", "another incarnation"))
            }
            let ips = (service?["status"]?["loadBalancer"]?["ingress"]?.arrayValue ?? []).compactMap {
                $0["ip"]?.stringValue
            }
            for ip in ips where !stored.addresses.contains(ip) {
                guard Self.range.contains(ip), isFree(ip) else {
                    return .failure(APIError(.invalidArgument, reason: "Invalid", "\(ip) is already allocated"))
                }
                stored.addresses.insert(ip, at: 0)
            }
            held[name] = stored
        case .allocate, .update:
            var stored = held[name] ?? HeldService(uid: uid, addresses: [])
            guard stored.uid == uid else {
                return .failure(APIError(.aborted, reason: "Conflict", "another incarnation"))
            }
            stored.addresses = Array(stored.addresses.prefix(1))
            if stored.addresses.isEmpty {
                guard let free = Self.range.filter(isFree).randomElement(using: &random) else {
                    fulls += 1
                    return .failure(APIError(.resourceExhausted, reason: "RangeFull", "full"))
                }
                stored.addresses = [free]
            }
            held[name] = stored
        case .vacate: if held[name]?.uid == uid { held[name]?.addresses = [] }
        }
        return .success(held[name].map { ["service": $0.object] } ?? [:])
    }

    private func isFree(_ ip: String) -> Bool { !held.values.contains { $0.addresses.contains(ip) } }

    // MARK: Passes

    /// As a worker goes through one, but that it may be killed after any step. False where nothing was left to be done.
    @discardableResult
    mutating func pass(_ name: String, steps: Int, isSeenNow: Bool = false, givesNothing: Bool = false) -> Bool {
        if isSeenNow || Bool.random(using: &random) { seen[name] = shown[name] }
        var pass = LoadBalancerPass(
            namespace: "default", name: name, classes: classes, shown: seen[name], held: held[name],
            givesNothing: givesNothing)
        var isLast = false
        for _ in 0..<steps {
            if Int.random(in: 0..<8, using: &random) == 0, !isSeenNow { change() }
            switch pass.next() {
            case .finished: return isLast
            case .look:
                pass.saw(shown[name]?.object)
                seen[name] = shown[name]
            case .call(let call):
                switch self.call(name, call) {
                case .success(let answer): pass.answered(call, answer)
                case .failure(let error): guard pass.refused(call, error) else { return false }
                }
            case .patch(let patch):
                guard let object = self.patch(name, patch) else { return false }
                pass.saw(object, isPatched: true)
                seen[name] = shown[name]
                isLast = true
            }
        }
        return false
    }

    mutating func settle() {
        // As after a start: shown addresses are adopted first.
        for name in Self.names { pass(name, steps: 20, isSeenNow: true, givesNothing: true) }
        for _ in 0..<6 {
            for name in Self.names { pass(name, steps: 20, isSeenNow: true) }
        }
    }

    // MARK: Invariants

    func check() {
        let all = held.values.flatMap(\.addresses)
        #expect(Set(all).count == all.count)
        // Two that show one address: only where one of them has not been seen to lose it yet.
        var owners: [String: String] = [:]
        for (name, service) in shown
        where classes.serve(service) && service.finalizers.contains(LoadBalancerPass.finalizer)
            && held[name]?.uid == service.uid && !service.isDeleting
        {
            for address in service.addresses where held[name]?.addresses.contains(address) == true {
                #expect(owners.updateValue(name, forKey: address) == nil)
            }
        }
    }

    func checkSettled() {
        for name in Self.names {
            guard let service = shown[name] else {
                #expect(held[name] == nil, "\(name) is gone and holds something")
                continue
            }
            guard classes.serve(service), !service.isDeleting else {
                #expect(held[name] == nil, "\(name) is not served and holds something")
                continue
            }
            // It shows its addresses; or none since the range is full, or those of another object.
            if let stored = held[name] {
                #expect(stored.uid == service.uid)
                #expect(service.addresses == stored.addresses || stored.addresses.isEmpty)
                #expect(service.finalizers.contains(LoadBalancerPass.finalizer) || stored.addresses.isEmpty)
            } else {
                #expect(
                    service.addresses.filter(Self.range.contains).allSatisfy { address in
                        held.values.contains { $0.addresses == [address] }
                    })
                if service.addresses.isEmpty { #expect(Self.range.allSatisfy { !isFree($0) }) }
            }
        }
    }
}

extension ShownService {
    fileprivate var object: JSONValue {
        var metadata: JSONValue = [
            "namespace": .string(namespace), "name": .string(name), "uid": .string(uid),
            "resourceVersion": .string(resourceVersion), "finalizers": .array(finalizers.map { .string($0) }),
        ]
        if isDeleting { metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z" }
        return ["metadata": metadata, "spec": spec, "status": ["loadBalancer": ["ingress": .array(ingress)]]]
    }
}

extension HeldService {
    fileprivate var object: JSONValue {
        let labels: JSONValue = ["app.kubernetes.io/managed-by": "tandem-controller"]
        let ingress = JSONValue.array(addresses.map { ["ip": .string($0)] })
        return [
            "metadata": ["uid": .string(uid), "labels": labels], "status": ["loadBalancer": ["ingress": ingress]],
        ]
    }
}

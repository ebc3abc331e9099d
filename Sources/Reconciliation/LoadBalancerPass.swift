public import TandemAPI

/// Which load balancers are this controller's.
public struct LoadBalancerClasses: Sendable, Hashable {
    /// `spec.loadBalancerClass` of those that are served; nil for none.
    public var className: String?
    /// Services without a class are served.
    public var servesUnclassed: Bool

    public init(className: String? = nil, servesUnclassed: Bool = true) {
        self.className = className
        self.servesUnclassed = servesUnclassed
    }

    public func serve(_ service: ShownService) -> Bool {
        service.isLoadBalancer && (service.loadBalancerClass.map { $0 == className } ?? servesUnclassed)
    }
}

/// One look at a Service on both sides, and the steps that bring them together.
///
/// The addresses that a Service shows are adopted before it is assigned any; the finalizer stands there with the address. One that is deleted, or of
/// another type by now, gives its addresses back by its uid, and then loses the finalizer. Nothing is done to a Service of another's: of
/// another class, or without a class where those are not served. Each step may be broken off, and be taken again.
///
/// Pure: `next` returns the next step, given the result of the last one.
public struct LoadBalancerPass: Sendable {
    /// That of every cloud provider: the Service stays until its addresses are given back.
    public static let finalizer = "service.kubernetes.io/load-balancer-cleanup"

    public let namespace: String
    public let name: String
    public let classes: LoadBalancerClasses
    public private(set) var shown: ShownService?
    public private(set) var held: HeldService?
    public private(set) var isFresh: Bool
    /// Shown addresses are adopted, and none is assigned: other objects may show addresses that are not adopted yet.
    public let givesNothing: Bool
    /// Addresses that Tandem took back in this pass.
    public private(set) var released: [String] = []
    private var isAsked = false
    private var isAdopted = false
    private var isPatched = false
    private var isVacationRefused = false

    public init(
        namespace: String, name: String, classes: LoadBalancerClasses, shown: ShownService?, held: HeldService?,
        isFresh: Bool = false, givesNothing: Bool = false
    ) {
        self.givesNothing = givesNothing
        self.namespace = namespace
        self.name = name
        self.classes = classes
        self.shown = shown
        self.held = held
        self.isFresh = isFresh
    }

    public func next() -> Step {
        guard let shown else {
            guard let held, held.isManaged else { return .finished(.nothing) }
            return isFresh ? .call(release(held.uid)) : .look
        }
        let isServed = classes.serve(shown)
        if let held, held.uid != shown.uid, held.isManaged || isServed && isAdopted {
            // An incarnation that is gone: there is another one of its name.
            return isFresh ? .call(release(held.uid)) : .look
        }
        guard isServed, !shown.isDeleting else { return nextLeaving(shown, isServed: isServed) }
        guard !shown.showsHostname else {
            return .finished(.foreign("status.loadBalancer.ingress names a host: it is another provider's"))
        }
        let holdsAll = shown.addresses.allSatisfy { held?.addresses.contains($0) == true }
        if !isAdopted, held != nil && held?.uid != shown.uid || !holdsAll || !isAsked && held?.isManaged == false {
            return .call(adoption(of: shown))
        }
        guard isAsked, let held else { return givesNothing ? .finished(.postponed) : .call(request(shown)) }
        let hasFinalizer = shown.finalizers.contains(Self.finalizer)
        if !held.addresses.isEmpty, !isPatched,
            Set(shown.addresses) != Set(held.addresses) || !hasFinalizer
        {
            return .patch(showing(held.addresses, in: shown))
        }
        guard !held.addresses.isEmpty else { return .finished(.ungiven) }
        return .finished(held.addresses.count < shown.wantedFamilies ? .incomplete : .settled)
    }

    /// A Service that is no load balancer of this controller's, or not for long.
    private func nextLeaving(_ shown: ShownService, isServed: Bool) -> Step {
        let isKnown = held?.uid == shown.uid
        let hasFinalizer = shown.finalizers.contains(Self.finalizer)
        if isServed {
            if let held, isKnown { return .call(release(held.uid)) }
            return hasFinalizer && !isPatched ? .patch(leaving(shown, clearing: true)) : .finished(.nothing)
        }
        let isManaged = isKnown && held?.isManaged == true
        if isManaged, !isFresh { return .look }
        if isManaged, let held, !held.addresses.isEmpty {
            return .call(isVacationRefused ? release(held.uid) : vacation(of: shown))
        }
        // A type without load balancers has no class: the owner of its finalizer follows from the state here, else from the setting for Services without a class.
        let isOurs = isManaged || !shown.isLoadBalancer && classes.servesUnclassed
        if hasFinalizer, isOurs, !isPatched { return .patch(leaving(shown, clearing: !shown.isLoadBalancer)) }
        if isManaged, let held { return .call(release(held.uid)) }
        return .finished(.nothing)
    }

    // MARK: Calls

    private func release(_ uid: String) -> TandemCall {
        let metadata: JSONValue = ["namespace": .string(namespace), "name": .string(name), "uid": .string(uid)]
        return TandemCall(.release, .release, ["service": ["metadata": metadata]])
    }

    private func adoption(of shown: ShownService) -> TandemCall {
        var service = object(shown)
        service["status"] = ["loadBalancer": ["ingress": .array(shown.addresses.map { ["ip": .string($0)] })]]
        return TandemCall(.adopt, .allocateServiceIPs, ["service": service, "adopt": true])
    }

    private func request(_ shown: ShownService) -> TandemCall {
        held == nil
            ? TandemCall(.allocate, .allocateServiceIPs, ["service": object(shown)])
            : TandemCall(.update, .updateServiceIPs, ["service": object(shown)])
    }

    /// A type that has no addresses and, whatever the Service is like, no rules but its name.
    private func vacation(of shown: ShownService) -> TandemCall {
        let spec: JSONValue = ["type": "ExternalName", "externalName": "released.invalid"]
        return TandemCall(.vacate, .updateServiceIPs, ["service": ["metadata": metadata(shown), "spec": spec]])
    }

    /// The part of it that Tandem stores.
    private func object(_ shown: ShownService) -> JSONValue {
        var metadata = metadata(shown)
        if !shown.annotations.isEmpty {
            var annotations = JSONObject()
            for (name, value) in shown.annotations.sorted(by: { $0.key < $1.key }) {
                annotations[name] = .string(value)
            }
            metadata["annotations"] = .object(annotations)
        }
        return ["metadata": metadata, "spec": shown.spec]
    }

    private func metadata(_ shown: ShownService) -> JSONValue {
        [
            "namespace": .string(namespace), "name": .string(name), "uid": .string(shown.uid),
            "labels": .object(
                {
                    var labels = JSONObject()
                    labels[HeldService.managerLabel] = .string(HeldService.manager)
                    return labels
                }()),
        ]
    }

    // MARK: Patches of `status`

    private func showing(_ addresses: [String], in shown: ShownService) -> JSONValue {
        let known = shown.ingress.filter { $0["ip"] != nil }
        // Members that the cluster filled in beside an address stay.
        let ingress = addresses.map { address in
            known.first { canonicalAddress($0["ip"]?.stringValue ?? "") == address } ?? ["ip": .string(address)]
        }
        var finalizers = shown.finalizers
        if !finalizers.contains(Self.finalizer) { finalizers.append(Self.finalizer) }
        return patch(shown, finalizers, ["loadBalancer": ["ingress": .array(ingress)]])
    }

    /// The Service without the finalizer, and where it is no load balancer, or soon none, without addresses.
    private func leaving(_ shown: ShownService, clearing: Bool) -> JSONValue {
        let finalizers = shown.finalizers.filter { $0 != Self.finalizer }
        return patch(shown, finalizers, clearing ? ["loadBalancer": ["ingress": .null]] : nil)
    }

    private func patch(_ shown: ShownService, _ finalizers: [String], _ status: JSONValue?) -> JSONValue {
        var metadata: JSONValue = ["uid": .string(shown.uid)]
        if !shown.resourceVersion.isEmpty { metadata["resourceVersion"] = .string(shown.resourceVersion) }
        metadata["finalizers"] = .array(finalizers.map { .string($0) })
        var patch: JSONValue = ["metadata": metadata]
        patch["status"] = status
        return patch
    }

    /// Takes the finalizer off and leaves all else as it is; nil where it is not this controller's or not there.
    public static func withoutFinalizer(
        _ shown: ShownService, _ held: HeldService?, _ classes: LoadBalancerClasses
    ) -> JSONValue? {
        let isManaged = held?.uid == shown.uid && held?.isManaged == true
        let isOurs = isManaged || classes.serve(shown) || !shown.isLoadBalancer && classes.servesUnclassed
        guard isOurs, shown.finalizers.contains(finalizer) else { return nil }
        let pass = LoadBalancerPass(
            namespace: shown.namespace, name: shown.name, classes: classes, shown: shown, held: held)
        return pass.leaving(shown, clearing: false)
    }

    // MARK: Results of steps

    /// The cluster's answer to `look` or `patch`; nil where there is no such Service.
    public mutating func saw(_ object: JSONValue?, isPatched: Bool = false) {
        let seen = object.flatMap { ShownService($0) }
        if seen?.uid != shown?.uid { (isAsked, isAdopted) = (false, false) }
        shown = seen
        isFresh = true
        self.isPatched = isPatched
    }

    /// Tandem's answer to a call.
    public mutating func answered(_ call: TandemCall, _ result: JSONValue) {
        switch call.purpose {
        case .release:
            released += result["released"]?.arrayValue?.compactMap { $0["ip"]?.stringValue } ?? held?.addresses ?? []
            held = nil
            (isAsked, isAdopted) = (false, false)
            return
        case .vacate: released += (result["released"]?.arrayValue ?? []).compactMap(\.stringValue)
        case .adopt: isAdopted = true
        case .allocate, .update: isAsked = true
        }
        if let service = result["service"], result["held"] != false { held = HeldService(service) ?? held }
    }

    /// Tandem's refusal of a call; true where there is another way on.
    public mutating func refused(_ call: TandemCall, _ error: APIError) -> Bool {
        if call.purpose == .vacate, error.status == .invalidArgument {
            isVacationRefused = true
            return true
        }
        // Tandem has another incarnation, with a uid that came from a client.
        guard call.purpose == .adopt, error.status == .alreadyExists, let held, held.uid != shown?.uid else {
            return false
        }
        isAdopted = true
        return true
    }
}

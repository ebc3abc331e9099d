public import Addressing
import TandemAPI

/// Which load balancers are served, and the families that there are addresses of.
public struct LoadBalancerSettings: Sendable, Hashable {
    /// Those of the load-balancer ranges, each once, in order.
    public var families: [IPFamily]
    /// `--load-balancer-class`: Services whose `spec.loadBalancerClass` it is are served; nil for none.
    public var className: String?
    /// `--load-balancer-default`: Services without a class are served.
    public var servesUnclassed: Bool

    public init(families: [IPFamily] = [], className: String? = nil, servesUnclassed: Bool = true) {
        self.families = families
        self.className = className
        self.servesUnclassed = servesUnclassed
    }

    /// "Any load balancer implementation (e.g. cloud providers) should ignore Services that set this field" unless the class is theirs.
    func serve(_ spec: ServiceSpec) -> Bool { spec.loadBalancerClass.map { $0 == className } ?? servesUnclassed }
}

/// `status.loadBalancer.ingress` of a Service of type LoadBalancer: one address per family of its `ipFamilies` for which
/// the server has a load-balancer range.
///
/// An address is kept for as long as its family and the type are. `spec.loadBalancerIP` asks for one address, of either family, and an
/// annotation for one of each; they are given exactly or refused, and asking for another later moves that family's address. A Service of
/// another class is given nothing, and loses nothing. Without load-balancer ranges nothing is given, as on a cluster with no
/// provider.
struct LoadBalancerPlan: Sendable {
    private enum Place {
        case kept(IPAddress)
        case claimed(AddressClaim)
    }

    private var places = Few<Place>()
    private(set) var faults = APIError.Causes()

    init(_ draft: borrowing ServiceDraft, _ settings: LoadBalancerSettings) {
        guard draft.spec.type == .loadBalancer, !draft.spec.isHeadless else { return }
        let spec = draft.spec
        let held = draft.stored?.status.ingress ?? []
        guard settings.serve(spec) else {
            for address in held { places.append(.kept(address)) }
            return
        }
        let families = draft.loadBalancerFamilies(settings)
        let wanted = draft.askedLoadBalancerIPs(of: families.filter(settings.families.contains), settings, &faults)
        // "PreferDualStack": one address is better than none, and the missing one comes with a later update.
        let isOptional = families.count == 2 && spec.ipFamilyPolicy != .requireDualStack
        for family in families {
            let asked = wanted.first { $0.address.family == family }
            if let held = held.first(where: { $0.family == family }), asked == nil || asked?.address == held {
                places.append(.kept(held))
            } else if settings.families.contains(family) {
                places.append(
                    .claimed(
                        AddressClaim(
                            pool: .loadBalancer, family: family, requested: asked?.address, field: asked?.field,
                            isOptional: isOptional && asked == nil)))
            }
        }
    }

    /// Of a Service as a cluster shows it: the shown addresses, and after them the others that it holds.
    init(adopting draft: ServiceDraft, holding held: Few<IPAddress>, _ settings: LoadBalancerSettings) {
        guard draft.spec.type == .loadBalancer else { return }
        // A cluster shows two, and an object has room for thousands.
        var shown: Set<IPAddress> = []
        // Without ranges, or of another class, they are another program's.
        if settings.serve(draft.spec), !settings.families.isEmpty {
            for (index, address) in draft.service.status.ingress.enumerated() where shown.insert(address).inserted {
                places.append(
                    .claimed(
                        AddressClaim(
                            pool: .loadBalancer, family: address.family, requested: address,
                            field: .ingress(index))))
            }
        }
        for address in held where !shown.contains(address) { places.append(.kept(address)) }
    }

    var claims: Few<AddressClaim> {
        var claims = Few<AddressClaim>()
        guard !places.isEmpty else { return claims }
        for case .claimed(let claim) in places { claims.append(claim) }
        return claims
    }

    /// The Service's addresses in the order of its families; `addresses[i]` answers `claims[i]`, nil where an optional one found no room.
    func ingress(with addresses: Slice<Few<IPAddress?>>) -> Few<IPAddress> {
        var ingress = Few<IPAddress>()
        guard !places.isEmpty else { return ingress }
        var rest = addresses
        for place in places {
            switch place {
            case .kept(let address): ingress.append(address)
            case .claimed: if let address = rest.popFirst() ?? nil { ingress.append(address) }
            }
        }
        return ingress
    }
}

extension ServiceDraft {
    /// Where Services have families of their own making, those; on a server without service ranges a Service may name none, and is given the
    /// server's families, under SingleStack one.
    fileprivate func loadBalancerFamilies(_ settings: LoadBalancerSettings) -> Few<IPFamily> {
        let named: Few<IPFamily> = spec.ipFamilies.values
        guard named.isEmpty, clusterFamilies.isEmpty else { return named }
        return spec.ipFamilyPolicy == .singleStack
            ? Few(Array(settings.families.prefix(1))) : Few(settings.families)
    }

    private static let addressRule = "must be a valid IP address, (e.g. 192.0.2.7 or 2001:db8::ffff)"

    /// The addresses requested by `spec.loadBalancerIP` or an annotation, at most one of a family. `families` are those that it can be of.
    fileprivate func askedLoadBalancerIPs(
        of families: Few<IPFamily>, _ settings: LoadBalancerSettings, _ faults: inout APIError.Causes
    ) -> [(address: IPAddress, field: AddressClaim.Field)] {
        guard !settings.families.isEmpty else { return [] }
        var asked: [(address: IPAddress, field: AddressClaim.Field)] = []
        func ask(_ text: Written<IPAddress>, _ place: AddressClaim.Field) {
            let field = place.description
            guard let address = parsedAddress(text) else {
                faults.append(.invalid(field, text, Self.addressRule))
                return
            }
            guard families.contains(address.family) else {
                let choices = families.isEmpty ? "none" : families.map(\.description).joined(separator: " or ")
                faults.append(
                    .invalid(
                        field, text,
                        "is \(address.family); the families of this Service that have load-balancer addresses: \(choices)"
                    ))
                return
            }
            if let other = asked.first(where: { $0.address.family == address.family }) {
                guard other.address != address else { return }
                faults.append(
                    .invalid(
                        field, text,
                        "may ask for no more than one address of a family, and \(other.address) is asked for"))
                return
            }
            asked.append((address, place))
        }
        if !spec.loadBalancerIP.isEmpty { ask(spec.loadBalancerIP, .loadBalancerIP) }
        if let (annotation, list) = annotatedIPs {
            let texts = list.split(separator: ",", maxSplits: 8, omittingEmptySubsequences: false)
            for text in texts {
                ask(Written(String(text.drop { $0 == " " }.prefix { $0 != " " })), .annotation(annotation))
            }
        }
        return asked
    }

    private var annotatedIPs: (annotation: Int, list: String)? {
        guard let text = service.metadata.others["annotations"],
            let annotations = try? JSONValue(parsing: text.bytes)
        else { return nil }
        for (place, name) in AddressClaim.Field.annotations.enumerated() {
            if let list = annotations[name]?.stringValue, !list.isEmpty { return (place, list) }
        }
        return nil
    }

    /// `spec.loadBalancerClass`: "Once set, it can not be changed. This field will be wiped when a service is updated to a non
    /// 'LoadBalancer' type." Members that the client changed in the same write stay, to be refused.
    mutating func wipeLoadBalancerClass() {
        guard let old = stored?.spec, old.type == .loadBalancer, spec.type != .loadBalancer,
            spec.loadBalancerClass == old.loadBalancerClass
        else { return }
        spec.loadBalancerClass = nil
    }

    func loadBalancerClassFaults() -> APIError.Causes {
        let field = "spec.loadBalancerClass"
        var faults = APIError.Causes()
        if let old = stored?.spec, old.type == .loadBalancer, spec.type == .loadBalancer,
            old.loadBalancerClass != spec.loadBalancerClass
        {
            faults.append(.invalid(field, spec.loadBalancerClass ?? "", Self.immutable))
        }
        guard let name = spec.loadBalancerClass else { return faults }
        if spec.type != .loadBalancer {
            faults.append(.forbidden(field, "may only be used when `type` is 'LoadBalancer'"))
        } else if !DNSName.isQualified(name) {
            faults.append(.invalid(field, name, DNSName.qualifiedRule))
        }
        return faults
    }
}

import Addressing
import TandemAPI

/// `status.loadBalancer.ingress` of a Service of type LoadBalancer: one address per family of its `ipFamilies` for which
/// the server has a load-balancer range.
///
/// An address is kept for as long as its family and the type are. `spec.loadBalancerIP` asks for one address, of either
/// family, which is given exactly or refused; asking for another later moves that family's address. A Service with a
/// `spec.loadBalancerClass` is left alone: "Any load balancer implementation (e.g. cloud providers) should ignore Services
/// that set this field" unless the class is theirs. Without load-balancer ranges nothing is given, as on a cluster
/// with no provider.
struct LoadBalancerPlan: Sendable {
    private enum Place {
        case kept(IPAddress)
        case claimed(AddressClaim)
    }

    private var places: [Place] = []
    private(set) var faults = APIError.Causes()

    init(_ draft: ServiceDraft, families: [IPFamily]) {
        let spec = draft.spec
        guard spec.type == ServiceType.loadBalancer, !spec.isHeadless, spec.others["loadBalancerClass"] == nil else {
            return
        }
        let requested = Self.requested(spec, families, &faults)
        for family in spec.ipFamilies.compactMap(IPFamily.init) {
            let held = draft.stored?.status.ingress.first { $0.family == family }
            let wanted = requested.flatMap { $0.family == family ? $0 : nil }
            if let held, wanted == nil || wanted == held {
                places.append(.kept(held))
            } else if families.contains(family) {
                places.append(.claimed(AddressClaim(pool: .loadBalancer, family: family, requested: wanted)))
            }
        }
    }

    private static func requested(
        _ spec: ServiceSpec, _ families: [IPFamily], _ faults: inout APIError.Causes
    ) -> IPAddress? {
        guard !spec.loadBalancerIP.isEmpty, !families.isEmpty else { return nil }
        let field = "spec.loadBalancerIP"
        guard let address = parsedAddress(spec.loadBalancerIP) else {
            faults.append(
                .invalid(
                    field, spec.loadBalancerIP, "must be a valid IP address, (e.g. 192.0.2.7 or 2001:db8::ffff)"))
            return nil
        }
        let wanted = spec.ipFamilies.filter { name in families.contains { $0.description == name } }
        guard wanted.contains(address.family.description) else {
            let choices = wanted.isEmpty ? "none" : wanted.joined(separator: " or ")
            faults.append(
                .invalid(
                    field, spec.loadBalancerIP,
                    "is \(address.family); the families of this Service that have load-balancer addresses: \(choices)"))
            return nil
        }
        return address
    }

    var claims: [AddressClaim] {
        places.compactMap { if case .claimed(let claim) = $0 { claim } else { nil } }
    }

    /// The Service's addresses in the order of its families; `addresses[i]` answers `claims[i]`.
    func ingress(with addresses: ArraySlice<IPAddress>) -> [IPAddress] {
        var rest = addresses
        return places.compactMap { place in
            switch place {
            case .kept(let address): address
            case .claimed: rest.popFirst()
            }
        }
    }
}

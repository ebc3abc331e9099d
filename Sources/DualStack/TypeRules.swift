import Addressing
import TandemAPI

/// `spec.type`: the needs and restrictions of each type, and the members removed when a Service changes its type.
extension ServiceDraft {
    mutating func defaultType() {
        if spec.type == nil { spec.type = .clusterIP }
    }

    /// "This field will be wiped when updating a Service to type ExternalName." (fields `clusterIPs`, `ipFamilies`,
    /// `ipFamilyPolicy`)
    ///
    /// Members that the client changed in the same write stay, to be refused: it cannot have meant both.
    mutating func wipeOnLeavingForExternalName() {
        guard let old = stored?.spec, old.takesFamilies, !spec.takesFamilies else { return }
        if spec.clusterIP == old.clusterIP, spec.clusterIPs == old.clusterIPs {
            spec.clusterIP = .empty
            spec.clusterIPs = []
        }
        if spec.ipFamilies == old.ipFamilies { spec.ipFamilies = [] }
        if spec.ipFamilyPolicy == old.ipFamilyPolicy { spec.ipFamilyPolicy = nil }
    }

    func typeFaults() -> APIError.Causes {
        var faults = portFaults()
        if spec.isHeadless, spec.takesNodePorts, let type = spec.type {
            faults.append(
                .invalid("spec.clusterIPs[0]", spec.clusterIPs[0], "may not be set to 'None' for \(type) services"))
        }
        if !spec.takesFamilies { faults += externalNameFaults() }
        return faults
    }

    /// An unknown type, a load balancer's class, and node ports where the type has none.
    func lateTypeFaults() -> APIError.Causes {
        guard let type = spec.type, type.value != nil else {
            return [.notSupported("spec.type", spec.type ?? .empty, ServiceType.self)]
        }
        var faults = loadBalancerClassFaults()
        guard type == .clusterIP, let ports = spec.ports else { return faults }
        for index in ports.withNodePort {
            faults.append(.forbidden("spec.ports[\(index)].nodePort", "may not be used when `type` is 'ClusterIP'"))
        }
        return faults
    }

    /// A Service with an address of its own needs ports.
    ///
    /// One created without the member at all is a request for addresses and no more; it may be updated as it is. Such a
    /// request is different from an ExternalName Service, so that leaving that type takes ports.
    private func portFaults() -> APIError.Causes {
        guard spec.takesAddresses, (spec.ports?.count ?? 0) == 0 else { return [] }
        if spec.ports == nil {
            guard let old = stored?.spec else { return [] }
            if old.ports == nil, old.takesFamilies { return [] }
        }
        return [.required("spec.ports", "a Service that is reached by its own address needs at least one port")]
    }

    /// "ExternalName: clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy may not be specified when creating."
    private func externalNameFaults() -> APIError.Causes {
        let detail = "may not be set for ExternalName services"
        var faults = APIError.Causes()
        if !spec.clusterIPs.isEmpty { faults.append(.forbidden("spec.clusterIPs", detail)) }
        if !spec.ipFamilies.isEmpty { faults.append(.forbidden("spec.ipFamilies", detail)) }
        if spec.ipFamilyPolicy != nil { faults.append(.forbidden("spec.ipFamilyPolicy", detail)) }

        // A trailing dot marks a fully qualified name and is no part of it.
        let isRooted = spec.externalName.utf8.last == UInt8(ascii: ".")
        let name = spec.externalName.dropLast(isRooted ? 1 : 0)
        if name.isEmpty {
            faults.append(.required("spec.externalName", "the name that the Service is an alias of"))
        } else if !DNSName.isSubdomain(name) {
            faults.append(.invalid("spec.externalName", spec.externalName, DNSName.subdomainRule))
        }
        return faults
    }
}

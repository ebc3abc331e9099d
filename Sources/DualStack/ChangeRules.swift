import Addressing
import TandemAPI

/// The changes that an update may make to a Service's addresses and families.
///
/// "You can add or remove a secondary IP address family, but you cannot change the primary IP address family of an
/// existing Service." The way through ExternalName is free: it gives up everything.
extension ServiceDraft {
    func changeFaults() -> APIError.Causes {
        guard let old = stored?.spec, old.takesFamilies, spec.takesFamilies else { return [] }
        var faults = APIError.Causes()
        if !(old.isHeadless && spec.isHeadless) { faults += clusterIPChangeFaults(old) }
        if !old.isHeadless, !spec.isHeadless { faults += familyChangeFaults(old) }
        return faults
    }

    private func clusterIPChangeFaults(_ old: ServiceSpec) -> APIError.Causes {
        let new = spec.clusterIPs
        var faults = APIError.Causes()
        if new.count == old.clusterIPs.count {
            for (index, ip) in old.clusterIPs.enumerated() where new[index] != ip {
                faults.append(.invalid("spec.clusterIPs[\(index)]", new, Self.immutable))
            }
        } else if new.isEmpty {
            faults.append(.invalid("spec.clusterIPs[0]", new, "primary clusterIP can not be unset"))
        } else {
            if let first = old.clusterIPs.first, new[0] != first {
                faults.append(.invalid("spec.clusterIPs[0]", new, Self.immutable))
            }
            if new.count < old.clusterIPs.count { faults += releaseFault("clusterIP") }
        }
        return faults
    }

    private func familyChangeFaults(_ old: ServiceSpec) -> APIError.Causes {
        let new = spec.ipFamilies
        var faults = APIError.Causes()
        if new.count == old.ipFamilies.count {
            // Kubernetes names the first entry whichever of them differs.
            for (family, oldFamily) in zip(new, old.ipFamilies) where family != oldFamily {
                faults.append(.invalid("spec.ipFamilies[0]", new, Self.immutable))
            }
        } else {
            if new.count < old.ipFamilies.count, spec.clusterIPs.isEmpty {
                faults.append(.invalid("spec.ipFamilies[0]", new, "primary ipFamily can not be unset"))
            }
            if let first = new.first, let oldFirst = old.ipFamilies.first, first != oldFirst {
                faults.append(.invalid("spec.ipFamilies[0]", new, Self.immutable))
            }
            if new.count == 1, new.count < old.ipFamilies.count { faults += releaseFault("ipFamily") }
        }
        return faults
    }

    private func releaseFault(_ what: String) -> APIError.Causes {
        let policy = spec.ipFamilyPolicy ?? .empty
        guard policy != .singleStack else { return [] }
        return [
            .invalid(
                "spec.ipFamilyPolicy", policy, "must be set to 'SingleStack' when releasing the secondary \(what)")
        ]
    }

    static let immutable = "may not change once set"
}

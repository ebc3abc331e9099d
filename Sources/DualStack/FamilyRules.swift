import Addressing
import TandemAPI

/// `spec.ipFamilies`: which families a Service ends up with on this cluster.
extension ServiceDraft {
    /// An address that is asked for brings its family with it, in the place that it has itself.
    mutating func inferFamiliesFromIPs() -> APIError.Causes {
        var faults = APIError.Causes()
        for (index, ip) in spec.clusterIPs.enumerated() where index >= spec.ipFamilies.count {
            guard let family = parsedAddress(ip)?.family else { continue }
            if isConfigured(family) {
                spec.ipFamilies.append(.value(family))
            } else {
                faults.append(
                    .invalid(
                        "spec.clusterIPs[\(index)]", spec.clusterIPs, "\(family) is not configured on this cluster"))
            }
        }
        return faults
    }

    /// "The address family of a Service defaults to the address family of the first service cluster IP range." With
    /// PreferDualStack or RequireDualStack on a dual-stack cluster the missing family follows behind.
    mutating func completeFamilies() -> APIError.Causes {
        if spec.isHeadlessWithoutSelector {
            // Its endpoints are none of the cluster's making, so that any cluster takes any families.
            fillFamilies(both: spec.ipFamilyPolicy != .singleStack)
            return []
        }
        let faults = unconfiguredFaults()
        guard faults.isEmpty else { return faults }
        fillFamilies(both: spec.ipFamilyPolicy != .singleStack && clusterFamilies.count == 2)
        return []
    }

    /// "RequireDualStack (two IP families on dual-stack configured clusters, otherwise fail)" (field `ipFamilyPolicy`);
    /// "requested families must be available on the cluster" under every policy.
    private func unconfiguredFaults() -> APIError.Causes {
        var faults = APIError.Causes()
        if spec.ipFamilyPolicy == .requireDualStack, clusterFamilies.count < 2 {
            faults.append(
                .invalid(
                    "spec.ipFamilyPolicy", "RequireDualStack",
                    "this cluster is not configured for dual-stack services"))
        }
        for (index, family) in spec.ipFamilies.enumerated() where !isConfigured(family) {
            faults.append(.invalid("spec.ipFamilies[\(index)]", family, "not configured on this cluster"))
        }
        return faults
    }

    private mutating func fillFamilies(both: Bool) {
        guard spec.ipFamilies.count < (both ? 2 : 1) else { return }
        let first = spec.ipFamilies.first ?? .value(clusterFamilies[0])
        guard both, let family = first.value else {
            spec.ipFamilies = [first]
            return
        }
        spec.ipFamilies = [first, .value(family.other)]
    }
}

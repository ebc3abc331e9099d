import Addressing
import TandemAPI

/// Which cluster IPs a Service needs that it does not have yet.
extension ServiceDraft {
    /// Makes room in `clusterIPs` for one address per family, and returns the claims for these places.
    ///
    /// A new Service, or one that was an ExternalName, needs all of them. An update of any other needs one only "when you
    /// change this Service from single-stack to dual-stack, Kubernetes assigns the missing address family". Policy changes
    /// between PreferDualStack and RequireDualStack, and type changes among ClusterIP, NodePort and LoadBalancer, need none.
    mutating func claimClusterIPs() -> [AddressClaim] {
        guard spec.takesFamilies else { return [] }
        let firstMissing: Int
        if let old = stored?.spec, old.takesFamilies {
            guard !old.isHeadless, old.ipFamilies.count == 1, spec.ipFamilies.count == 2 else { return [] }
            firstMissing = 1
        } else {
            guard !spec.isHeadless else { return [] }
            firstMissing = 0
        }
        var claims: [AddressClaim] = []
        // No more than two.
        claims.reserveCapacity(spec.ipFamilies.count)
        spec.clusterIPs.reserveCapacity(spec.ipFamilies.count)
        for index in firstMissing..<spec.ipFamilies.count {
            // Only a headless Service gets this far with a family that the cluster does not have; the change is refused
            // for being headless, once addresses are had.
            guard let family = IPFamily(spec.ipFamilies[index]), isConfigured(family) else { continue }
            if index >= spec.clusterIPs.count { spec.clusterIPs.append("") }
            let requested = parsedAddress(spec.clusterIPs[index])
            claims.append(AddressClaim(pool: .clusterIP, family: family, requested: requested, place: index))
        }
        return claims
    }

    /// All that it shows: to be had exactly, or held already.
    func shownClusterIPs() -> [AddressClaim] {
        guard spec.takesFamilies else { return [] }
        let pool: ServicePool = recordsClusterIPs ? .recordedClusterIP : .clusterIP
        return spec.clusterIPs.enumerated().compactMap { index, text in
            parsedAddress(text).map { AddressClaim(pool: pool, family: $0.family, requested: $0, place: index) }
        }
    }

    /// Where a cluster shows an address of a family that this one has no range of.
    func unconfiguredFaults(of claims: [AddressClaim]) -> APIError.Causes {
        var faults = APIError.Causes()
        for claim in claims where !isConfigured(claim.family) {
            faults.append(
                .invalid(
                    "spec.clusterIPs[\(claim.place ?? 0)]", spec.clusterIPs,
                    "\(claim.family) is not configured on this cluster"))
        }
        return faults
    }
}

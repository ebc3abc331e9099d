import Addressing
import TandemAPI

/// Which cluster IPs a Service needs that it does not have yet.
extension ServiceDraft {
    /// The claims of one address per family, for the places in `clusterIPs`.
    ///
    /// A new Service, or one that was an ExternalName, needs all of them. An update of any other needs one only "when you
    /// change this Service from single-stack to dual-stack, Kubernetes assigns the missing address family". Policy changes
    /// between PreferDualStack and RequireDualStack, and type changes among ClusterIP, NodePort and LoadBalancer, need none.
    func claimClusterIPs() -> Few<AddressClaim> {
        guard spec.takesFamilies else { return [] }
        let firstMissing: Int
        if let old = stored?.spec, old.takesFamilies {
            guard !old.isHeadless, old.ipFamilies.count == 1, spec.ipFamilies.count == 2 else { return [] }
            // Of those that another program gave, it may show none.
            firstMissing = min(1, spec.clusterIPs.count)
        } else {
            guard !spec.isHeadless else { return [] }
            firstMissing = 0
        }
        var claims = Few<AddressClaim>()
        for index in firstMissing..<spec.ipFamilies.count {
            // Only a headless Service gets this far with a family that the cluster does not have; the change is refused
            // for being headless, once addresses are had.
            guard let family = spec.ipFamilies[index].value, isConfigured(family) else { continue }
            let requested = index < spec.clusterIPs.count ? parsedAddress(spec.clusterIPs[index]) : nil
            claims.append(AddressClaim(pool: .clusterIP, family: family, requested: requested, place: index))
        }
        return claims
    }

    /// All that it shows: to be had exactly, or held already.
    func shownClusterIPs() -> Few<AddressClaim> {
        guard spec.takesFamilies else { return [] }
        let pool: ServicePool = recordsClusterIPs ? .recordedClusterIP : .clusterIP
        var claims = Few<AddressClaim>()
        for (index, text) in spec.clusterIPs.enumerated() {
            guard let address = parsedAddress(text) else { continue }
            claims.append(AddressClaim(pool: pool, family: address.family, requested: address, place: index))
        }
        return claims
    }

    /// Where a cluster shows an address of a family that this one has no range of.
    func unconfiguredFaults(of claims: Few<AddressClaim>) -> APIError.Causes {
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

import Addressing
import TandemAPI

/// The allowed values of `clusterIP`, `clusterIPs`, `ipFamilies` and `ipFamilyPolicy`, alone and in combination.
///
/// Whether an address lies in a range of the cluster is not asked here, but when it is claimed.
extension ServiceDraft {
    func clusterIPFaults() -> APIError.Causes {
        guard spec.takesFamilies else { return [] }
        var faults = pairFaults()
        faults += familyListFaults()
        if let policy = spec.ipFamilyPolicy, policy.value == nil {
            faults.append(.notSupported("spec.ipFamilyPolicy", policy, FamilyPolicy.self))
        }
        if !spec.clusterIPs.isEmpty { faults += addressListFaults() }
        return faults
    }

    /// "Clients must ensure that clusterIPs[0] and clusterIP have the same value." Compared as text.
    private func pairFaults() -> APIError.Causes {
        guard !spec.clusterIPs.isEmpty else {
            return spec.clusterIP.isEmpty
                ? [] : [.required("spec.clusterIPs", "must hold `clusterIP`, or both must be left out")]
        }
        if spec.clusterIP.isEmpty {
            return [.invalid("spec.clusterIPs", spec.clusterIPs, "must be empty when `clusterIP` is not specified")]
        }
        if spec.clusterIP != spec.clusterIPs[0] {
            return [.invalid("spec.clusterIPs", spec.clusterIPs, "first value must match `clusterIP`")]
        }
        return []
    }

    /// "You can set `.spec.ipFamilies` to any of the following array values: ["IPv4"], ["IPv6"], ["IPv4","IPv6"],
    /// ["IPv6","IPv4"]": that is, each family once.
    private func familyListFaults() -> APIError.Causes {
        let families = spec.ipFamilies
        var faults = APIError.Causes()
        // Hashed where there are more than there can be.
        var seen: Set<Written<IPFamily>> = []
        for (index, family) in families.enumerated() {
            if family.value == nil {
                faults.append(.notSupported("spec.ipFamilies[\(index)]", family, IPFamily.self))
            }
            if families.count > 2 ? !seen.insert(family).inserted : families[..<index].contains(family) {
                faults.append(.duplicate("spec.ipFamilies[\(index)]", family.description))
            }
        }
        return faults
    }

    /// "This field may hold a maximum of two entries (dual-stack IPs, in either order)." (field `clusterIPs`)
    private func addressListFaults() -> APIError.Causes {
        let ips = spec.clusterIPs
        let addresses = ips.map { parsedAddress($0) }
        var faults = APIError.Causes()
        var areReadable = true

        for (index, ip) in ips.enumerated() where addresses[index] == nil {
            if index == 0, ip.description == ServiceSpec.headlessMark.description {
                if ips.count == 1 { continue }
                faults.append(.invalid("spec.clusterIPs", ips, "'None' must be the first and only value"))
            } else {
                faults.append(
                    .invalid(
                        "spec.clusterIPs[\(index)]", ip,
                        "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"))
            }
            areReadable = false
        }
        if ips.count > 2 { faults.append(.invalid("spec.clusterIPs", ips, "may only hold up to 2 values")) }
        // Families of invalid addresses would only add to the noise.
        guard areReadable else { return faults }

        if ips.count > 1, addresses.dropFirst().allSatisfy({ $0?.family == addresses[0]?.family }) {
            faults.append(.invalid("spec.clusterIPs", ips, "may specify no more than one IP for each IP family"))
        }
        for (index, (address, family)) in zip(addresses, spec.ipFamilies).enumerated() {
            guard let address, let family = family.value, address.family != family else { continue }
            faults.append(
                .invalid(
                    "spec.clusterIPs[\(index)]", ips[index],
                    "expected an \(family) value as indicated by `ipFamilies[\(index)]`"))
        }
        return faults
    }
}

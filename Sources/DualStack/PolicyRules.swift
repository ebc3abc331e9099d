import Addressing
import TandemAPI

/// `spec.ipFamilyPolicy`: its defaults, and the addresses and families that it allows to list or drop.
extension ServiceDraft {
    /// "If there is no value provided, then this field will be set to SingleStack." (field `ipFamilyPolicy`)
    ///
    /// "For Headless Services without selectors and without `.spec.ipFamilyPolicy` explicitly set, the
    /// `.spec.ipFamilyPolicy` field defaults to `RequireDualStack`." An update without a policy keeps the policy there is:
    /// a Service goes between one family and two only when it is told to.
    mutating func defaultPolicy() {
        guard spec.ipFamilyPolicy == nil else { return }
        spec.ipFamilyPolicy =
            stored?.spec.ipFamilyPolicy
            ?? (spec.isHeadlessWithoutSelector ? .requireDualStack : .singleStack)
    }

    /// A PreferDualStack Service whose type, families and addresses are as they were is left alone, whatever ranges the
    /// cluster has by now: it neither grows with the cluster nor fails for a family that went away.
    var keepsPreferredFamilies: Bool {
        guard let old = stored?.spec, old.takesFamilies else { return false }
        return spec.ipFamilyPolicy == .preferDualStack && old.ipFamilyPolicy == spec.ipFamilyPolicy
            && spec.type == old.type && spec.clusterIPs == old.clusterIPs && spec.ipFamilies == old.ipFamilies
    }

    /// "When you change this Service from dual-stack to single-stack, Kubernetes retains only the first element in the
    /// `.spec.clusterIPs` array […] and sets `.spec.ipFamilies` to the address family of `.spec.clusterIPs`."
    ///
    /// Only a list that the client left as it was is cut; one that it wrote is judged as written.
    mutating func cutToSingleStack() {
        guard let old = stored?.spec, spec.ipFamilyPolicy == .singleStack else { return }
        if spec.clusterIPs.count > 1, spec.clusterIPs == old.clusterIPs { spec.clusterIPs.removeLast() }
        if spec.ipFamilies.count > 1, spec.ipFamilies == old.ipFamilies { spec.ipFamilies.removeLast() }
    }

    /// One address or family is given up by asking for SingleStack, and two are had by not asking for it.
    func policyFaults() -> APIError.Causes {
        let policy = spec.ipFamilyPolicy ?? .empty
        var faults = APIError.Causes()
        func fault(_ detail: String) { faults.append(.invalid("spec.ipFamilyPolicy", policy, detail)) }

        if policy == .singleStack {
            let cure = "must be 'RequireDualStack' or 'PreferDualStack' when multiple"
            if spec.clusterIPs.count == 2 { fault("\(cure) cluster IPs are specified") }
            if spec.ipFamilies.count == 2 { fault("\(cure) IP families are specified") }
        } else if let old = stored?.spec {
            let cure = "must be 'SingleStack' to release the secondary"
            if Self.isCut(spec.clusterIPs, from: old.clusterIPs) { fault("\(cure) cluster IP") }
            if Self.isCut(spec.ipFamilies, from: old.ipFamilies) { fault("\(cure) IP family") }
        }
        return faults
    }

    /// A list that is left out is not cut: it will be filled in again.
    private static func isCut(_ list: some Collection, from old: some Collection) -> Bool {
        !list.isEmpty && list.count < old.count
    }
}

import TandemAPI

/// kube-apiserver's validation, as far as a controller of addresses meets it.
public struct FakeRules: Sendable {
    /// Knows `loadBalancerClass` and `ipMode`, refuses or clears a status that does not fit, and does not begin a watch of a version that is
    /// still to come, as 1.36 does; else as 1.20, where such a watch begins and is silent.
    public var isModern = true

    public init(isModern: Bool = true) { self.isModern = isModern }

    func hasStatus(_ plural: String) -> Bool { ["nodes", "services", "pods"].contains(plural) }

    /// Fills in the server's own members. Returns the fault of the new object; nil where there is none.
    func check(_ key: FakeStore.Key, _ old: JSONValue?, _ new: inout JSONValue) -> FakeAnswer? {
        let fault: String?
        switch key.plural {
        case "nodes": fault = checkNode(old, new)
        case "services": fault = checkService(old, &new)
        case "leases": return checkLease(new)
        default: fault = nil
        }
        if let fault {
            return .refusal(422, "Invalid", "\(key.plural) \"\(key.name)\" is invalid: \(fault)")
        }
        guard let old, old["metadata"]?["deletionTimestamp"] != nil else { return nil }
        let (before, after) = (finalizers(old), finalizers(new))
        guard after.allSatisfy(before.contains) else {
            return .refusal(422, "Invalid", "metadata.finalizers: Forbidden: no new finalizers can be added")
        }
        return nil
    }

    private func finalizers(_ object: JSONValue) -> [JSONValue] { object["metadata"]?["finalizers"]?.arrayValue ?? [] }

    private func checkNode(_ old: JSONValue?, _ new: JSONValue) -> String? {
        let ranges = new["spec"]?["podCIDRs"]?.arrayValue ?? []
        if let first = ranges.first, new["spec"]?["podCIDR"] != first {
            return "spec.podCIDR: must be the first of podCIDRs"
        }
        guard ranges.count <= 2, Set(ranges.map { $0.stringValue?.contains(":") ?? false }).count == ranges.count else {
            return "spec.podCIDRs: must be at most one of each family"
        }
        let before = old?["spec"]?["podCIDRs"]?.arrayValue ?? []
        guard before.isEmpty || before == ranges else {
            return "spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid"
        }
        return nil
    }

    private func checkService(_ old: JSONValue?, _ new: inout JSONValue) -> String? {
        guard isModern else { return nil }
        let (before, after) = (old?["spec"]?["type"], new["spec"]?["type"])
        let (oldClass, newClass) = (old?["spec"]?["loadBalancerClass"], new["spec"]?["loadBalancerClass"])
        if after == "LoadBalancer" {
            if before == "LoadBalancer", oldClass != newClass { return "spec.loadBalancerClass: field is immutable" }
            guard let ingress = new["status"]?["loadBalancer"]?["ingress"]?.arrayValue else { return nil }
            new["status"]?["loadBalancer"]?["ingress"] = .array(
                ingress.map { $0["ip"] != nil && $0["ipMode"] == nil ? $0.with("ipMode", "VIP") : $0 })
            return nil
        }
        if newClass != nil { return "spec.loadBalancerClass: may only be used when type is 'LoadBalancer'" }
        if before == "LoadBalancer" {
            new["status"] = ["loadBalancer": [:]]
            return nil
        }
        return new["status"]?["loadBalancer"]?["ingress"]?.arrayValue?.isEmpty == false
            ? "status.loadBalancer.ingress: Forbidden: may only be used when spec.type is LoadBalancer" : nil
    }

    private func checkLease(_ lease: JSONValue) -> FakeAnswer? {
        for member in ["acquireTime", "renewTime"] {
            guard let time = lease["spec"]?[member]?.stringValue else { continue }
            let isRight = time.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)/) != nil
            if !isRight {
                return .refusal(400, "BadRequest", "parsing time \"\(time)\" as \"2006-01-02T15:04:05.000000Z07:00\"")
            }
        }
        return nil
    }
}

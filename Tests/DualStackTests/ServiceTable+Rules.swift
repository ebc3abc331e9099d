// The tables of ServiceTable, in the order in which they are applied, and the driver.

private let invalid = "FieldValueInvalid"
private let required = "FieldValueRequired"
private let forbidden = "FieldValueForbidden"
private let notSupported = "FieldValueNotSupported"
private let duplicate = "FieldValueDuplicate"

/// The stored Services and the rules for changing them. `clusterFamilies` are the families of the cluster in order;
/// the first one is the default.
struct ServiceTable {
    var clusterFamilies: [String]
    /// The stored Services by name.
    var services: [String: TableSpec] = [:]

    // MARK: Defaults before any check

    static let typeFills: [Fill] = [
        // `type` defaults to ClusterIP.
        Fill(when: { ($0.new.type ?? "").isEmpty }, then: { $0.new.type = "ClusterIP" })
    ]

    static let createAddressFills: [Fill] = [
        // On create `clusterIP` may be given by itself; `clusterIPs` follows it.
        Fill(
            when: { !$0.new.clusterIP.isEmpty && $0.new.clusterIPs.isEmpty },
            then: {
                $0.new.clusterIPs = [$0.new.clusterIP]
            })
    ]

    static let updateAddressFills: [Fill] = [
        // Values that were allocated before are kept when an update leaves them out: first `clusterIP` ...
        Fill(
            when: { $0.keepsAddressType && $0.new.clusterIP.isEmpty },
            then: {
                $0.new.clusterIP = $0.old?.clusterIP ?? ""
            }),
        // ... then `clusterIPs`.
        Fill(
            when: { $0.keepsAddressType && $0.new.clusterIPs.isEmpty },
            then: {
                $0.new.clusterIPs = $0.old?.clusterIPs ?? []
            }),
        // `clusterIPs` removed and `clusterIP` left alone: nothing was meant by it.
        Fill(
            when: { $0.new.clusterIPs.isEmpty && $0.new.clusterIP == $0.old?.clusterIP },
            then: {
                $0.new.clusterIPs = $0.old?.clusterIPs ?? []
            }),
        // `clusterIP` changed or removed and `clusterIPs` left alone: `clusterIPs` follows.
        Fill(
            when: { $0.new.clusterIP != $0.old?.clusterIP && $0.sameClusterIPs },
            then: {
                $0.new.clusterIPs = $0.new.clusterIP.isEmpty ? [] : [$0.new.clusterIP]
            }),
    ]

    // MARK: ipFamilyPolicy

    /// The Services whose families and addresses an update leaves as they are, whatever the cluster has now.
    static let settledRows: [@Sendable (Facts) -> Bool] = [
        // PreferDualStack before and after, the same type, `clusterIPs` and `ipFamilies`: a cluster that became
        // dual-stack, or is no longer, neither adds nor removes an address.
        {
            $0.old?.policy == "PreferDualStack" && $0.new.policy == "PreferDualStack"
                && $0.old?.type == $0.new.type && $0.sameClusterIPs && $0.sameFamilies
        }
    ]

    static let policyFills: [Fill] = [
        // An update without `ipFamilyPolicy` keeps the policy the Service had.
        Fill(when: { $0.new.policy == nil && $0.old?.policy != nil }, then: { $0.new.policy = $0.old?.policy }),
        // A headless Service without selector defaults to RequireDualStack.
        Fill(when: { $0.new.policy == nil && $0.isHeadlessSelectorless }, then: { $0.new.policy = "RequireDualStack" }),
        // Everything else defaults to SingleStack.
        Fill(when: { $0.new.policy == nil }, then: { $0.new.policy = "SingleStack" }),
    ]

    // MARK: Validation of one object

    /// The fields about cluster IPs among themselves; not for ExternalName. Checked before anything is allocated, and
    /// once more on the filled-in object.
    static let clusterIPRows: [Row] = [
        // clusterIPs is required when clusterIP is specified.
        Row("spec.clusterIPs", required, when: { !$0.new.clusterIP.isEmpty && $0.new.clusterIPs.isEmpty }),
        // The first value of clusterIPs must match clusterIP.
        Row(
            "spec.clusterIPs", invalid,
            when: {
                !$0.new.clusterIP.isEmpty && !$0.new.clusterIPs.isEmpty && $0.new.clusterIPs[0] != $0.new.clusterIP
            }),
        // clusterIPs must be empty when clusterIP is not specified.
        Row("spec.clusterIPs", invalid, when: { $0.new.clusterIP.isEmpty && !$0.new.clusterIPs.isEmpty }),
        // Supported values of ipFamilies: "IPv4", "IPv6".
        Row(
            "spec.ipFamilies[#]", notSupported, eachOf: { $0.families.count },
            when: {
                !["IPv4", "IPv6"].contains($0.new.families[$1])
            }),
        // A family may be named once.
        Row(
            "spec.ipFamilies[#]", duplicate, eachOf: { $0.families.count },
            when: {
                $0.new.families[..<$1].contains($0.new.families[$1])
            }),
        // Supported values of ipFamilyPolicy: "SingleStack", "PreferDualStack", "RequireDualStack".
        Row(
            "spec.ipFamilyPolicy", notSupported,
            when: {
                $0.new.policy.map { !["SingleStack", "PreferDualStack", "RequireDualStack"].contains($0) } ?? false
            }),
        // "None" must be the first and only value.
        Row("spec.clusterIPs", invalid, when: { $0.new.clusterIPs.count > 1 && $0.new.clusterIPs[0] == "None" }),
        // Each entry must be a valid IP address.
        Row("spec.clusterIPs[#]", invalid, eachOf: { $0.clusterIPs.count }, when: { !$0.isWellFormed($1) }),
        // clusterIPs may only hold up to 2 values.
        Row("spec.clusterIPs", invalid, when: { $0.new.clusterIPs.count > 2 }),
        // There may be no more than one IP for each IP family.
        Row(
            "spec.clusterIPs", invalid,
            when: {
                $0.clusterIPsAreWellFormed && $0.new.clusterIPs.count > 1
                    && Set($0.new.clusterIPs.map { AddressText.family(of: $0) }).count < 2
            }),
        // An IPv4 value is expected, as indicated by ipFamilies[#].
        Row(
            "spec.clusterIPs[#]", invalid, eachOf: { $0.clusterIPs.count },
            when: {
                $0.clusterIPsAreWellFormed && $0.pairedFamily($1) == "IPv6" && $0.new.families[$1] == "IPv4"
            }),
        // An IPv6 value is expected, as indicated by ipFamilies[#].
        Row(
            "spec.clusterIPs[#]", invalid, eachOf: { $0.clusterIPs.count },
            when: {
                $0.clusterIPsAreWellFormed && $0.pairedFamily($1) == "IPv4" && $0.new.families[$1] == "IPv6"
            }),
    ]

    /// The rest of the object, by type.
    static let objectRows: [Row] = [
        // A Service has at least one port, unless it is headless or ExternalName. A create may leave the member out
        // altogether, and so may an update of a Service with cluster IPs that never had the member.
        Row(
            "spec.ports", required,
            when: { facts in
                if facts.new.isHeadless || facts.new.isExternalName { return false }
                if let ports = facts.new.ports { return ports.isEmpty }
                guard let old = facts.old else { return false }
                return old.ports != nil || old.isExternalName
            }),
        // clusterIPs may not be set to "None" for LoadBalancer or NodePort Services.
        Row("spec.clusterIPs[0]", invalid, when: { $0.new.isHeadless && $0.new.needsNodePorts }),
        // clusterIPs may not be set for ExternalName Services.
        Row("spec.clusterIPs", forbidden, when: { $0.new.isExternalName && !$0.new.clusterIPs.isEmpty }),
        // ipFamilies may not be set for ExternalName Services.
        Row("spec.ipFamilies", forbidden, when: { $0.new.isExternalName && !$0.new.families.isEmpty }),
        // ipFamilyPolicy may not be set for ExternalName Services.
        Row("spec.ipFamilyPolicy", forbidden, when: { $0.new.isExternalName && $0.new.policy != nil }),
        // An ExternalName Service needs an externalName.
        Row(
            "spec.externalName", required,
            when: {
                $0.new.isExternalName && DomainText.withoutTrailingDot($0.new.externalName).isEmpty
            }),
        // externalName is a lower-case RFC 1123 subdomain ...
        Row(
            "spec.externalName", invalid,
            when: {
                let name = DomainText.withoutTrailingDot($0.new.externalName)
                return $0.new.isExternalName && !name.isEmpty && !DomainText.isSubdomain(name)
            }),
        // ... of no more than 253 characters.
        Row(
            "spec.externalName", invalid,
            when: {
                $0.new.isExternalName && DomainText.withoutTrailingDot($0.new.externalName).utf8.count > 253
            }),
        // Supported values of type: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort".
        Row(
            "spec.type", notSupported,
            when: {
                !["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"].contains($0.new.type ?? "")
            }),
        // nodePort may not be used when type is ClusterIP.
        Row(
            "spec.ports[#].nodePort", forbidden, eachOf: { ($0.ports ?? []).count },
            when: {
                $0.new.type == "ClusterIP" && ($0.new.ports ?? [])[$1]
            }),
    ]

    // MARK: The cluster's settings

    static let trimFills: [Fill] = [
        // SingleStack releases the secondary cluster IP, if the list was left alone.
        Fill(
            when: { $0.old != nil && $0.new.policy == "SingleStack" && $0.sameClusterIPs },
            then: {
                $0.new.clusterIPs = Array($0.new.clusterIPs.prefix(1))
            }),
        // SingleStack releases the secondary IP family, if the list was left alone.
        Fill(
            when: { $0.old != nil && $0.new.policy == "SingleStack" && $0.sameFamilies },
            then: {
                $0.new.families = Array($0.new.families.prefix(1))
            }),
    ]

    static let clusterRows: [Row] = [
        // ipFamilyPolicy must be "SingleStack" to release the secondary cluster IP.
        Row(
            "spec.ipFamilyPolicy", invalid,
            when: {
                let count = $0.counts(\.clusterIPs)
                return $0.old != nil && $0.new.policy != "SingleStack" && count.new > 0 && count.new < count.old
            }),
        // ipFamilyPolicy must be "SingleStack" to release the secondary IP family.
        Row(
            "spec.ipFamilyPolicy", invalid,
            when: {
                let count = $0.counts(\.families)
                return $0.old != nil && $0.new.policy != "SingleStack" && count.new > 0 && count.new < count.old
            }),
        // It must be "RequireDualStack" or "PreferDualStack" when multiple cluster IPs are specified.
        Row(
            "spec.ipFamilyPolicy", invalid,
            when: {
                $0.new.policy == "SingleStack" && $0.new.clusterIPs.count == 2
            }),
        // It must be "RequireDualStack" or "PreferDualStack" when multiple IP families are specified.
        Row("spec.ipFamilyPolicy", invalid, when: { $0.new.policy == "SingleStack" && $0.new.families.count == 2 }),
        // The family of an address given without its ipFamilies entry is not configured on this cluster.
        Row(
            "spec.clusterIPs[#]", invalid, eachOf: { $0.clusterIPs.count },
            when: { facts, index in
                facts.unpairedFamily(index).map { !facts.cluster.contains($0) } ?? false
            }),
    ]

    static let inferredFamilyFills: [Fill] = [
        // ipFamilies follows the addresses given.
        Fill(
            when: { $0.new.families.count < $0.new.clusterIPs.count },
            then: { facts in
                facts.new.families += facts.new.clusterIPs.indices.compactMap { facts.unpairedFamily($0) }
            })
    ]

    /// Headless Services without selector have no further rules: they may name any family, on any cluster.
    static let selectorlessFills: [Fill] = [
        // ipFamilies defaults to the cluster's first family.
        Fill(when: { $0.new.families.isEmpty }, then: { $0.new.families = Array($0.cluster.prefix(1)) }),
        // Any policy but SingleStack has both families.
        Fill(
            when: { $0.new.families.count == 1 && $0.new.policy != "SingleStack" },
            then: {
                $0.new.families.append(AddressText.otherFamily($0.new.families[0]))
            }),
    ]

    static let familyRows: [Row] = [
        // RequireDualStack: this cluster is not configured for dual-stack services.
        Row("spec.ipFamilyPolicy", invalid, when: { $0.new.policy == "RequireDualStack" && !$0.isDualCluster }),
        // A family is not configured on this cluster.
        Row(
            "spec.ipFamilies[#]", invalid, eachOf: { $0.families.count },
            when: {
                !$0.cluster.contains($0.new.families[$1])
            }),
    ]

    static let familyFills: [Fill] = [
        // ipFamilies defaults to the cluster's first family.
        Fill(when: { $0.new.families.isEmpty }, then: { $0.new.families = Array($0.cluster.prefix(1)) }),
        // PreferDualStack and RequireDualStack have both families on a dual-stack cluster.
        Fill(
            when: { $0.new.families.count == 1 && $0.new.policy != "SingleStack" && $0.isDualCluster },
            then: {
                $0.new.families.append(AddressText.otherFamily($0.new.families[0]))
            }),
    ]

    // MARK: Addresses

    static let workRows: [WorkRow] = [
        // A new Service, or one that was ExternalName: no addresses for ExternalName and headless, else one per family.
        WorkRow(.none, when: { ($0.old?.isExternalName ?? true) && ($0.new.isExternalName || $0.new.isHeadless) }),
        WorkRow(.claimAll, when: { $0.old?.isExternalName ?? true }),
        // A headless Service has nothing to give and gets nothing.
        WorkRow(.none, when: { $0.old?.isHeadless ?? false }),
        // To ExternalName: all addresses are released.
        WorkRow(.releaseAll, when: { $0.new.isExternalName }),
        // To headless is refused below; nothing is claimed for it from a range that the cluster does not have.
        WorkRow(.none, when: { $0.new.isHeadless && !$0.cluster.contains($0.new.families.last ?? "") }),
        // From single-stack to dual-stack.
        WorkRow(.claimSecond, when: { $0.counts(\.families) == (1, 2) }),
        // From dual-stack to single-stack.
        WorkRow(.releaseSecond, when: { $0.counts(\.families) == (2, 1) }),
    ]

    static let leavingFills: [Fill] = [
        // To ExternalName: clusterIP and clusterIPs go, if they were left alone ...
        Fill(
            when: { $0.leavesForExternalName && $0.sameClusterIPs },
            then: {
                $0.new.clusterIP = ""
                $0.new.clusterIPs = []
            }),
        // ... so does ipFamilies ...
        Fill(when: { $0.leavesForExternalName && $0.sameFamilies }, then: { $0.new.families = [] }),
        // ... and ipFamilyPolicy.
        Fill(when: { $0.leavesForExternalName && $0.new.policy == $0.old?.policy }, then: { $0.new.policy = nil }),
        // To a type without node ports: they go, if no new one was named.
        Fill(
            when: {
                guard let old = $0.old else { return false }
                return old.needsNodePorts && !$0.new.needsNodePorts && $0.new.nodePortCount <= old.nodePortCount
            }, then: { $0.new.ports = $0.new.ports.map { $0.map { _ in false } } }),
    ]

    // MARK: Validation of the change

    /// clusterIPs; not when the Service is headless before and after.
    static let clusterIPChangeRows: [Row] = [
        // As many as before: no entry may change once set.
        Row(
            "spec.clusterIPs[#]", invalid, eachOf: { $0.clusterIPs.count },
            when: {
                $0.counts(\.clusterIPs).old == $0.counts(\.clusterIPs).new && $0.differs(\.clusterIPs, $1)
            }),
        // The primary clusterIP can not be unset.
        Row(
            "spec.clusterIPs[0]", invalid,
            when: {
                $0.counts(\.clusterIPs).new == 0 && $0.counts(\.clusterIPs).old > 0
            }),
        // Fewer or more than before: the first one may not change once set.
        Row(
            "spec.clusterIPs[0]", invalid,
            when: {
                $0.counts(\.clusterIPs).old != $0.counts(\.clusterIPs).new && $0.differs(\.clusterIPs, 0)
            }),
        // ipFamilyPolicy must be "SingleStack" when the secondary clusterIP is released.
        Row(
            "spec.ipFamilyPolicy", invalid,
            when: {
                $0.counts(\.clusterIPs).new == 1 && $0.counts(\.clusterIPs).old > 1 && $0.new.policy != "SingleStack"
            }),
    ]

    /// ipFamilies; not when the Service is headless before or after.
    static let familyChangeRows: [Row] = [
        // As many as before: no entry may change once set (the field always names the first one).
        Row(
            "spec.ipFamilies[0]", invalid, eachOf: { $0.families.count },
            when: {
                $0.counts(\.families).old == $0.counts(\.families).new && $0.differs(\.families, $1)
            }),
        // The primary ipFamily can not be unset.
        Row(
            "spec.ipFamilies[0]", invalid,
            when: {
                $0.counts(\.families).new < $0.counts(\.families).old && $0.new.clusterIPs.isEmpty
            }),
        // Fewer or more than before: the first one may not change once set.
        Row(
            "spec.ipFamilies[0]", invalid,
            when: {
                $0.counts(\.families).old != $0.counts(\.families).new && $0.differs(\.families, 0)
            }),
        // ipFamilyPolicy must be "SingleStack" when the secondary ipFamily is released.
        Row(
            "spec.ipFamilyPolicy", invalid,
            when: {
                $0.counts(\.families).new == 1 && $0.counts(\.families).old > 1 && $0.new.policy != "SingleStack"
            }),
    ]

    /// The tables of the last validation, each with the Services it is for.
    static let finalTables: [(appliesTo: @Sendable (Facts) -> Bool, rows: [Row])] = [
        ({ $0.keepsAddressType && !($0.new.isHeadless && $0.old?.isHeadless ?? false) }, clusterIPChangeRows),
        ({ $0.keepsAddressType && !($0.new.isHeadless || $0.old?.isHeadless ?? false) }, familyChangeRows),
        ({ _ in true }, objectRows),
        ({ !$0.new.isExternalName }, clusterIPRows),
    ]

    // MARK: The driver

    /// POST of a Service.
    mutating func create(_ name: String, _ spec: TableSpec, _ pools: inout some TablePools) -> TableOutcome {
        var facts = Facts(old: nil, new: spec, cluster: clusterFamilies)
        Self.apply(Self.typeFills + Self.createAddressFills, to: &facts)
        return finish(name, facts, &pools)
    }

    /// PUT of a Service: `spec` is the whole new object.
    mutating func update(
        _ name: String, _ spec: TableSpec, isStale: Bool, _ pools: inout some TablePools
    ) -> TableOutcome {
        guard let old = services[name] else { return .notFound }
        var facts = Facts(old: old, new: spec, cluster: clusterFamilies)
        Self.apply(Self.typeFills, to: &facts)
        if isStale { return .conflict }
        Self.apply(Self.updateAddressFills, to: &facts)
        return finish(name, facts, &pools)
    }

    /// DELETE of a Service.
    mutating func delete(_ name: String, _ pools: inout some TablePools) -> TableOutcome {
        guard let old = services.removeValue(forKey: name) else { return .notFound }
        for address in Self.addresses(of: old) { pools.giveBack(address) }
        return .done(old)
    }

    /// The stages that create and update share.
    private mutating func finish(_ name: String, _ start: Facts, _ pools: inout some TablePools) -> TableOutcome {
        var facts = start
        let settled = Self.settledRows.contains { $0(facts) }
        if !facts.new.isExternalName && !settled, let causes = Self.fillFamilies(&facts) { return .invalid(causes) }

        let work = settled ? .none : Self.workRows.first { $0.condition(facts) }?.work ?? .none
        var claimed: [String] = []
        var failure = Self.claim(work, &facts, &claimed, &pools)
        Self.apply(Self.leavingFills, to: &facts)
        failure =
            failure
            ?? Self.causes(Self.finalTables.flatMap { $0.appliesTo(facts) ? $0.rows : [] }, facts)
            .map { .invalid($0) }
        if failure == nil && facts.old == nil && services[name] != nil { failure = .alreadyExists }
        if let failure {
            for address in claimed { pools.giveBack(address) }
            return failure
        }

        let held = facts.old.map { Self.addresses(of: $0) } ?? []
        if work == .releaseAll { for address in held { pools.giveBack(address) } }
        if work == .releaseSecond { for address in held.dropFirst() { pools.giveBack(address) } }
        services[name] = facts.new
        return .done(facts.new)
    }

    /// Policy and families, or the causes why they cannot be decided.
    private static func fillFamilies(_ facts: inout Facts) -> [TableCause]? {
        apply(policyFills, to: &facts)
        if let causes = causes(clusterIPRows, facts) { return causes }
        apply(trimFills, to: &facts)
        if let causes = causes(clusterRows, facts) { return causes }
        apply(inferredFamilyFills, to: &facts)
        if facts.isHeadlessSelectorless {
            apply(selectorlessFills, to: &facts)
            return nil
        }
        if let causes = causes(familyRows, facts) { return causes }
        apply(familyFills, to: &facts)
        return nil
    }

    /// Claims the addresses the new object needs and writes them into it; `claimed` has the claims before a
    /// failure.
    private static func claim(
        _ work: AddressWork, _ facts: inout Facts, _ claimed: inout [String], _ pools: inout some TablePools
    ) -> TableOutcome? {
        guard work == .claimAll || work == .claimSecond else { return nil }
        let kept = Array(facts.new.clusterIPs.prefix(work == .claimSecond ? 1 : 0))
        for (index, family) in facts.new.families.enumerated().dropFirst(work == .claimSecond ? 1 : 0) {
            if index < facts.new.clusterIPs.count {
                let asked = facts.new.clusterIPs[index]
                guard pools.take(asked) == .taken else {
                    return .invalid([TableCause(field: "spec.clusterIPs", reason: invalid)])
                }
                claimed.append(asked)
            } else {
                guard let drawn = pools.draw(family) else { return .rangeFull(family: family) }
                claimed.append(drawn)
            }
        }
        facts.new.clusterIPs = kept + claimed
        facts.new.clusterIP = facts.new.clusterIPs.first ?? ""
        return nil
    }

    /// The addresses a stored Service holds.
    private static func addresses(of spec: TableSpec) -> [String] { spec.clusterIPs.filter { $0 != "None" } }

    private static func apply(_ fills: [Fill], to facts: inout Facts) {
        for fill in fills where fill.condition(facts) { fill.effect(&facts) }
    }

    /// The causes of all rows, sorted; nil if there are none.
    private static func causes(_ rows: [Row], _ facts: Facts) -> [TableCause]? {
        let found = rows.flatMap { $0.causes(facts) }.sorted()
        return found.isEmpty ? nil : found
    }
}

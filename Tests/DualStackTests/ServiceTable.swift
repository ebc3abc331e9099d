// A slow, plain statement of how Kubernetes decides the addresses of a Service in a cluster with one or two families.
// Here are the objects, the shape of a rule and the text of addresses; the rules themselves stand with `ServiceTable`.
// Written to be compared with another implementation, so it shares no code with one and imports nothing.

/// `spec` of a Service as far as addresses go. Addresses are kept as typed.
struct TableSpec: Hashable, Sendable {
    /// `type`; nil means absent.
    var type: String?
    /// `ipFamilyPolicy`; nil means absent, and "" is not absent.
    var policy: String?
    var families: [String] = []
    var clusterIP = ""
    var clusterIPs: [String] = []
    var hasSelector = true
    /// nil: the member is absent; otherwise one entry for each port: whether it has a nodePort.
    var ports: [Bool]?
    var externalName = ""

    /// A headless Service: the only cluster IP is "None".
    var isHeadless: Bool { clusterIPs == ["None"] }
    var isExternalName: Bool { type == "ExternalName" }
    var needsNodePorts: Bool { type == "NodePort" || type == "LoadBalancer" }
    /// How many ports carry a node port.
    var nodePortCount: Int { (ports ?? []).filter { $0 }.count }
}

/// One reason why a Service is invalid.
struct TableCause: Hashable, Comparable, Sendable {
    var field: String
    var reason: String

    static func < (left: TableCause, right: TableCause) -> Bool {
        (left.field, left.reason) < (right.field, right.reason)
    }
}

/// The answer to a request.
enum TableOutcome: Hashable, Sendable {
    /// The object as filled in and stored (for a delete: the object that is gone).
    case done(TableSpec)
    /// Every reason, sorted by field and then by reason; repeats are kept.
    case invalid([TableCause])
    /// No free address is left in the range of this family.
    case rangeFull(family: String)
    /// The resourceVersion is not the current one.
    case conflict
    case alreadyExists, notFound
}

/// The address pools, kept by the test. `take` and `draw` claim at once.
protocol TablePools {
    func isConfigured(_ family: String) -> Bool
    /// A free address, or nil if the range is full.
    mutating func draw(_ family: String) -> String?
    /// Claims this address, as typed.
    mutating func take(_ address: String) -> TableTake
    mutating func giveBack(_ address: String)
}

enum TableTake { case taken, inUse, outOfRange }

/// The inputs of the rows: the stored object (nil on create), the object asked for, and the cluster's families in order.
struct Facts: Sendable {
    let old: TableSpec?
    var new: TableSpec
    let cluster: [String]

    var isDualCluster: Bool { cluster.count > 1 }
    var isHeadlessSelectorless: Bool { new.isHeadless && !new.hasSelector }
    var sameClusterIPs: Bool { new.clusterIPs == old?.clusterIPs ?? [] }
    var sameFamilies: Bool { new.families == old?.families ?? [] }
    /// An update between two types that both have cluster IPs.
    var keepsAddressType: Bool { old.map { !$0.isExternalName && !new.isExternalName } ?? false }
    /// An update from a type with cluster IPs to ExternalName.
    var leavesForExternalName: Bool { old.map { !$0.isExternalName && new.isExternalName } ?? false }

    /// `clusterIPs[index]` is fine as an address; "None" is allowed in the first place.
    func isWellFormed(_ index: Int) -> Bool {
        (index == 0 && new.clusterIPs[0] == "None") || AddressText.family(of: new.clusterIPs[index]) != nil
    }

    /// "None" stands alone and all others are addresses, so that families can be compared.
    var clusterIPsAreWellFormed: Bool {
        !(new.clusterIPs.count > 1 && new.clusterIPs[0] == "None") && new.clusterIPs.indices.allSatisfy(isWellFormed)
    }

    /// The family of `clusterIPs[index]` if `ipFamilies[index]` exists as well and the Service is not headless.
    func pairedFamily(_ index: Int) -> String? {
        guard !new.isHeadless, index < new.families.count else { return nil }
        return AddressText.family(of: new.clusterIPs[index])
    }

    /// The family of `clusterIPs[index]` if there is no `ipFamilies[index]` to go with it.
    func unpairedFamily(_ index: Int) -> String? {
        guard index >= new.families.count else { return nil }
        return AddressText.family(of: new.clusterIPs[index])
    }

    /// How many entries of a list the old and the new object have.
    func counts(_ list: KeyPath<TableSpec, [String]>) -> (old: Int, new: Int) {
        (old?[keyPath: list].count ?? 0, new[keyPath: list].count)
    }

    /// Both objects have this entry of a list, and it is not the same.
    func differs(_ list: KeyPath<TableSpec, [String]>, _ index: Int) -> Bool {
        guard let old, index < old[keyPath: list].count, index < new[keyPath: list].count else { return false }
        return old[keyPath: list][index] != new[keyPath: list][index]
    }
}

/// A row of a table of checks: when it applies there is a cause. A `#` in the field stands for the entry's index.
struct Row: Sendable {
    let field: String
    let reason: String
    /// The entries the row applies to; for a row about the whole object, one entry or none.
    let hits: @Sendable (Facts) -> [Int]

    /// A row about the whole object.
    init(_ field: String, _ reason: String, when condition: @escaping @Sendable (Facts) -> Bool) {
        self.field = field
        self.reason = reason
        hits = { condition($0) ? [0] : [] }
    }

    /// A row that is asked for each entry of a list of the new object.
    init(
        _ field: String, _ reason: String, eachOf list: @escaping @Sendable (TableSpec) -> Int,
        when condition: @escaping @Sendable (Facts, Int) -> Bool
    ) {
        self.field = field
        self.reason = reason
        hits = { facts in (0..<list(facts.new)).filter { condition(facts, $0) } }
    }

    func causes(_ facts: Facts) -> [TableCause] {
        hits(facts).map { index in
            let parts = field.split(separator: "#", omittingEmptySubsequences: false)
            return TableCause(field: parts.joined(separator: String(index)), reason: reason)
        }
    }
}

/// A row of a table of defaults: when it applies the new object is changed. Later rows see the change.
struct Fill: Sendable {
    let condition: @Sendable (Facts) -> Bool
    let effect: @Sendable (inout Facts) -> Void

    init(when condition: @escaping @Sendable (Facts) -> Bool, then effect: @escaping @Sendable (inout Facts) -> Void) {
        self.condition = condition
        self.effect = effect
    }
}

/// A request's changes of the pools.
enum AddressWork { case none, claimAll, releaseAll, claimSecond, releaseSecond }

/// A row of the table of address work; the first row that applies decides.
struct WorkRow: Sendable {
    let work: AddressWork
    let condition: @Sendable (Facts) -> Bool

    init(_ work: AddressWork, when condition: @escaping @Sendable (Facts) -> Bool) {
        self.work = work
        self.condition = condition
    }
}

/// IP addresses as text.
enum AddressText {
    /// "IPv4", "IPv6", or nil for an invalid address. An IPv4-mapped IPv6 address counts as IPv4.
    static func family(of text: String) -> String? {
        if octets(text) != nil { return "IPv4" }
        guard let groups = groups(text) else { return nil }
        return groups.prefix(5).allSatisfy { $0 == 0 } && groups[5] == 0xffff ? "IPv4" : "IPv6"
    }

    /// The other one of the two families.
    static func otherFamily(_ family: String) -> String { family == "IPv4" ? "IPv6" : "IPv4" }

    /// Four decimal numbers up to 255, with zeros in front or without.
    private static func octets(_ text: some StringProtocol) -> [UInt16]? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        let numbers = parts.compactMap { part -> UInt16? in
            guard !part.isEmpty, part.utf8.allSatisfy({ (48...57).contains($0) }), let number = UInt16(part),
                number <= 255
            else { return nil }
            return number
        }
        return parts.count == 4 && numbers.count == 4 ? numbers : nil
    }

    /// Eight groups of up to four hexadecimal digits; one `::` stands for one or more groups of zeros, and the last two
    /// groups may be written as an IPv4 address.
    private static func groups(_ text: String) -> [UInt16]? {
        let bytes = Array(text.utf8)
        let gaps = bytes.indices.dropLast().filter { bytes[$0] == 58 && bytes[$0 + 1] == 58 }
        if gaps.isEmpty {
            guard let all = groupList(text, mayEndInIPv4: true), all.count == 8 else { return nil }
            return all
        }
        guard gaps.count == 1, let gap = gaps.first,
            let head = groupList(String(decoding: bytes[..<gap], as: UTF8.self), mayEndInIPv4: false),
            let tail = groupList(String(decoding: bytes[(gap + 2)...], as: UTF8.self), mayEndInIPv4: true),
            head.count + tail.count < 8
        else { return nil }
        return head + Array(repeating: 0, count: 8 - head.count - tail.count) + tail
    }

    /// The groups of a text without `::`; no text is no groups.
    private static func groupList(_ text: String, mayEndInIPv4: Bool) -> [UInt16]? {
        if text.isEmpty { return [] }
        var result: [UInt16] = []
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            if mayEndInIPv4, index == parts.count - 1, let four = octets(part) {
                result += [four[0] << 8 | four[1], four[2] << 8 | four[3]]
                continue
            }
            guard (1...4).contains(part.utf8.count), part.allSatisfy({ $0.isASCII && $0.isHexDigit }),
                let group = UInt16(part, radix: 16)
            else { return nil }
            result.append(group)
        }
        return result
    }
}

/// The name an ExternalName Service stands for.
enum DomainText {
    /// The name without the one trailing dot that marks it as fully qualified.
    static func withoutTrailingDot(_ name: String) -> String { name.hasSuffix(".") ? String(name.dropLast()) : name }

    /// Labels of lower case letters, digits and "-", each starting and ending with a letter or digit, joined by dots.
    static func isSubdomain(_ name: String) -> Bool {
        name.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            let bytes = Array(label.utf8)
            guard let first = bytes.first, let last = bytes.last else { return false }
            return first != 45 && last != 45
                && bytes.allSatisfy { $0 == 45 || (48...57).contains($0) || (97...122).contains($0) }
        }
    }
}

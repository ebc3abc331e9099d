public import Addressing
public import Ledger

/// The books as the design has them, and nothing else: objects and cooling ranges. Each question walks over all of them. The slow, obvious
/// twin of the engine's books; it knows proposals and the five rules, no documents, pools or indexes.
public struct SlowBooks: Sendable {
    private struct Cooling: Sendable {
        var node: String
        var version: UInt64
    }

    public private(set) var tables = StoredTables()
    private var cooling: [CIDR: Cooling] = [:]

    public init() {}

    /// Tables as they are, without judging their contents again.
    public init(_ tables: StoredTables) {
        self.tables = tables
        for record in tables.records.values where record.kind == .cooling {
            guard let range = IPAddress(record.key.key).map({ CIDR($0) }) ?? CIDR(record.key.key) else { continue }
            let text = String(decoding: record.form.document, as: UTF8.self)
            let node = text.split(separator: "\"").dropFirst(2).dropFirst().first.map(String.init) ?? ""
            cooling[range] = Cooling(node: node, version: record.version)
        }
    }

    /// Judges a proposal by the state kept by now, and makes its changes if it is kept. Returns whether it is.
    public mutating func apply(_ proposal: Proposal) -> Bool {
        guard proposal.expectations.allSatisfy(holds) else { return false }
        var trial = self
        for change in proposal.changes {
            guard trial.allows(change) else { return false }
            trial.make(change)
        }
        self = trial
        return true
    }

    public var coolingRanges: [CIDR] { Array(cooling.keys) }

    private mutating func make(_ change: Change) {
        tables.apply(change)
        switch change {
        case .cool(let range, let node, _): cooling[range] = Cooling(node: node, version: tables.version)
        case .thaw(let range, _): cooling[range] = nil
        case .put, .delete, .markReleasing: break
        }
    }

    // MARK: Rule 1

    private func holds(_ expectation: Expectation) -> Bool {
        switch expectation {
        case .absent(let key): tables.records[key] == nil
        case .unchanged(let key, let version): tables.records[key]?.version == version
        case .incarnation(let node, let created): tables.records[ObjectKey(.node, node)]?.created == created
        case .nodeEmpty(let node): pods(of: node).isEmpty
        }
    }

    // MARK: Rules 2 to 5

    private func allows(_ change: Change) -> Bool {
        switch change {
        case .put(let key, let form):
            let old = tables.records[key]?.form.holdings ?? []
            let new = form.holdings.filter { !old.contains($0) }
            switch key.kind {
            case .service: return new.allSatisfy { maySucceedToService($0, key) }
            case .node:
                // A node's CIDR goes only with the node.
                return old.allSatisfy(form.holdings.contains) && new.allSatisfy(mayBeNodes)
            case .pod: return mayBePods(new, Self.node(ofPod: key.key))
            case .cooling: return false
            }
        case .delete(let key):
            guard tables.records[key] != nil, key.kind != .cooling else { return false }
            guard key.kind == .node else { return true }
            // A node goes only with its last pod, and nothing cools of a node that is gone.
            return pods(of: key.key).isEmpty && !cooling.contains { $0.key.hostBits == 0 && $0.value.node == key.key }
        case .cool(let range, let node, _):
            if isCooling(range) { return false }
            guard range.hostBits == 0 else {
                return !nodeCIDRs.contains { $0.cidr.overlaps(range) }
                    && !addresses.contains { range.contains($0.address) }
            }
            return holder(of: range.network) == nil
                && nodeCIDRs.contains { $0.node == node && $0.cidr.contains(range) }
        case .thaw(let range, let version): return cooling[range]?.version == version
        case .markReleasing(let node): return tables.records[ObjectKey(.node, node)] != nil
        }
    }

    /// Rule 2.
    private func maySucceedToService(_ holding: Holding, _ key: ObjectKey) -> Bool {
        guard let address = holding.address else {
            guard let port = holding.port else { return false }
            return !tables.records.values.contains { record in
                record.key != key && record.form.holdings.contains { $0.port == port }
            }
        }
        return holder(of: address) == nil && !isCooling(CIDR(address))
            && !nodeCIDRs.contains { $0.cidr.contains(address) }
    }

    /// Rule 3.
    private func mayBeNodes(_ holding: Holding) -> Bool {
        guard let cidr = holding.range, holding.pool == .nodeCIDR else { return false }
        return !nodeCIDRs.contains { $0.cidr.overlaps(cidr) } && !cooling.keys.contains { $0.overlaps(cidr) }
            && !addresses.contains { cidr.contains($0.address) }
    }

    /// Rules 4 and 5.
    private func mayBePods(_ holdings: [Holding], _ node: String) -> Bool {
        guard let record = tables.records[ObjectKey(.node, node)], !record.isReleasing else { return false }
        return holdings.allSatisfy { holding in
            guard let address = holding.address else { return false }
            return record.form.holdings.contains { $0.range?.contains(address) ?? false }
                && holder(of: address) == nil && !isCooling(CIDR(address))
        }
    }

    // MARK: Questions of the rules

    private var addresses: [(address: IPAddress, holder: ObjectKey)] {
        tables.records.values.flatMap { record in
            record.kind == .node ? [] : record.form.holdings.compactMap(\.address).map { ($0, record.key) }
        }
    }

    private func holder(of address: IPAddress) -> ObjectKey? {
        let holding = CIDR(address)
        return tables.records.values.first { record in
            record.kind != .node && record.form.holdings.contains { $0.range == holding }
        }?.key
    }

    private var nodeCIDRs: [(cidr: CIDR, node: String)] {
        tables.records.values.flatMap { record in
            record.kind == .node ? record.form.holdings.compactMap(\.range).map { ($0, record.key.key) } : []
        }
    }

    /// By itself, or in a CIDR that does.
    private func isCooling(_ range: CIDR) -> Bool { cooling.keys.contains { $0.contains(range) } }

    private func pods(of node: String) -> [ObjectKey] {
        tables.records.keys.filter { $0.kind == .pod && Self.node(ofPod: $0.key) == node }
    }

    /// A pod's key is `@node/` and its identity there.
    public static func node(ofPod key: String) -> String { String(key.dropFirst().prefix { $0 != "/" }) }

    // MARK: Invariants

    /// Contradictions to the invariants that speak of one moment; empty where all is well. O(n²).
    public var contradictions: [String] {
        var found: [String] = []
        var owners: [CIDR: ObjectKey] = [:]
        for (address, holder) in addresses {
            if let other = owners.updateValue(holder, forKey: CIDR(address)), other != holder {
                found.append("\(address) has two owners, \(other.key) and \(holder.key)")
            }
            if isCooling(CIDR(address)) { found.append("\(address) of \(holder.key) cools") }
            let around = nodeCIDRs.filter { $0.cidr.contains(address) }.map(\.node)
            let expected = holder.kind == .pod ? [Self.node(ofPod: holder.key)] : []
            if around != expected { found.append("\(address) of \(holder.key) lies in CIDRs of nodes \(around)") }
        }
        var ports: [UInt16: ObjectKey] = [:]
        for record in tables.records.values {
            for port in record.form.holdings.compactMap(\.port) {
                if let other = ports.updateValue(record.key, forKey: port), other != record.key {
                    found.append("node port \(port) has two owners, \(other.key) and \(record.key.key)")
                }
            }
            guard record.kind == .pod else { continue }
            let node = Self.node(ofPod: record.key.key)
            if tables.records[ObjectKey(.node, node)] == nil { found.append("\(record.key.key) has no node") }
        }
        let cidrs = nodeCIDRs
        for (index, (cidr, node)) in cidrs.enumerated() {
            for (other, second) in cidrs[..<index] where other.overlaps(cidr) {
                found.append("\(cidr) of \(node) overlaps \(other) of \(second)")
            }
            if cooling.keys.contains(where: { $0.hostBits > 0 && $0.overlaps(cidr) }) {
                found.append("\(cidr) of \(node) cools")
            }
        }
        return found
    }
}

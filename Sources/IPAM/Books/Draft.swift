import Addressing
import Ledger
import TandemAPI

/// A proposal as it is judged: the books, and over them the effects of its changes so far. Nothing is changed before all of it has
/// been judged.
///
/// The five rules, each in one place:
/// 1. the expectations hold: `check`;
/// 2. new addresses of a Service: `judge(service:)`;
/// 3. new CIDRs of a Node: `judge(node:)`;
/// 4. new addresses of a Pod: `judge(pod:)`;
/// 5. Pods and their Nodes: `put(pod:)`, `delete(node:)`.
/// Addresses that an object holds already are not judged again.
///
/// Judged of the books and the proposal alone: no clock, flag or order of a dictionary has a say. Total: whatever a proposal contains, it
/// is judged and nothing traps. O(changes log objects).
struct Draft: ~Copyable {
    enum Effect {
        case putService(StoredService, replacing: StoredService?)
        case deleteService(StoredService)
        case putNode(StoredNode, NodeRecord, replacing: NodeRecord?)
        case deleteNode(StoredNode)
        case putPod(StoredPod, replacing: StoredPod?)
        case deletePod(StoredPod)
        /// An address of the node; where it is nil, the whole CIDR of a node of that name, which is gone.
        case cool(CIDR, StoredNode?, name: String)
        case thaw(CIDR, StoredNode?)
        case markReleasing(StoredNode)
    }

    private struct NodeState {
        var node: StoredNode
        var record: NodeRecord
        var pods: Int
        var cooling: Int
        var isReleasing: Bool
    }

    private(set) var effects: [Effect] = []
    private let books: Books
    private let prepared: Prepared
    /// The Service that was looked up last for an expectation: the change behind it is of the same one nearly always.
    private var found: (key: String, service: StoredService?)?
    /// CIDRs newly given to nodes.
    private var newCIDRs: [(cidr: CIDR, node: String)] = []
    /// nil for a single change: no other is judged behind it.
    private var noted: Notes?

    /// The effects of the changes so far, by name; looked up and never walked.
    private struct Notes {
        var services: [String: StoredService?] = [:]
        var nodes: [String: NodeState?] = [:]
        var pods: [ObjectKey: StoredPod?] = [:]
        /// Whether an address, a port or a CIDR is held, where the proposal has changed it.
        var held: [Holding: Bool] = [:]
        /// How many of its recorders the changes so far have taken an address from.
        var unrecorded: [IPAddress: Int] = [:]
        /// Whether a range cools, where the proposal has changed it.
        var cooling: [CIDR: Bool] = [:]
    }

    init(_ books: Books, _ proposal: Proposal, _ prepared: Prepared) {
        self.books = books
        self.prepared = prepared
        if proposal.changes.count > 1 { noted = Notes() }
    }

    // MARK: Rule 1

    mutating func check(_ expectation: Expectation) throws(Refusal) {
        switch expectation {
        case .absent(let key):
            guard version(of: key) == nil else { throw .changed(key) }
        case .unchanged(let key, let version):
            guard self.version(of: key) == version else { throw .changed(key) }
        case .incarnation(let node, let created):
            guard books.nodes[node]?.created == created else { throw .changed(ObjectKey(.node, node)) }
        case .nodeEmpty(let node):
            guard books.nodes[node]?.podCount ?? 0 == 0 else { throw .nodeInUse(node) }
        }
    }

    private mutating func version(of key: ObjectKey) -> UInt64? {
        guard key.kind == .service else { return books.version(of: key) }
        let service = books.services[key.key]
        found = (key.key, service)
        return service?.version
    }

    // MARK: Changes

    mutating func add(_ change: Change) throws(Refusal) {
        switch change {
        case .put(let key, let form):
            guard !form.holdings.hasTwice else { throw .malformed(key) }
            switch key.kind {
            case .service: try put(service: key, form)
            case .node: try put(node: key, form)
            case .pod: try put(pod: key, form)
            case .cooling: throw .malformed(key)
            }
        case .delete(let key):
            switch key.kind {
            case .service: try delete(service: key)
            case .node: try delete(node: key)
            case .pod: try delete(pod: key)
            case .cooling: throw .malformed(key)
            }
        case .cool(let range, let node, _): try cool(range, node)
        case .thaw(let range, let version): try thaw(range, version)
        case .markReleasing(let name):
            guard var state = node(name) else { throw .nodeGone(name) }
            state.isReleasing = true
            noted?.nodes[name] = .some(state)
            effects.append(.markReleasing(state.node))
        }
    }

    // MARK: Services, and rule 2

    private func service(_ key: String) -> StoredService? {
        if let changed = noted?.services[key] { return changed }
        if let found, found.key == key { return found.service }
        return books.services[key]
    }

    private mutating func put(service key: ObjectKey, _ form: StoredForm) throws(Refusal) {
        let made = prepared.service.flatMap { $0.key == key.key ? $0 : nil }
        guard let service = made ?? StoredService(key, form) else { throw .malformed(key) }
        let old = self.service(key.key)
        let (had, has) = (HoldingSet(old?.holdings ?? []), HoldingSet(form.holdings))
        for holding in form.holdings where !had.contains(holding) { try judge(service: holding, key) }
        for holding in old?.holdings ?? [] where !has.contains(holding) { noteRelease(of: holding) }
        for holding in form.holdings { note(holding, isHeld: true) }
        noted?.services[key.key] = .some(service)
        effects.append(.putService(service, replacing: old))
    }

    /// Rule 2: an address newly given to a Service is held by nothing, does not cool, and lies in no node's CIDR; one that is recorded may
    /// be recorded of others. A port is held by no other Service, whatever its protocol, as kube-apiserver has it.
    private func judge(service holding: Holding, _ key: ObjectKey) throws(Refusal) {
        switch holding {
        case .port(_, let port):
            if noted(holding.place) ?? (books.service(holding: port) != nil) { throw .portTaken(holding) }
        case .range(let pool, let range):
            guard pool == .serviceIP || pool == .loadBalancerIP || pool == .recordedIP, let address = holding.address
            else { throw .malformed(key) }
            if let noted = noted(address.place) {
                if noted { throw .taken(range) }
            } else if let other = books.service(holding: address) {
                let isShared =
                    pool == .recordedIP && other.records(address)
                    && books.recorderCount(of: address) < Books.maximumRecorders
                guard isShared else { throw .taken(range) }
            }
            // A pod's addresses, and cooling ones of a node, lie in a CIDR of the node.
            guard noted != nil || books.isForPods(address) else { return }
            if isCooling(range) { throw .taken(range) }
            if books.isInNodeCIDR(address) || newCIDRs.contains(where: { $0.cidr.contains(address) }) {
                throw .misplaced(range)
            }
        }
    }

    private mutating func delete(service key: ObjectKey) throws(Refusal) {
        guard let old = service(key.key) else { throw .changed(key) }
        for holding in old.holdings { noteRelease(of: holding) }
        noted?.services[key.key] = .some(nil)
        effects.append(.deleteService(old))
    }

    // MARK: Nodes, and rule 3

    private func node(_ name: String) -> NodeState? {
        if let known = noted?.nodes[name] { return known }
        guard let node = books.nodes[name] else { return nil }
        return NodeState(
            node: node, record: node.record, pods: node.podCount, cooling: node.cooling.count,
            isReleasing: node.isReleasing)
    }

    private mutating func put(node key: ObjectKey, _ form: StoredForm) throws(Refusal) {
        let old = node(key.key)
        let cidrs = Few(
            form.holdings.lazy.compactMap { holding -> CIDR? in
                if case .range(.nodeCIDR, let cidr) = holding { cidr } else { nil }
            })
        guard cidrs.count == form.holdings.count, cidrs.allSatisfy(\.isNodeCIDR) else { throw .malformed(key) }
        let oldCIDRs = old?.record.podCIDRs ?? []
        // A node's CIDR goes only with the node.
        guard oldCIDRs.allSatisfy(cidrs.contains) else { throw .malformed(key) }
        for cidr in cidrs where !oldCIDRs.contains(cidr) {
            try judge(node: cidr)
            newCIDRs.append((cidr, key.key))
        }
        let record: NodeRecord
        let node: StoredNode
        if let prepared = prepared.node, prepared.0.name == key.key, old == nil || old?.node === prepared.0 {
            (node, record) = prepared
        } else {
            guard let made = NodeRecord(key, form, cidrs, known: old?.record.pools ?? []) else {
                throw .malformed(key)
            }
            record = made
            node = old?.node ?? StoredNode(record)
        }
        noted?.nodes[key.key] = .some(
            NodeState(
                node: node, record: record, pods: old?.pods ?? 0, cooling: old?.cooling ?? 0,
                isReleasing: old?.isReleasing ?? false))
        effects.append(.putNode(node, record, replacing: old?.record))
    }

    /// Rule 3: a CIDR newly given to a node overlaps no node's CIDR, does not cool except where this proposal takes it out, and contains no
    /// address of a Service. Its own pods' addresses lie in CIDRs that it has.
    private func judge(node cidr: CIDR) throws(Refusal) {
        if let other = books.overlapping(cidr) { throw .taken(other) }
        if let other = newCIDRs.first(where: { $0.cidr.overlaps(cidr) }) { throw .taken(other.cidr) }
        if let other = books.coolingOverlapping(cidr, where: { noted(cooling: $0) ?? true }) { throw .taken(other) }
        if let address = books.serviceAddress(in: cidr) { throw .taken(CIDR(address)) }
        if effects.contains(where: { $0.givesServiceAddress(in: cidr) || $0.cools(overlapping: cidr) }) {
            throw .taken(cidr)
        }
    }

    /// Rule 5: a node goes only with its last pod, and with nothing of it that cools.
    private mutating func delete(node key: ObjectKey) throws(Refusal) {
        guard let old = node(key.key) else { throw .changed(key) }
        guard old.pods == 0, old.cooling == 0 else { throw .nodeInUse(key.key) }
        newCIDRs.removeAll { $0.node == key.key }
        for cidr in old.record.podCIDRs { note(Holding(pool: .nodeCIDR, range: cidr), isHeld: false) }
        noted?.nodes[key.key] = .some(nil)
        effects.append(.deleteNode(old.node))
    }

    // MARK: Pods, and rules 4 and 5

    private func pod(_ key: ObjectKey) -> StoredPod? { noted?.pods[key] ?? books.pod(key) }

    private mutating func put(pod key: ObjectKey, _ form: StoredForm) throws(Refusal) {
        guard let name = PodKey.node(key.key) else { throw .malformed(key) }
        // Rule 5: a pod's node is there, and gets pods.
        guard var state = node(name), !state.isReleasing else { throw .nodeGone(name) }
        let addresses = Few(
            form.holdings.lazy.compactMap { holding -> IPAddress? in
                if case .range(.podIP, _) = holding { holding.address } else { nil }
            })
        guard addresses.count == form.holdings.count, addresses.count <= 2,
            Set(addresses.map(\.family)).count == addresses.count
        else { throw .malformed(key) }
        let old = pod(key)
        guard old == nil || old?.key == key.key else { throw .changed(key) }
        let held = old?.addresses ?? []
        for address in addresses where !held.contains(address) { try judge(pod: address, state) }
        let pod: StoredPod
        if let made = prepared.pod, made.node === state.node {
            pod = made
        } else {
            guard let made = StoredPod(key, form, addresses, on: state.node) else { throw .malformed(key) }
            pod = made
        }
        for address in held { note(address.place, isHeld: false) }
        for address in addresses { note(address.place, isHeld: true) }
        noted?.pods[key] = .some(pod)
        if old == nil { state.pods += 1 }
        noted?.nodes[name] = .some(state)
        effects.append(.putPod(pod, replacing: old))
    }

    /// Rule 4: an address newly given to a pod lies in a CIDR that its node has, is held by nothing, and does not cool, unless this
    /// proposal took it out of cooling.
    private func judge(pod address: IPAddress, _ state: NodeState) throws(Refusal) {
        let range = CIDR(address)
        guard state.record.podCIDRs.contains(where: { $0.contains(address) }) else { throw .misplaced(range) }
        if noted(address.place) ?? books.isHeld(address, in: state.node) { throw .taken(range) }
        if noted != nil || books.mayCool(in: state.node), isCooling(range) { throw .taken(range) }
    }

    private mutating func delete(pod key: ObjectKey) throws(Refusal) {
        guard let old = pod(key), old.key == key.key, var state = node(old.node.name) else { throw .changed(key) }
        for address in old.addresses { note(address.place, isHeld: false) }
        noted?.pods[key] = .some(nil)
        state.pods -= 1
        noted?.nodes[old.node.name] = .some(state)
        effects.append(.deletePod(old))
    }

    // MARK: Cooling

    /// A released holding may cool: an address of a node that is there, or the CIDR of a node that is gone, where nothing in it is held.
    private mutating func cool(_ range: CIDR, _ name: String) throws(Refusal) {
        // By itself: a range around it may cool as well, where CIDRs overlapped.
        guard !(noted(cooling: range) ?? (books.cooling(range) != nil)) else { throw .taken(range) }
        if range.hostBits == 0 {
            guard var state = node(name), state.record.podCIDRs.contains(where: { $0.contains(range) }) else {
                throw .misplaced(range)
            }
            if noted(range.network.place) ?? (books.holder(of: range.network) != nil) { throw .taken(range) }
            state.cooling += 1
            noted?.nodes[name] = .some(state)
            effects.append(.cool(range, state.node, name: name))
        } else {
            let other = books.overlapping(range) { noted(Holding(pool: .nodeCIDR, range: $0)) ?? true }
            guard other == nil, !newCIDRs.contains(where: { $0.cidr.overlaps(range) }) else { throw .taken(range) }
            if let address = books.serviceAddress(in: range) { throw .taken(CIDR(address)) }
            if effects.contains(where: { $0.givesServiceAddress(in: range) }) { throw .taken(range) }
            effects.append(.cool(range, nil, name: name))
        }
        noted?.cooling[range] = true
    }

    private mutating func thaw(_ range: CIDR, _ version: UInt64) throws(Refusal) {
        guard noted(cooling: range) == nil, let found = books.cooling(range), found.version == version else {
            throw .changed(ObjectKey(.cooling, range.rangeText))
        }
        if let node = found.node {
            // Of a node that this proposal takes away nothing cools.
            guard var state = self.node(node.name), state.node === node else { throw .nodeGone(node.name) }
            state.cooling -= 1
            noted?.nodes[node.name] = .some(state)
        }
        noted?.cooling[range] = false
        effects.append(.thaw(range, found.node))
    }

    // MARK: As it will be

    private mutating func note(_ holding: Holding, isHeld: Bool) {
        noted?.held[holding.place] = isHeld
    }

    private mutating func noteRelease(of holding: Holding) {
        guard noted != nil, case .range(.recordedIP, _) = holding, let address = holding.address else {
            return note(holding, isHeld: false)
        }
        noted?.unrecorded[address, default: 0] += 1
        note(holding, isHeld: noted?.unrecorded[address] ?? 0 < books.recorderCount(of: address))
    }

    /// Whether it is held, where this proposal has said so.
    private func noted(_ holding: Holding) -> Bool? { noted?.held[holding] }

    /// Whether it cools, where this proposal has said so.
    private func noted(cooling range: CIDR) -> Bool? { noted?.cooling[range] }

    /// By itself or in a CIDR that does: as the books have it, with the changes of the proposal.
    private func isCooling(_ range: CIDR) -> Bool {
        if noted(cooling: range) ?? (books.cooling(range) != nil) { return true }
        let around = books.coolingOverlapping(range) { $0.contains(range) && noted(cooling: $0) ?? true }
        if around != nil { return true }
        return effects.contains { $0.cools(overlapping: range) }
    }

    /// Whether a range is free once all is done, where the proposal takes it from an object or out of cooling.
    func isFree(_ range: CIDR) -> Bool {
        guard noted != nil else { return true }
        if range.hostBits == 0, noted(range.network.place) ?? false { return false }
        if range.hostBits > 0, newCIDRs.contains(where: { $0.cidr == range }) { return false }
        return !(noted(cooling: range) ?? false)
    }
}

extension Draft.Effect {
    fileprivate func cools(overlapping range: CIDR) -> Bool {
        guard case .cool(let cidr, _, _) = self else { return false }
        return cidr.hostBits > 0 && cidr.overlaps(range)
    }

    /// New addresses of a Service of the same proposal are not in the books yet.
    fileprivate func givesServiceAddress(in cidr: CIDR) -> Bool {
        guard case .putService(let service, _) = self else { return false }
        return service.addresses.contains(where: cidr.contains)
    }
}

extension IPAddress {
    /// An address is held once, whatever it is held as.
    fileprivate var place: Holding { Holding(pool: .podIP, address: self) }
}

extension Holding {
    /// A port is held once, whatever its protocol.
    fileprivate var place: Holding {
        switch self {
        case .range: address?.place ?? self
        case .port(_, let port): .port(.tcp, port)
        }
    }
}

/// An object's holdings, for lookups one after the other: of the usual few without memory, of many hashed. A port is there whatever its
/// protocol.
private struct HoldingSet {
    private let few: [Holding]
    private let many: Set<Holding>

    init(_ holdings: [Holding]) {
        let isFew = holdings.count <= 8
        few = isFew ? holdings : []
        many = isFew ? [] : Set(holdings.map(Self.key))
    }

    func contains(_ holding: Holding) -> Bool {
        let key = Self.key(holding)
        return many.isEmpty ? few.contains { Self.key($0) == key } : many.contains(key)
    }

    /// An address newly held as another kind's is judged.
    private static func key(_ holding: Holding) -> Holding { holding.port == nil ? holding : holding.place }
}

extension [Holding] {
    /// O(n) of many; of the usual few without memory.
    fileprivate var hasTwice: Bool {
        guard count <= 8 else { return Set(self).count < count }
        return indices.contains { index in self[..<index].contains(self[index]) }
    }
}

extension CIDR {
    /// A CIDR that a node may hold: it has an address for a pod.
    var isNodeCIDR: Bool { (8...network.family.addressBits - 2).contains(prefixLength) }

    /// An address without its length.
    var rangeText: String { hostBits == 0 ? network.description : description }
}

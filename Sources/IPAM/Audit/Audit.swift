import Addressing
import Allocation
import DualStack
import Ledger
import Synchronization

/// Holds the committed objects, their indexes and the pools to one another while calls go on: each address and node port that an object
/// has must be marked in its pool and lead back to the object, no two objects may have one, and each mark must belong to
/// an object or cool.
///
/// It looks without a turn, since nearly always all is well. An object that does not fit is looked at again under its
/// turn, when no call can be half-way through; a mark without an object is a fault only if it stays. One thread at a time may
/// use it, and an engine has one.
public final class Audit {
    /// The result of one step.
    public struct Step: Sendable {
        /// Objects looked at.
        public var objects = 0
        /// Contradictions that no earlier step told of, each a sentence; in one pass at most `maximumLines`.
        public var newFaults: [String] = []
        /// Those that are known of now, `maximumFaults` at most: of the pass before and this one.
        public var faults = 0
        /// Everything has been seen; the next step starts anew.
        public var endsPass = false

        public init() {}
    }

    private enum Place {
        case services(PageToken?)
        /// The nodes behind the token.
        case nodes(PageToken?)
        /// The pods of a node behind the place.
        case pods(StoredNode, NodePods.PodPlace?)
        case rangeMarks
        case nodeMarks(PageToken?)
        case confirming
    }

    /// Objects a step.
    private static let objectsPerStep = 256
    /// Nodes whose marks are looked at in a step, two bitmaps each.
    private static let nodesPerStep = 16
    /// An address is marked before its object is there, so that a mark without one is a fault only if it stays: it must be
    /// found so many times; before each look all calls that were claiming at the look before have ended, and their commits are done. Other
    /// calls that claim and release the same address are not there each time.
    private static let confirmations = 20
    private static let maximumSuspects = 1_024
    /// Contradictions that are remembered, and counted.
    public static let maximumFaults = 1_024
    /// Contradictions that are told of in one pass: where books are broken, a few say as much as all.
    public static let maximumLines = 32

    private let engine: Engine
    private var place = Place.services(nil)
    /// Addresses that this pass saw Services hold.
    private var addressesSeen = 0
    private var suspects: [Suspect] = []
    private var confirmed = 0
    private var waitsForCalls = false
    /// Found under turns, on whatever thread gave them.
    private let found = Found()
    private var told: Set<String> = []
    private var current: Set<String> = []
    private var lines = 0

    /// Findings of other parts for the audit.
    fileprivate final class Found: Sendable {
        private struct State {
            var faults: [String] = []
            /// Turns that are not over yet.
            var waiting = 0
        }
        private let state = Mutex(State())

        func begin() { state.withLock { $0.waiting += 1 } }
        func end(_ faults: [String]) {
            state.withLock { state in
                state.waiting -= 1
                state.faults += faults.prefix(Audit.maximumFaults - min(Audit.maximumFaults, state.faults.count))
            }
        }
        var isWaiting: Bool { state.withLock { $0.waiting > 0 } }
        func take() -> [String] {
            state.withLock { state in
                defer { state.faults = [] }
                return state.faults
            }
        }
    }

    public init(_ engine: Engine) {
        self.engine = engine
    }

    /// Goes on for a few hundred objects. Never blocks; takes well under a millisecond but for the walk over the marks of
    /// large ranges and full nodes, once a pass.
    public func step() -> Step {
        var step = Step()
        // Where a commit's outcome is not known, marks stay without an object for good: nothing can be told any more.
        guard engine.journal.fault == nil else { return step }
        switch place {
        case .services(let token): lookAtServices(after: token, &step)
        case .nodes(let token): lookAtNodes(after: token, &step)
        case .pods(let node, let pod): lookAtPods(of: node, after: pod, &step)
        case .rangeMarks: lookAtRangeMarks()
        case .nodeMarks(let token): lookAtNodeMarks(after: token)
        case .confirming: confirm(&step)
        }
        for fault in found.take() { tell(fault, &step) }
        if step.endsPass {
            told = current
            (current, lines) = ([], 0)
        }
        step.faults = told.count
        return step
    }

    private func tell(_ fault: String, _ step: inout Step) {
        if current.count < Self.maximumFaults { current.insert(fault) }
        guard told.count < Self.maximumFaults, told.insert(fault).inserted else { return }
        lines += 1
        switch lines {
        case ...Self.maximumLines: step.newFaults.append(fault)
        case Self.maximumLines + 1:
            step.newFaults.append("and more than \(Self.maximumLines): the rest of this pass is counted only")
        default: break
        }
    }

    // MARK: Objects

    private func lookAtServices(after token: PageToken?, _ step: inout Step) {
        let page = engine.books.services.page(after: token, limit: Self.objectsPerStep)
        let (engine, found) = (engine, found)
        if token == nil { addressesSeen = 0 }
        for service in page.items {
            addressesSeen += service.addresses.count
            guard !engine.faults(of: service).isEmpty else { continue }
            found.begin()
            engine.serviceTurns.take(service.key) { turn in
                engine.confirm(found) { engine.books.services[service.key].map { engine.faults(of: $0) } ?? [] }
                turn.giveBack()
            }
        }
        step.objects += page.items.count
        place = page.next.map { .services($0) } ?? .nodes(nil)
    }

    private func lookAtNodes(after token: PageToken?, _ step: inout Step) {
        let page = engine.books.nodes.page(after: token, limit: 1)
        // A node that has just gone leaves its page empty, with others behind it.
        guard let node = page.items.first else {
            place = page.next.map { .nodes($0) } ?? .rangeMarks
            return
        }
        step.objects += 1
        if !engine.faults(of: node).isEmpty { lookAgain(node) { engine, node in engine.faults(of: node) } }
        lookAtPods(of: node, after: nil, &step)
    }

    private func lookAtPods(of node: StoredNode, after pod: NodePods.PodPlace?, _ step: inout Step) {
        let pods = node.pods(after: pod, limit: Self.objectsPerStep)
        for pod in pods where !engine.faults(of: pod).isEmpty && engine.isCurrent(pod) {
            lookAgain(node) { engine, _ in engine.isCurrent(pod) ? engine.faults(of: pod) : [] }
        }
        step.objects += pods.count
        let isWhole = pods.count < Self.objectsPerStep
        place =
            isWhole ? .nodes(PageToken(key: node.name)) : .pods(node, pods.last.map { NodePods.PodPlace(behind: $0) })
    }

    /// Alone: no pod of the node can come or go meanwhile.
    private func lookAgain(_ node: StoredNode, _ faults: @escaping @Sendable (Engine, StoredNode) -> [String]) {
        let (engine, found) = (engine, found)
        found.begin()
        engine.nodeTurns.take(node.name) { turn in
            engine.confirm(found) { engine.books.nodes[node.name].map { faults(engine, $0) } ?? [] }
            turn.giveBack()
        }
    }

    // MARK: Marks without an object

    private func lookAtRangeMarks() {
        // The owners are asked one by one only where the index has more or fewer entries than objects have addresses.
        let asksOwners = engine.books.serviceAddressCount != addressesSeen
        suspects = engine.rangeMarksWithoutObject(limit: Self.maximumSuspects, asksOwners: asksOwners)
        place = .nodeMarks(nil)
    }

    private func lookAtNodeMarks(after token: PageToken?) {
        let page = engine.books.nodes.page(after: token, limit: Self.nodesPerStep)
        for node in page.items where suspects.count < Self.maximumSuspects {
            suspects += node.marksWithoutPod(engine.books, limit: Self.maximumSuspects - suspects.count)
        }
        if let next = page.next {
            place = .nodeMarks(next)
            return
        }
        confirmed = 0
        place = .confirming
        beginRound()
    }

    private func confirm(_ step: inout Step) {
        guard !found.isWaiting else { return }
        if waitsForCalls {
            if engine.claimingCalls.isRoundBeforeOver { flushCommitsDue() }
            return
        }
        suspects.removeAll { !engine.isMarkWithoutObject($0) }
        confirmed += 1
        guard suspects.isEmpty || confirmed >= Self.confirmations else { return beginRound() }
        found.begin()
        found.end(suspects.map(\.fault))
        suspects = []
        place = .services(nil)
        step.endsPass = true
    }

    private func beginRound() {
        engine.claimingCalls.beginRound()
        waitsForCalls = true
    }

    /// The commits of the calls that are over by now.
    private func flushCommitsDue() {
        waitsForCalls = false
        let found = found
        found.begin()
        engine.journal.flush { found.end([]) }
    }
}

/// A mark that no object was found for.
private enum Suspect {
    /// Of a range of the cluster: an address as a range of one, or a pod CIDR.
    case range(CIDR)
    case podAddress(IPAddress, StoredNode)
    case nodePort(UInt16)

    var fault: String {
        switch self {
        case .range(let range): "\(range.rangeText) is marked as taken, but no object holds it"
        case .podAddress(let address, let node):
            "\(address) of Node \(node.name) is marked as taken, but no pod holds it"
        case .nodePort(let port): "node port \(port) is marked as taken, but no Service has it"
        }
    }
}

extension Engine {
    /// The faults of an object under its turn. A change of another server is made under no turn of this one, so that what is still found is
    /// looked at once more on the log's thread, where no change is half made.
    fileprivate func confirm(_ found: Audit.Found, _ faults: @escaping @Sendable () -> [String]) {
        let first = faults()
        guard isShared, !first.isEmpty else { return found.end(first) }
        journal.flush { found.end(faults()) }
    }
}

extension Engine {
    /// How a Service contradicts the index and the pools.
    fileprivate func faults(of service: StoredService) -> [String] {
        shownFaults(of: service) + portFaults(of: service)
            + service.addresses.flatMap { address -> [String] in
                var faults: [String] = []
                let owner = books.service(holding: address)
                if let owner, owner.key != service.key, !(service.records(address) && owner.records(address)) {
                    faults.append("\(address) has two owners: Service \(service.key) and Service \(owner.key)")
                } else if owner == nil {
                    faults.append("\(address) of Service \(service.key) does not lead back to it")
                }
                for node in books.nodes(containing: address) {
                    guard let pod = node.holder(of: address) else { continue }
                    faults.append("\(address) has two owners: Service \(service.key) and Pod \(pod.key)")
                }
                // A holding of a range that is no longer configured is in no pool.
                if pools.addressPools.contains(where: { $0.state(of: address) == .free }) {
                    faults.append("\(address) of Service \(service.key) is not marked as taken")
                }
                return faults
            }
    }

    private func portFaults(of service: StoredService) -> [String] {
        var faults: [String] = []
        for port in service.holdings.compactMap(\.port) {
            let owner = books.service(holding: port)
            if let owner, owner.key != service.key {
                faults.append("node port \(port) has two owners: Service \(service.key) and Service \(owner.key)")
            } else if owner == nil {
                faults.append("node port \(port) of Service \(service.key) does not lead back to it")
            }
        }
        service.visitPorts { port in
            if pools.nodePorts?.state(of: port) == .free {
                faults.append("node port \(port) of Service \(service.key) is not marked as taken")
            }
        }
        return faults
    }

    /// The contradiction between the addresses that a Service shows and holds.
    private func shownFaults(of service: StoredService) -> [String] {
        guard let shown = service.shown else { return [] }
        let held = service.addresses
        return held.filter { !shown.contains($0) }.map {
            "\($0) is held by Service \(service.key), which does not show it"
        }
            + shown.filter { !held.contains($0) }.map { address in
                guard let other = books.holder(of: address) else {
                    return "\(address) of Service \(service.key) does not lead back to it"
                }
                return "\(address) has two owners: Service \(service.key) and \(other.description)"
            }
    }

    /// How a Node's CIDRs contradict the index and the pools.
    fileprivate func faults(of node: StoredNode) -> [String] {
        var faults: [String] = []
        for cidr in node.podCIDRs {
            let owner = books.node(holding: cidr)
            if owner !== node {
                faults.append("\(cidr) of Node \(node.name) leads to \(owner.map { "Node \($0.name)" } ?? "nobody")")
            }
            if pools.nodeCIDR.contains(where: { $0.state(of: cidr) == .free }) {
                faults.append("\(cidr) of Node \(node.name) is not marked as taken")
            }
        }
        return faults
    }

    /// How a Pod contradicts its node's index and pools.
    fileprivate func faults(of pod: StoredPod) -> [String] {
        let node = pod.node
        return pod.addresses.compactMap { address in
            if let other = node.holder(of: address), other !== pod {
                return "\(address) has two owners: Pod \(pod.key) and Pod \(other.key)"
            }
            guard let pool = node.pool(containing: address) else {
                return node.pools.isEmpty
                    ? "\(address) of Pod \(pod.key): Node \(node.name) has no pod CIDR"
                    : "\(address) of Pod \(pod.key) lies in no pod CIDR of Node \(node.name)"
            }
            // An address that no pool assigns, such as a gateway's, has no mark.
            if pool.state(of: address) == .free { return "\(address) of Pod \(pod.key) is not marked as taken" }
            return node.cooling.isCooling(address) ? "\(address) of Pod \(pod.key) cools, but the pod holds it" : nil
        }
    }

    /// Whether the pod is still the one of its identity.
    fileprivate func isCurrent(_ pod: StoredPod) -> Bool {
        books.pod(pod.identity, on: pod.node.name).map { $0 === pod } ?? false
    }

    /// Addresses, pod CIDRs and node ports of the cluster's ranges. O(memory of the pools + marks).
    fileprivate func rangeMarksWithoutObject(limit: Int, asksOwners: Bool) -> [Suspect] {
        var suspects: [Suspect] = []
        for pool in pools.addressPools {
            pool.forEachAllocated { address in
                guard suspects.count < limit else { return }
                if asksOwners ? !isHeld(address) : !books.isTaken(address) { suspects.append(.range(CIDR(address))) }
            }
        }
        for pool in pools.nodeCIDR {
            pool.forEachAllocated { cidr in
                if suspects.count < limit, !books.isTaken(cidr) { suspects.append(.range(cidr)) }
            }
        }
        pools.nodePorts?.forEachAllocated { port in
            if suspects.count < limit, !hasOwner(port) { suspects.append(.nodePort(port)) }
        }
        return suspects
    }

    fileprivate func isMarkWithoutObject(_ suspect: Suspect) -> Bool {
        // The mark first: an object that comes between the two looks is seen by the second.
        switch suspect {
        case .podAddress(let address, let node):
            return books.nodes[node.name] === node && node.isMarkWithoutPod(address, books)
        case .range(let range):
            guard range.hostBits == 0 else {
                return pools.nodeCIDR.contains { $0.state(of: range) == .allocated } && !books.isTaken(range)
            }
            return pools.addressPools.contains { $0.state(of: range.network) == .allocated } && !isHeld(range.network)
        case .nodePort(let port):
            return pools.nodePorts?.state(of: port) == .allocated && !hasOwner(port)
        }
    }

    /// By the Service that the index leads to; or one shows it that does not hold it.
    private func hasOwner(_ port: UInt16) -> Bool {
        guard let owner = books.service(holding: port) else { return books.isTaken(port: port) }
        return books.services[owner.key].map { $0 === owner } ?? false
    }

    /// By the Service that the index leads to; or it lies in a node's CIDR.
    private func isHeld(_ address: IPAddress) -> Bool {
        guard let owner = books.service(holding: address) else { return books.isTaken(address) }
        return books.services[owner.key]?.addresses.contains(address) ?? false
    }
}

extension StoredNode {
    /// Addresses that are marked, that no pod holds and that do not cool. O(memory of the pools) where the counts agree, as they
    /// nearly always do; else O(marks log pods) more.
    fileprivate func marksWithoutPod(_ books: Books, limit: Int) -> [Suspect] {
        var suspects: [Suspect] = []
        for pool in pools {
            let family = pool.cidr.family
            let held = pods.withLock { $0.held(family) }
            guard pool.allocatedCount != held + cooling.count(family) else { continue }
            pool.forEachAllocated { address in
                guard suspects.count < limit, isMarkWithoutPod(address, books) else { return }
                suspects.append(.podAddress(address, self))
            }
        }
        return suspects
    }

    fileprivate func isMarkWithoutPod(_ address: IPAddress, _ books: Books) -> Bool {
        // The mark first, then its possible owners, in the order in which a release hands it on.
        pool(containing: address)?.state(of: address) == .allocated && holder(of: address) == nil
            && !cooling.isCooling(address) && !books.isTaken(address)
    }
}

extension StoredPod {
    fileprivate static func !== (left: StoredPod, right: StoredPod) -> Bool { !(left === right) }
}

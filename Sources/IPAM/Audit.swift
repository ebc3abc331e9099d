import Addressing
import Allocation
import DualStack
import Ledger
import Synchronization

/// Holds the committed objects, their indexes and the pools to one another while calls go on: each address that an object
/// has must be marked in its pool and lead back to the object, no two objects may have one, and what is marked must belong to
/// an object.
///
/// It looks without anybody's turn, since nearly always all is well; what does not fit is looked at again under the turn of
/// its object, when no call can be half-way through. One thread at a time may use it.
public final class Audit {
    /// What one step did.
    public struct Step: Sendable {
        /// Objects looked at.
        public var objects = 0
        /// Contradictions that no earlier step told of, each a sentence.
        public var newFaults: [String] = []
        /// Those that are known of now: of the pass before and this one.
        public var faults = 0
        /// Everything has been seen; the next step starts anew.
        public var endsPass = false

        public init() {}
    }

    private enum Place {
        case services(PageToken?)
        case nodes(PageToken?)
        case marks
        case confirming
    }

    /// Objects a step.
    private static let servicesPerStep = 256
    private static let nodesPerStep = 16
    /// An address is marked before its object is there, so that a mark without one is a fault only if it stays: it must be
    /// found so many times, each after all commits that were due the time before. A call under way is over long before.
    private static let confirmations = 20
    private static let maximumSuspects = 1_024

    private let engine: Engine
    private var place = Place.services(nil)
    /// Addresses that this pass saw Services hold.
    private var addressesSeen = 0
    private var suspects: [CIDR] = []
    private var confirmed = 0
    /// Found under turns, on whatever thread gave them.
    private let found = Found()
    private var told: Set<String> = []
    private var current: Set<String> = []

    private final class Found: Sendable {
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
                state.faults += faults
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
    /// large ranges, once a pass.
    public func step() -> Step {
        var step = Step()
        // Where a commit's outcome is not known, marks stay without an object for good: nothing can be told any more.
        guard engine.journal.fault == nil else { return step }
        switch place {
        case .services(let token): lookAtServices(after: token, &step)
        case .nodes(let token): lookAtNodes(after: token, &step)
        case .marks: lookAtMarks()
        case .confirming: confirm(&step)
        }
        for fault in found.take() {
            current.insert(fault)
            if told.insert(fault).inserted { step.newFaults.append(fault) }
        }
        step.faults = told.count
        if step.endsPass {
            told = current
            current = []
            step.faults = told.count
        }
        return step
    }

    // MARK: Services

    private func lookAtServices(after token: PageToken?, _ step: inout Step) {
        let page = engine.registry.services.page(
            after: token, limit: Self.servicesPerStep, where: { _ in true }, { [$0] })
        let (engine, found) = (engine, found)
        if token == nil { addressesSeen = 0 }
        for service in page.items {
            let (faults, count) = engine.faultsAndCount(of: service)
            addressesSeen += count
            guard !faults.isEmpty else { continue }
            found.begin()
            engine.serviceTurns.take(service.key) { turn in
                found.end(engine.registry.services[service.key].map { engine.faultsAndCount(of: $0).faults } ?? [])
                turn.giveBack()
            }
        }
        step.objects += page.items.count
        place = page.next.map { .services($0) } ?? .nodes(nil)
    }

    // MARK: Nodes and their pods

    private func lookAtNodes(after token: PageToken?, _ step: inout Step) {
        let page = engine.registry.nodes.page(after: token, limit: Self.nodesPerStep, where: { _ in true }, { [$0] })
        let (engine, found) = (engine, found)
        for node in page.items {
            let pods = node.listedPods()
            step.objects += 1 + pods.count
            guard !engine.faults(of: node, pods).isEmpty else { continue }
            found.begin()
            // Alone: no pod of the node can come or go meanwhile.
            engine.nodeTurns.take(node.name) { turn in
                found.end(
                    engine.registry.nodes[node.name].map { engine.faults(of: $0, $0.listedPods()) } ?? [])
                turn.giveBack()
            }
        }
        place = page.next.map { .nodes($0) } ?? .marks
    }

    // MARK: Marks without an object

    private func lookAtMarks() {
        // The owners are asked one by one only where the index has more or fewer entries than objects have addresses.
        let asksOwners = engine.registry.serviceAddresses.count != addressesSeen
        suspects = engine.marksWithoutObject(limit: Self.maximumSuspects, asksOwners: asksOwners)
        confirmed = 0
        place = .confirming
        startCommitsDue()
    }

    private func confirm(_ step: inout Step) {
        guard !found.isWaiting else { return }
        suspects.removeAll { !engine.isMarkWithoutObject($0) }
        confirmed += 1
        guard suspects.isEmpty || confirmed >= Self.confirmations else { return startCommitsDue() }
        found.begin()
        found.end(suspects.map { "\($0.rangeText) is marked as taken, but no object holds it" })
        suspects = []
        place = .services(nil)
        step.endsPass = true
    }

    private func startCommitsDue() {
        let found = found
        found.begin()
        engine.journal.flush { found.end([]) }
    }
}

extension Engine {
    /// How a Service contradicts the index and the pools.
    fileprivate func faultsAndCount(of service: StoredService) -> (faults: [String], addresses: Int) {
        guard let decoded = try? service.decoded() else { return (["Service \(service.key) can't be read"], 0) }
        let held = holdings(of: decoded)
        let faults = held.flatMap { held -> [String] in
            var faults: [String] = []
            if let owner = registry.serviceAddresses[held.address], owner != service.key {
                faults.append("\(held.address) has two owners: Service \(service.key) and Service \(owner)")
            } else if registry.serviceAddresses[held.address] == nil {
                faults.append("\(held.address) of Service \(service.key) does not lead back to it")
            }
            // What is held of a range that is no longer configured is in no pool.
            if let pool = pools.addressPool(held.pool, containing: held.address),
                pool.state(of: held.address) != .allocated
            {
                faults.append("\(held.address) of Service \(service.key) is not marked as taken")
            }
            return faults
        }
        return (faults, held.count)
    }

    /// How a Node and its pods contradict the index and the pools.
    fileprivate func faults(of node: StoredNode, _ pods: [StoredPod]) -> [String] {
        var faults: [String] = []
        for cidr in node.podCIDRs {
            let owner = registry.podCIDRs[cidr]
            if owner != node.name {
                faults.append("\(cidr) of Node \(node.name) leads to \(owner.map { "Node \($0)" } ?? "nobody")")
            }
            if let pool = pools.subnetPool(containing: cidr), pool.state(of: cidr) != .allocated {
                faults.append("\(cidr) of Node \(node.name) is not marked as taken")
            }
        }
        var owners: [IPAddress: StoredPod] = [:]
        for pod in pods {
            for address in pod.addresses {
                if let other = owners.updateValue(pod, forKey: address) {
                    faults.append("\(address) has two owners: Pod \(pod.key) and Pod \(other.key)")
                }
                guard let pool = node.pool(containing: address) else {
                    faults.append(
                        node.pools.isEmpty
                            ? "\(address) of Pod \(pod.key): Node \(node.name) has no pod CIDR"
                            : "\(address) of Pod \(pod.key) lies in no pod CIDR of Node \(node.name)")
                    continue
                }
                if pool.state(of: address) != .allocated {
                    faults.append("\(address) of Pod \(pod.key) is not marked as taken")
                }
            }
        }
        for pool in node.pools where pool.allocatedCount != owners.keys.count(where: pool.cidr.contains) {
            pool.forEachAllocated { address in
                if owners[address] == nil {
                    faults.append("\(address) of Node \(node.name) is marked as taken, but no pod holds it")
                }
            }
        }
        return faults
    }

    /// Addresses and pod CIDRs of the cluster's ranges. O(memory of the pools + what is taken).
    fileprivate func marksWithoutObject(limit: Int, asksOwners: Bool) -> [CIDR] {
        var suspects: [CIDR] = []
        for pool in pools.clusterIP + pools.loadBalancer {
            pool.forEachAllocated { address in
                guard suspects.count < limit else { return }
                if registry.serviceAddresses[address] == nil || asksOwners && !isHeld(address) {
                    suspects.append(CIDR(address))
                }
            }
        }
        for pool in pools.nodeCIDR {
            pool.forEachAllocated { cidr in
                if suspects.count < limit, registry.podCIDRs[cidr] == nil { suspects.append(cidr) }
            }
        }
        return suspects
    }

    fileprivate func isMarkWithoutObject(_ range: CIDR) -> Bool {
        // The mark first: an object that comes between the two looks is seen by the second.
        if let pool = pools.subnetPool(containing: range) {
            return pool.state(of: range) == .allocated && registry.podCIDRs[range] == nil
        }
        let address = range.network
        let pool =
            pools.addressPool(.clusterIP, containing: address) ?? pools.addressPool(.loadBalancer, containing: address)
        return pool?.state(of: address) == .allocated && !isHeld(address)
    }

    /// By the Service that the index leads to.
    private func isHeld(_ address: IPAddress) -> Bool {
        guard let owner = registry.serviceAddresses[address], let service = registry.services[owner],
            let decoded = try? service.decoded()
        else { return false }
        return holdings(of: decoded).contains { $0.address == address }
    }
}

extension CIDR {
    /// An address without its length.
    fileprivate var rangeText: String {
        prefixLength == network.family.addressBits ? network.description : description
    }
}

import Addressing
import Allocation
import Ledger
import TandemAPI

extension Books {
    /// Judges a proposal at its place in the log, and makes its changes where it is kept. nil where it is.
    ///
    /// Deterministic and total: see `Draft`. On the log's thread alone. O(changes log objects).
    func apply(_ proposal: Proposal, _ prepared: Prepared = Prepared()) -> Refusal? {
        var draft = Draft(self, proposal, prepared)
        do throws(Refusal) {
            for expectation in proposal.expectations { try draft.check(expectation) }
            for change in proposal.changes { try draft.add(change) }
        } catch {
            return error
        }
        var version = version
        for effect in draft.effects { make(effect, draft, &version) }
        setVersion(version)
        history.publish(version)
        return nil
    }

    /// An object's addresses are free in the pools before it is gone for readers: a client that reads so, and then asks for its address, gets it,
    /// and is judged behind this. An address that is the object's by the end of the proposal is never free.
    private func make(_ effect: Draft.Effect, _ draft: borrowing Draft, _ version: inout UInt64) {
        switch effect {
        case .putService(let service, let old):
            version &+= 1
            service.stamp(version)
            addToDigest(service.digest)
            if let old { addToDigest(0 &- old.digest) }
            withHeld { held in
                if let old { held.remove(old) }
                held.add(service)
            }
            note(old, -1)
            note(service, 1)
            old?.visitAddresses { if draft.isFree(CIDR($0)) { clear($0) } }
            // Also addresses that this server has claimed: another's Service may have had one and released it meanwhile, which cleared the mark.
            service.visitAddresses { if old?.holds($0) != true { pools.mark($0) } }
            old?.visitPorts { clear(port: $0) }
            service.visitPorts { pools.nodePorts?.mark($0) }
            services[service.key] = service
            history.append(.service(service), old == nil ? .added : .modified, version: version)
        case .deleteService(let service):
            version &+= 1
            addToDigest(0 &- service.digest)
            withHeld { $0.remove(service) }
            note(service, -1)
            service.visitAddresses { if draft.isFree(CIDR($0)) { clear($0) } }
            service.visitPorts { clear(port: $0) }
            services[service.key] = nil
            history.append(.service(service), .deleted, version: version)
        case .putNode(let node, let record, let old):
            version &+= 1
            record.stamp(version)
            if old == nil { node.stamp(created: version) }
            put(node, record, replacing: old)
            history.append(.node(record), old == nil ? .added : .modified, version: version)
        case .deleteNode(let node):
            version &+= 1
            addToDigest(0 &- node.record.digest)
            if node.isReleasing { addToDigest(0 &- node.releasingDigest) }
            let cidrs = node.podCIDRs
            withHeld { held in
                for cidr in cidrs { held.remove(cidr) }
            }
            for cidr in cidrs {
                outside.note(cidr, -1, of: node.name)
                if draft.isFree(cidr) { clear(cidr) }
            }
            nodes[node.name] = nil
            podUsage.remove(node)
            history.append(.node(node.record), .deleted, version: version)
        case .putPod(let pod, let old):
            version &+= 1
            pod.stamp(version)
            if let old { remove(old, draft) }
            for address in pod.addresses { mark(address, on: pod.node) }
            addToDigest(pod.digest)
            show(pod)
            history.append(.pod(pod), old == nil ? .added : .modified, version: version)
        case .deletePod(let pod):
            version &+= 1
            remove(pod, draft)
            history.append(.pod(pod), .deleted, version: version)
        case .cool(let range, let node, let name):
            addToDigest(coolingDigest(range, version))
            if let node {
                node.cooling.add(CoolingAddress(end: coolingEnd(), address: range.network, version: version))
            } else {
                let cooling = CoolingCIDR(node: name, end: coolingEnd(), version: version)
                withHeld { $0.cooling.add(range, cooling) }
                exclude(range)
            }
        case .thaw(let range, let node):
            if let node {
                addToDigest(0 &- coolingDigest(range, node.cooling.version(of: range.network) ?? 0))
                node.cooling.remove(range.network)
                if draft.isFree(range) { clear(range.network, on: node) }
            } else if let old = withHeld({ $0.cooling.remove(range) }) {
                addToDigest(0 &- coolingDigest(range, old.version))
                if draft.isFree(range) { clear(range) }
            }
        case .markReleasing(let node):
            guard !node.isReleasing else { return }
            node.markReleasing()
            addToDigest(node.releasingDigest)
        }
    }

    func note(_ service: StoredService?, _ change: Int) {
        guard let service else { return }
        service.visitHoldings { holding in
            guard holding.pool != .recordedIP else { return }
            if let address = holding.address { outside.note(address, change, of: service.key) }
            if let port = holding.port { outside.note(port: port, change, of: service.key) }
        }
    }

    private func put(_ node: StoredNode, _ record: NodeRecord, replacing old: NodeRecord?) {
        addToDigest(record.digest)
        let added = record.podCIDRs.filter { !(old?.podCIDRs.contains($0) ?? false) }
        withHeld { held in
            for cidr in added { held.add(cidr, of: node) }
        }
        if let old {
            addToDigest(0 &- old.digest)
            podUsage.remove(node)
        }
        // Also of a node that is put twice before it is shown.
        node.replace(record)
        for cidr in added {
            outside.note(cidr, 1, of: node.name)
            mark(cidr)
        }
        nodes[node.name] = node
        podUsage.add(node)
    }

    private func remove(_ pod: StoredPod, _ draft: borrowing Draft) {
        addToDigest(0 &- pod.digest)
        hide(pod) {
            for address in pod.addresses where draft.isFree(CIDR(address)) { clear(address, on: pod.node) }
        }
    }
}

extension Books.Held {
    mutating func add(_ service: StoredService) {
        service.visitHoldings { holding in
            switch holding {
            case .range(let pool, _):
                guard let address = holding.address else { return }
                if pool == .recordedIP, let first = addresses[address], first.key != service.key {
                    record(address, of: (recorders[address] ?? [first]) + [service])
                } else {
                    addresses[address] = service
                }
            case .port(_, let port): ports[port] = service
            }
        }
        for port in service.shownPorts { shownPorts[port, default: 0] += 1 }
    }

    mutating func remove(_ service: StoredService) {
        service.visitHoldings { holding in
            switch holding {
            case .range:
                guard let address = holding.address else { return }
                if let all = recorders[address] {
                    record(address, of: all.filter { $0.key != service.key })
                } else {
                    addresses[address] = nil
                }
            case .port(_, let port): ports[port] = nil
            }
        }
        for port in service.shownPorts {
            let count = shownPorts[port, default: 1] - 1
            shownPorts[port] = count == 0 ? nil : count
        }
    }

    /// O(`Books.maximumRecorders`).
    private mutating func record(_ address: IPAddress, of services: [StoredService]) {
        let services = services.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        recorders[address] = services.count > 1 ? services : nil
        addresses[address] = services.first
    }

    mutating func add(_ cidr: CIDR, of node: StoredNode) {
        overlaps += overlapCount(cidr)
        _ = cidrs.insert(node, for: cidr)
    }

    mutating func remove(_ cidr: CIDR) {
        cidrs.remove(cidr)
        overlaps -= overlapCount(cidr)
    }

    /// Node CIDRs that overlap one that is not among them.
    private func overlapCount(_ cidr: CIDR) -> Int {
        cidrs.all(overlapping: cidr).count
    }
}

// MARK: Lookups of a draft

extension Books {
    /// nil where the object is not there.
    func version(of key: ObjectKey) -> UInt64? {
        switch key.kind {
        case .service: services[key.key]?.version
        case .node: nodes[key.key]?.record.version
        case .pod: pod(key)?.version
        case .cooling: nil
        }
    }

    /// The pod of a key, be its own an old one or not; of an old key the one that has it.
    func pod(_ key: ObjectKey) -> StoredPod? {
        var text = key.key
        return text.withUTF8 { text in
            guard let (node, identity) = PodKey.parse(UnsafeRawBufferPointer(text)),
                let slash = identity.lastIndex(of: UInt8(ascii: "/"))
            else { return nil }
            if let node { return pod(identity, origin: slash, on: String(decoding: node, as: UTF8.self)) }
            return podWithOldKey(identity, origin: slash)
        }
    }

    /// Whether an address lies in a CIDR that a node holds, or that cools.
    func isForPods(_ address: IPAddress) -> Bool {
        let range = CIDR(address)
        return withHeld { $0.cidrs.contains(anyAround: range) || $0.cooling.index.contains(anyAround: range) }
    }

    /// Whether an address in the node's CIDR is held: by a pod of it, or of one whose CIDR overlaps, or by a Service.
    func isHeld(_ address: IPAddress, in node: StoredNode) -> Bool {
        let (service, overlaps) = withHeld { ($0.addresses[address] != nil, $0.overlaps > 0) }
        return service || node.holder(of: address) != nil || overlaps && holder(of: address) != nil
    }

    func isInNodeCIDR(_ address: IPAddress) -> Bool { withHeld { $0.cidrs.contains(anyAround: CIDR(address)) } }

    /// False where no address of the node can cool: most of the time, and seen at once.
    func mayCool(in node: StoredNode) -> Bool {
        node.cooling.count > 0 || withHeld { $0.cooling.index.count > 0 || $0.overlaps > 0 }
    }

    /// A node's CIDR that overlaps this one, of those that are wanted.
    func overlapping(_ cidr: CIDR, where isWanted: (CIDR) -> Bool = { _ in true }) -> CIDR? {
        withHeld { $0.cidrs.all(overlapping: cidr).map(\.0) }.first(where: isWanted)
    }

    /// A CIDR that cools and overlaps this one, of those that are wanted.
    func coolingOverlapping(_ cidr: CIDR, where isWanted: (CIDR) -> Bool) -> CIDR? {
        withHeld { $0.cooling.index.all(overlapping: cidr).map(\.0) }.first(where: isWanted)
    }

    func serviceAddress(in cidr: CIDR) -> IPAddress? {
        withHeld { held in
            var found: IPAddress?
            held.addresses.visit(inside: cidr) { address, _ in
                found = address
                return false
            }
            return found
        }
    }

    /// A range that cools: at which version it began to, and of which node it is, where it is an address.
    func cooling(_ range: CIDR) -> (version: UInt64, node: StoredNode?)? {
        guard range.hostBits == 0 else { return coolingCIDR(range).map { ($0.version, nil) } }
        for node in nodes(containing: range.network) {
            if let version = node.cooling.version(of: range.network) { return (version, node) }
        }
        return nil
    }

    /// Whether an address or a CIDR cools, by itself or in a CIDR that does.
    func isCooling(_ range: CIDR) -> Bool {
        cooling(range) != nil || withHeld { $0.cooling.index.contains(anyAround: range) }
    }
}

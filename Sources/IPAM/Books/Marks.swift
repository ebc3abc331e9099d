import Addressing
import Allocation

/// The pools follow the books: a mark is set by a claim, by a holding, and by a cooling address, and is cleared only where the
/// books know no holder, whatever range or role the pool is of. On the log's thread, but for `giveBack`.
extension Books {
    /// An address that a Service holds: in every pool that it lies in.
    func mark(_ address: IPAddress) {
        pools.mark(address)
        for node in nodes(containing: address) { node.pool(containing: address)?.mark(address) }
    }

    /// An address that a pod holds: in its node's pool, and in those of nodes whose CIDRs overlap.
    func mark(_ address: IPAddress, on node: StoredNode) {
        node.pool(containing: address)?.mark(address)
        guard withHeld({ $0.overlaps > 0 }) else { return }
        for other in nodes(containing: address) { other.pool(containing: address)?.mark(address) }
    }

    /// A node's CIDR.
    func mark(_ cidr: CIDR) {
        pools.mark(cidr)
        exclude(cidr)
    }

    /// Has each pool that a CIDR lies across pass over it, but for the node's own pools, and the one that has a mark for it.
    func exclude(_ cidr: CIDR) {
        for pool in pools.addressPools where pool.cidr.overlaps(cidr) { excludeNodes(from: pool) }
        for pool in pools.nodeCIDR where pool.cluster.overlaps(cidr) && pool.subnet(around: cidr) == nil {
            excludeNodes(from: pool)
        }
        for (outer, node) in withHeld({ $0.cidrs.all(around: cidr) }) where outer != cidr {
            excludeNarrower(than: outer, of: node)
        }
    }

    /// The same for all that there is: once, at a start.
    func excludeAll() {
        for pool in pools.addressPools { excludeNodes(from: pool) }
        for pool in pools.nodeCIDR { excludeNodes(from: pool) }
        guard withHeld({ $0.overlaps > 0 }) else { return }
        nodes.visit { node in
            for cidr in node.podCIDRs { self.excludeNarrower(than: cidr, of: node) }
        }
    }

    private func excludeNodes(from pool: AddressPool) { pool.setExcluded(nodeCIDRs(overlapping: pool.cidr)) }

    private func excludeNodes(from pool: SubnetPool) {
        pool.setExcluded(nodeCIDRs(overlapping: pool.cluster).filter { pool.subnet(around: $0) == nil })
    }

    /// A node's pods keep out of a CIDR inside of its own: packets go there by the longer prefix.
    private func excludeNarrower(than cidr: CIDR, of node: StoredNode) {
        let inner = withHeld { $0.cidrs.all(inside: cidr).map(\.0).filter { $0 != cidr } }
        node.pools.first { $0.cidr == cidr }?.setExcluded(inner)
    }

    /// CIDRs that nodes hold, or that cool.
    private func nodeCIDRs(overlapping range: CIDR) -> [CIDR] {
        withHeld { held in
            held.cidrs.all(overlapping: range).map(\.0) + held.cooling.index.all(overlapping: range).map(\.0)
        }
    }

    /// A Service gave the address back.
    func clear(_ address: IPAddress) {
        if service(holding: address) == nil { pools.clear(address) }
        if !isHeldOrCools(address) {
            for node in nodes(containing: address) { node.pool(containing: address)?.release(address) }
        }
        clearSubnets(around: CIDR(address))
    }

    /// A pod of the node gave the address back, or it has cooled.
    func clear(_ address: IPAddress, on node: StoredNode) {
        guard !isHeldOrCools(address) else { return }
        node.pool(containing: address)?.release(address)
        guard withHeld({ $0.overlaps > 0 }) else { return }
        for other in nodes(containing: address) { other.pool(containing: address)?.release(address) }
    }

    /// A node gave its CIDR back, or it has cooled.
    func clear(_ cidr: CIDR) {
        exclude(cidr)
        clearSubnets(around: cidr)
    }

    private func clearSubnets(around range: CIDR) {
        for pool in pools.nodeCIDR {
            if let subnet = pool.subnet(around: range), !hasMark(subnet) { pool.release(subnet) }
        }
    }

    // A holding that keeps a mark is no wider than the mark: pools pass over wider CIDRs, and clearing those looks for no marks in them.

    /// Whether a subnet of a pool is marked, once no call claims it.
    private func hasMark(_ subnet: CIDR) -> Bool {
        withHeld { held in
            held.cidrs.contains(anyInside: subnet) || held.cooling.index.contains(anyInside: subnet)
                || held.addresses.contains(anyInside: subnet)
        }
    }

    /// Whether the address itself is held or cools, whatever is around it.
    private func isHeldOrCools(_ address: IPAddress) -> Bool {
        holder(of: address) != nil || cooling(CIDR(address)) != nil
    }

    private func hasMark(_ address: IPAddress, in pool: AddressPool) -> Bool {
        pool.layout == .pods ? isHeldOrCools(address) : service(holding: address) != nil
    }

    /// A Service gave the port back.
    func clear(port: UInt16) {
        if !isTaken(port: port) { pools.nodePorts?.release(port) }
    }

    /// Undoes the claim of a call that comes to nothing. From any thread: where a proposal is kept meanwhile that takes the same, one
    /// of the two sets the mark again; and a mark that is missing changes no verdict.
    func giveBack(_ claim: Claim) {
        switch claim {
        case .address(let pool, let address):
            pool.release(address)
            if hasMark(address, in: pool) { pool.mark(address) }
        case .subnet(let pool, let subnet):
            pool.release(subnet)
            if hasMark(subnet) { pool.mark(subnet) }
        case .nodePort(let pool, let port):
            pool.release(port)
            if isTaken(port: port) { pool.mark(port) }
        case .cooling(let addresses, let entry): addresses.giveBack(entry)
        case .coolingCIDR(let range, let version): giveBackCooling(range, version)
        case .own: break
        }
    }
}

extension Pools {
    func mark(_ address: IPAddress) {
        for pool in addressPools { pool.mark(address) }
        for pool in nodeCIDR {
            if let subnet = pool.subnet(around: CIDR(address)) { pool.mark(subnet) }
        }
    }

    func mark(_ cidr: CIDR) {
        for pool in nodeCIDR {
            if let subnet = pool.subnet(around: cidr) { pool.mark(subnet) }
        }
    }

    func clear(_ address: IPAddress) {
        for pool in addressPools { pool.release(address) }
    }
}

extension SubnetPool {
    /// The pool's subnet that contains the range; nil where there is none, as the range is wider or lies elsewhere.
    func subnet(around range: CIDR) -> CIDR? {
        guard cluster.contains(range), range.prefixLength >= nodePrefixLength else { return nil }
        return CIDR(containing: range.network, prefixLength: nodePrefixLength)
    }
}

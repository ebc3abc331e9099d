import Addressing
import Allocation
import TandemAPI

/// A pool by equal blocks: for a picture of it, whatever its size. Blocks are a power of two of addresses, subnets or ports long, and lie
/// on their multiples; the first and the last one go as far as the pool does.
extension Engine {
    /// O(memory of the pool + blocks).
    func getPoolMap(_ query: PoolMapQuery) -> Result<CallResult, APIError> {
        if let pool = pools.clusterIP.first(where: { pools.name($0) == query.pool }) {
            let status = pool.status(query.pool, .service)
            return .success(pool.map(status, [], blocks: query.blocks))
        }
        if let pool = pools.loadBalancer.first(where: { pools.name($0) == query.pool }) {
            return .success(map(pool, query))
        }
        if let pool = pools.nodeCIDR.first(where: { pools.name($0) == query.pool }) {
            return .success(map(pool, query))
        }
        if let pool = pools.nodePorts, let status = nodePortStatus, status.name == query.pool {
            return .success(pool.map(status, blocks: query.blocks))
        }
        if let (node, family) = node(ofPool: query.pool), let pool = node.pool(family) {
            let status = pool.status(query.pool, .pod, cooling: node.cooling.count(family))
            let cooling = node.cooling.addresses(family)
            return .success(pool.map(status, cooling, blocks: query.blocks))
        }
        return .failure(
            APIError(
                .notFound, reason: "NotFound",
                "params.pool: there is no pool \"\(query.pool.cut(toBytes: 300))\"; GetPools names those there are"))
    }

    /// `pods-NODE-ipv4`.
    private func node(ofPool name: String) -> (StoredNode, IPFamily)? {
        for family in IPFamily.allCases {
            guard let middle = name.between("pods-", "-\(family.poolSuffix)"), let node = books.nodes[middle] else {
                continue
            }
            return (node, family)
        }
        return nil
    }

    private func map(_ pool: LoadBalancerPool, _ query: PoolMapQuery) -> CallResult {
        let grid = Grid(pool.range, blocks: query.blocks)
        var counts = grid.counts
        for part in pool.parts {
            let first = grid.block(of: part.cidr.first)
            // A part that is no larger than a block lies in one.
            for (place, count) in part.blockCounts(shift: min(grid.shift, part.cidr.hostBits)).enumerated() {
                counts[first + place].taken += count.taken
                counts[first + place].reserved += count.reserved
            }
        }
        let status = PoolStatus(
            name: query.pool, kind: .loadBalancer, range: pool.range, capacity: 0, allocated: 0)
        return grid.map(status, counts, [])
    }

    private func map(_ pool: SubnetPool, _ query: PoolMapQuery) -> CallResult {
        let shift = blockShift(
            of: UInt128(1) << UInt128(pool.nodePrefixLength - pool.cluster.prefixLength), query.blocks)
        let counts = pool.blockCounts(shift: shift)
        var cooling = Array(repeating: UInt128(0), count: counts.count)
        let length = pool.nodePrefixLength
        var last: CIDR?
        repeat {
            // A few at a time, as the lock is held meanwhile.
            let found = books.coolingCIDRs(in: pool.cluster, after: last, limit: 256)
            for cidr in found where cidr.prefixLength == length {
                if let index = pool.cluster.indexOfSubnet(cidr) { cooling[Int(index >> UInt128(shift))] += 1 }
            }
            last = found.count < 256 ? nil : found.last
        } while last != nil
        let blocks = counts.indices.map { index in
            let first = pool.cluster.subnet(at: UInt128(index) << UInt128(shift), prefixLength: length)
            return PoolStatus.Block(
                first: first?.description ?? "", counts[index], cooling: cooling[index], of: 1 << UInt128(shift))
        }
        let status = PoolStatus(
            name: query.pool, kind: .nodeCIDR, range: AddressRange(pool.cluster), capacity: 0, allocated: 0,
            nodeMaskSize: length)
        return status.map(blocks, size: 1 << UInt128(shift))
    }
}

/// log2 of the shortest block of which `blocks` make up `size`.
private func blockShift(of size: UInt128, _ blocks: Int) -> Int {
    var shift = 0
    while (size >> UInt128(shift)) > UInt128(blocks) { shift += 1 }
    return shift
}

/// The same of a number of ports that is no power of two.
private func blockShift(ofPorts count: Int, _ blocks: Int) -> Int {
    var shift = 0
    while (count + 1 << shift - 1) >> shift > blocks { shift += 1 }
    return shift
}

/// Equal blocks of addresses over a range.
private struct Grid {
    let range: AddressRange
    let shift: Int

    /// As many blocks as `blocks` at most.
    init(_ range: AddressRange, blocks: Int) {
        self.range = range
        var shift = 0
        while (range.last.bits >> UInt128(shift)) - (range.first.bits >> UInt128(shift)) >= UInt128(blocks) {
            shift += 1
        }
        self.shift = shift
    }

    func block(of address: IPAddress) -> Int {
        Int((address.bits >> UInt128(shift)) - (range.first.bits >> UInt128(shift)))
    }

    var counts: [BlockCounts] { Array(repeating: BlockCounts(), count: block(of: range.last) + 1) }

    func map(_ status: PoolStatus, _ counts: [BlockCounts], _ cooling: [IPAddress]) -> CallResult {
        var coolingCounts = Array(repeating: UInt128(0), count: counts.count)
        for address in cooling where range.contains(address) { coolingCounts[block(of: address)] += 1 }
        let blocks = counts.indices.map { index in
            let start = ((range.first.bits >> UInt128(shift)) + UInt128(index)) << UInt128(shift)
            let (first, last) = (
                max(start, range.first.bits), min(start | (1 << UInt128(shift) - 1), range.last.bits)
            )
            return PoolStatus.Block(
                first: IPAddress(family: range.family, bits: first).description, counts[index],
                cooling: coolingCounts[index], of: last - first + 1)
        }
        return status.map(blocks, size: 1 << UInt128(shift))
    }
}

extension AddressPool {
    fileprivate func map(_ status: PoolStatus, _ cooling: [IPAddress], blocks: Int) -> CallResult {
        let grid = Grid(AddressRange(cidr), blocks: blocks)
        return grid.map(status, blockCounts(shift: grid.shift), cooling)
    }
}

extension PortPool {
    fileprivate func map(_ status: PoolStatus, blocks: Int) -> CallResult {
        let shift = blockShift(ofPorts: capacity, blocks)
        let counts = blockCounts(shift: shift)
        let shown = counts.indices.map { index in
            let size = min(1 << shift, capacity - (index << shift))
            return PoolStatus.Block(
                first: String(Int(range.lowerBound) + (index << shift)), counts[index], cooling: 0, of: UInt128(size))
        }
        return status.map(shown, size: 1 << UInt128(shift))
    }
}

extension PoolStatus.Block {
    /// What cools is taken in its pool. A change meanwhile may be in one figure and not in the other: none goes below 0.
    fileprivate init(first: String, _ counts: BlockCounts, cooling: UInt128, of size: UInt128) {
        let taken = min(counts.taken, size)
        let cooling = min(cooling, taken)
        let reserved = min(counts.reserved, size - taken)
        self.init(
            first: first, allocated: taken - cooling, coolingDown: cooling, reserved: reserved,
            free: size - taken - reserved)
    }
}

extension String {
    /// What stands between a beginning and an end.
    fileprivate func between(_ start: String, _ end: String) -> String? {
        guard hasPrefix(start), hasSuffix(end), utf8.count > start.utf8.count + end.utf8.count else { return nil }
        return String(dropFirst(start.count).dropLast(end.count))
    }
}

import Addressing
import Allocation
import TandemAPI

/// A pool by equal blocks: for a picture of it, whatever its size. Blocks are a power of two of addresses, subnets or ports long, and lie
/// on their multiples; the first and the last one go as far as the pool does.
extension Engine {
    /// O(memory of the pool + blocks).
    func getPoolMap(_ query: PoolMapQuery) -> Result<CallResult, APIError> {
        guard let map = poolMap(query) else {
            return .failure(
                APIError(
                    .notFound, reason: "NotFound",
                    "params.pool: there is no pool \"\(query.pool.cut(toBytes: 300))\"; GetPools names those there are")
            )
        }
        return .success(map.result)
    }

    private func poolMap(_ query: PoolMapQuery) -> PoolMap? {
        if let pool = pools.clusterIP.first(where: { pools.name($0) == query.pool }) {
            return pool.map(pools.description(pool), [], blocks: query.blocks)
        }
        if let pool = pools.loadBalancer.first(where: { pools.name($0) == query.pool }) {
            return map(pool, blocks: query.blocks)
        }
        if let pool = pools.nodeCIDR.first(where: { pools.name($0) == query.pool }) {
            return map(pool, blocks: query.blocks)
        }
        if query.pool == Pools.nodePorts { return pools.nodePorts.map { map($0, blocks: query.blocks) } }
        guard let (node, family) = node(ofPool: query.pool), let pool = node.pool(family) else { return nil }
        return pool.map(node.description(pool), node.cooling.addresses(family), blocks: query.blocks)
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

    private func map(_ pool: LoadBalancerPool, blocks: Int) -> PoolMap {
        let grid = Grid(pool.range, blocks: blocks)
        var counts = grid.counts
        for part in pool.parts {
            let first = grid.block(of: part.cidr.first)
            // A part that is no larger than a block lies in one.
            for (place, count) in part.blockCounts(shift: min(grid.shift, part.cidr.hostBits)).enumerated() {
                counts[first + place].taken += count.taken
                counts[first + place].reserved += count.reserved
            }
        }
        return grid.map(pools.description(pool), counts, [])
    }

    private func map(_ pool: SubnetPool, blocks: Int) -> PoolMap {
        let shift = blockShift(of: UInt128(1) << UInt128(pool.nodePrefixLength - pool.cluster.prefixLength), blocks)
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
            return PoolMap.Block(
                first: first?.description ?? "", counts[index], cooling: cooling[index], of: 1 << UInt128(shift))
        }
        return PoolMap(pools.description(pool), blockSize: 1 << UInt128(shift), blocks: blocks)
    }

    private func map(_ pool: PortPool, blocks: Int) -> PoolMap {
        let shift = blockShift(of: UInt128(pool.capacity), blocks)
        let counts = pool.blockCounts(shift: shift)
        let blocks = counts.indices.map { index in
            let size = min(1 << shift, pool.capacity - (index << shift))
            return PoolMap.Block(
                first: String(Int(pool.range.lowerBound) + (index << shift)), counts[index], cooling: 0,
                of: UInt128(size))
        }
        return PoolMap(pools.description(pool), blockSize: 1 << UInt128(shift), blocks: blocks)
    }
}

/// log2 of the shortest block of which `blocks` make up `size`, the last one as far as it goes.
private func blockShift(of size: UInt128, _ blocks: Int) -> Int {
    var shift = 0
    while ((size - 1) >> UInt128(shift)) >= UInt128(blocks) { shift += 1 }
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

    func map(_ pool: PoolDescription, _ counts: [BlockCounts], _ cooling: [IPAddress]) -> PoolMap {
        var coolingCounts = Array(repeating: UInt128(0), count: counts.count)
        for address in cooling where range.contains(address) { coolingCounts[block(of: address)] += 1 }
        let blocks = counts.indices.map { index in
            let start = ((range.first.bits >> UInt128(shift)) + UInt128(index)) << UInt128(shift)
            let (first, last) = (
                max(start, range.first.bits), min(start | (1 << UInt128(shift) - 1), range.last.bits)
            )
            return PoolMap.Block(
                first: IPAddress(family: range.family, bits: first).description, counts[index],
                cooling: coolingCounts[index], of: last - first + 1)
        }
        return PoolMap(pool, blockSize: 1 << UInt128(shift), blocks: blocks)
    }
}

extension AddressPool {
    fileprivate func map(_ pool: PoolDescription, _ cooling: [IPAddress], blocks: Int) -> PoolMap {
        let grid = Grid(AddressRange(cidr), blocks: blocks)
        return grid.map(pool, blockCounts(shift: grid.shift), cooling)
    }
}

extension PoolMap.Block {
    /// A cooling address is taken in its pool. A change meanwhile may be in one figure and not in the other: none goes below 0.
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
    /// The indices between a beginning and an end.
    fileprivate func between(_ start: String, _ end: String) -> String? {
        guard hasPrefix(start), hasSuffix(end), utf8.count > start.utf8.count + end.utf8.count else { return nil }
        return String(dropFirst(start.count).dropLast(end.count))
    }
}

internal import Addressing

/// How much of one of a pool's blocks is taken: neighbours, as many in each block. Counts of addresses, subnets or ports.
public struct BlockCounts: Sendable, Equatable {
    /// Taken, by any holder.
    public var taken: UInt128
    /// Kept back for good, or held by others.
    public var reserved: UInt128

    public init(taken: UInt128 = 0, reserved: UInt128 = 0) {
        (self.taken, self.reserved) = (taken, reserved)
    }
}

extension SlotSpace {
    /// `kept` are taken indices that count as kept back; excluded and taken indices count as taken.
    func blockCounts(shift: Int, blocks: Int, kept: Set<UInt64> = []) -> [BlockCounts] {
        let (taken, excluded) = counts(shift: shift, blocks: blocks)
        var counts = zip(taken, excluded).map { BlockCounts(taken: UInt128($0), reserved: $1) }
        for index in kept {
            let block = Int(index >> UInt64(shift))
            counts[block].taken -= min(1, counts[block].taken)
            counts[block].reserved += 1
        }
        return counts
    }
}

extension AddressPool {
    /// For each 2^shift addresses, from the range's start on. O(memory of the pool + blocks); a change meanwhile may be seen or not.
    ///
    /// - Parameter shift: 0 up to the range's host bits; as many blocks as they make are returned, so that few are to be asked for.
    public func blockCounts(shift: Int) -> [BlockCounts] {
        slots.blockCounts(shift: shift, blocks: 1 << (cidr.hostBits - shift), kept: reserved)
    }
}

extension SubnetPool {
    /// For each 2^shift subnets; otherwise as ``AddressPool/blockCounts(shift:)``.
    public func blockCounts(shift: Int) -> [BlockCounts] {
        slots.blockCounts(shift: shift, blocks: 1 << (nodePrefixLength - cluster.prefixLength - shift))
    }
}

extension PortPool {
    /// For each 2^shift ports from the range's start on, the last block as far as it goes; otherwise as
    /// ``AddressPool/blockCounts(shift:)``.
    public func blockCounts(shift: Int) -> [BlockCounts] {
        let blocks = (capacity + 1 << shift - 1) >> shift
        let all = max(blocks, (capacity + spare + 1 << shift - 1) >> shift)
        // The indices behind the range are taken from the start.
        var counts = slots.blockCounts(shift: shift, blocks: all)
        for index in capacity..<capacity + spare { counts[index >> shift].taken -= 1 }
        return Array(counts.prefix(blocks))
    }
}

import Addressing
import Allocation

/// The required behaviour of an address pool, by a set: slow and obvious.
struct SlowPool {
    let cidr: CIDR
    let reserved: Set<IPAddress>
    /// The first address that claims by search take while there are others.
    let floor: IPAddress
    var taken: Set<IPAddress> = []
    var excluded: [CIDR] = []

    init(_ cidr: CIDR, layout: AddressPool.Layout) {
        self.cidr = cidr
        var reserved: Set<IPAddress> = layout.hasEnds ? [] : [cidr.first]
        if cidr.family == .ipv4, !layout.hasEnds { reserved.insert(cidr.last) }
        if layout.hasGateway, let gateway = cidr.first.advanced(by: 1) { reserved.insert(gateway) }
        self.reserved = reserved
        let band: UInt128 = !layout.hasStaticBand || cidr.size <= 16 ? 0 : min(max(cidr.size / 16, 16), 256)
        floor = band == 0 ? cidr.first : cidr.first.advanced(by: 1 + band) ?? cidr.last
    }

    var capacity: UInt128 { cidr.size - UInt128(reserved.count) }

    mutating func claim(_ address: IPAddress) -> ClaimOutcome {
        if !cidr.contains(address) { return .outOfRange }
        if reserved.contains(address) { return .reserved }
        if isExcluded(address) { return .taken }
        return taken.insert(address).inserted ? .claimed : .taken
    }

    func state(of address: IPAddress) -> AllocationState {
        if !cidr.contains(address) { return .outOfRange }
        if reserved.contains(address) { return .reserved }
        return taken.contains(address) || isExcluded(address) ? .allocated : .free
    }

    /// Why a pool must not have answered `address` to a claim by search; nil when it may.
    mutating func objection(to address: IPAddress?, searching floor: IPAddress) -> String? {
        guard let address else {
            let free = freeCount(from: cidr.first, to: lastSearched)
            return free == 0 ? nil : "nil with \(free) free"
        }
        if address < floor, freeCount(from: floor, to: lastSearched) > 0 { return "\(address) is in the static band" }
        let outcome = claim(address)
        return outcome == .claimed ? nil : "\(address) was \(outcome)"
    }

    private func isExcluded(_ address: IPAddress) -> Bool { excluded.contains { $0.contains(address) } }

    /// Searches use the first 2^30 addresses.
    private var lastSearched: IPAddress { cidr.first.advanced(by: min(cidr.size, 1 << 30) - 1)! }

    /// How many addresses are excluded and not reserved.
    var excludedCount: UInt128 {
        excludedCount(from: cidr.first, to: cidr.last) - UInt128(reserved.count { isExcluded($0) })
    }

    private func excludedCount(from first: IPAddress, to last: IPAddress) -> UInt128 {
        // Ranges lie inside one another or apart: the outermost ones, once each.
        Set(excluded).filter { range in
            range.family == cidr.family && !excluded.contains { $0 != range && $0.contains(range) }
        }.reduce(0) { sum, range in
            let (low, high) = (max(range.first, first), min(range.last, last))
            return low > high ? sum : sum + (high.bits - low.bits + 1)
        }
    }

    private func freeCount(from first: IPAddress, to last: IPAddress) -> UInt128 {
        let others = taken.union(reserved).count { (first...last).contains($0) && !isExcluded($0) }
        return last.bits - first.bits + 1 - excludedCount(from: first, to: last) - UInt128(others)
    }

    /// The address that a claim in turn must give, with `next` as the first candidate. Only for pools that search everywhere.
    func next(from next: UInt128) -> IPAddress? {
        for step in 0..<cidr.size {
            guard let address = cidr.address(at: (next + step) % cidr.size) else { return nil }
            if state(of: address) == .free { return address }
        }
        return nil
    }
}

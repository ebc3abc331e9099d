import Addressing
import Allocation

/// What an address pool must do, said with a set: slow and obvious.
struct SlowPool {
    let cidr: CIDR
    let reserved: Set<IPAddress>
    /// The first address that claims by search take while there are others.
    let floor: IPAddress
    var taken: Set<IPAddress> = []

    init(_ cidr: CIDR, layout: AddressPool.Layout) {
        self.cidr = cidr
        var reserved: Set<IPAddress> = [cidr.first]
        if cidr.family == .ipv4 { reserved.insert(cidr.last) }
        if layout.hasGateway, let gateway = cidr.first.advanced(by: 1) { reserved.insert(gateway) }
        self.reserved = reserved
        let band: UInt128 = !layout.hasStaticBand || cidr.size <= 16 ? 0 : min(max(cidr.size / 16, 16), 256)
        floor = band == 0 ? cidr.first : cidr.first.advanced(by: 1 + band) ?? cidr.last
    }

    var capacity: UInt128 { cidr.size - UInt128(reserved.count) }

    mutating func claim(_ address: IPAddress) -> ClaimOutcome {
        if !cidr.contains(address) { return .outOfRange }
        if reserved.contains(address) { return .reserved }
        return taken.insert(address).inserted ? .claimed : .taken
    }

    func state(of address: IPAddress) -> AllocationState {
        if !cidr.contains(address) { return .outOfRange }
        if reserved.contains(address) { return .reserved }
        return taken.contains(address) ? .allocated : .free
    }

    /// Why a pool must not have answered `address` to a claim by search; nil when it may.
    mutating func objection(to address: IPAddress?, searching floor: IPAddress) -> String? {
        guard let address else {
            return UInt128(taken.count) == capacity ? nil : "nil with \(capacity - UInt128(taken.count)) free"
        }
        if address < floor {
            let takenAbove = UInt128((taken.union(reserved)).count { $0 >= floor })
            if cidr.last.bits - floor.bits + 1 > takenAbove { return "\(address) is in the static band" }
        }
        let outcome = claim(address)
        return outcome == .claimed ? nil : "\(address) was \(outcome)"
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

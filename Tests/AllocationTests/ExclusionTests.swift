import Addressing
import Allocation
import TestSupport
import Testing

/// Pools that pass over excluded ranges.
@Suite struct ExclusionTests {
    /// Ranges that overlap `space` in every way, or do not.
    private static func randomRanges(around space: CIDR, using random: inout SeededGenerator) -> [CIDR] {
        let bits = space.family.addressBits
        return (0..<Int.random(in: 0...6, using: &random)).map { _ in
            func inside(_ length: Int) -> CIDR {
                let offset: UInt128 =
                    switch Int.random(in: 0..<3, using: &random) {
                    case 0: UInt128(random.next() % 600)
                    case 1: space.size - 1 - min(space.size - 1, UInt128(random.next() % 600))
                    default:
                        UInt128.random(in: 0..<space.size, using: &random) >> UInt128.random(in: 0...64, using: &random)
                    }
                return CIDR(containing: space.address(at: min(offset, space.size - 1))!, prefixLength: length)
            }
            switch Int.random(in: 0..<16, using: &random) {
            case 0: return space
            case 1: return inside(Int.random(in: 0...space.prefixLength, using: &random))
            case 2:
                let other = space.family.other
                return CIDR(
                    containing: IPAddress(family: other, bits: UInt128(random.next() % 1 << 32)), prefixLength: 8)
            case 3:
                // Outside, where there is an outside.
                let bits = (space.first.bits ^ space.size) & IPAddress.maximumBits(of: space.family)
                let outside = IPAddress(family: space.family, bits: bits)
                return CIDR(
                    containing: outside,
                    prefixLength: Int.random(in: space.prefixLength...space.family.addressBits, using: &random))
            case 4...6: return inside(min(space.prefixLength + Int.random(in: 1...3, using: &random), bits))
            default: return inside(Int.random(in: space.prefixLength...bits, using: &random))
            }
        }
    }

    @Test(arguments: AddressPoolTests.ranges, AddressPoolTests.layouts)
    func anAddressPoolAgreesWithTheSlowTwin(_ range: String, _ layout: AddressPool.Layout) throws {
        let cidr = try CIDR(parsing: range)
        for seed in UInt64(1)...3 {
            var random = SeededGenerator(seed: seed)
            let pool = AddressPool(cidr, layout: layout)
            var twin = SlowPool(cidr, layout: layout)
            func randomAddress() -> IPAddress {
                let near = (twin.excluded + [cidr]).randomElement(using: &random)!
                let edge = Bool.random(using: &random) ? near.first.bits : near.last.bits
                let bits = edge &+ UInt128.random(in: 0...4, using: &random) &- 2
                return IPAddress(family: near.family, bits: bits & IPAddress.maximumBits(of: near.family))
            }
            for step in 0..<400 {
                let context: Comment = "\(range) \(layout), seed \(seed), step \(step), \(twin.excluded)"
                switch Int.random(in: 0..<12, using: &random) {
                case 0...2:
                    let address = pool.claim(startingAt: random.next())
                    #expect(twin.objection(to: address, searching: twin.floor) == nil, context)
                case 3...4:
                    let address = pool.claimNext()
                    #expect(twin.objection(to: address, searching: cidr.first) == nil, context)
                case 5...6:
                    let address = randomAddress()
                    #expect(pool.claim(address) == twin.claim(address), context)
                case 7...8:
                    let address = Bool.random(using: &random) ? twin.taken.randomElement(using: &random) : nil
                    let target = address ?? randomAddress()
                    #expect(pool.release(target) == (twin.taken.remove(target) != nil), context)
                case 9...10:
                    let address = randomAddress()
                    #expect(pool.state(of: address) == twin.state(of: address), context)
                default:
                    guard step % 8 == 0 else { continue }
                    twin.excluded = Self.randomRanges(around: cidr, using: &random)
                    pool.setExcluded(twin.excluded)
                    #expect(pool.excludedCount == twin.excludedCount, context)
                }
            }
            var seen: Set<IPAddress> = []
            pool.forEachAllocated { seen.insert($0) }
            #expect(seen == twin.taken, "\(range), seed \(seed)")
            #expect(pool.allocatedCount == seen.count)
            pool._checkInvariants()
            pool.setExcluded([])
            for address in seen { #expect(pool.release(address)) }
            #expect(pool.allocatedCount == 0)
            #expect(pool.excludedCount == 0)
            pool._checkInvariants()
        }
    }

    /// Claims in turn go on behind the excluded range, and from the start again.
    @Test(arguments: ["10.0.0.4/30", "10.1.2.0/24", "10.96.0.0/19", "fd00::/126", "fd00::/115"])
    func inTurnPassesOver(_ range: String) throws {
        let cidr = try CIDR(parsing: range)
        for seed in UInt64(1)...4 {
            var random = SeededGenerator(seed: seed)
            let pool = AddressPool(cidr, layout: .pods)
            var twin = SlowPool(cidr, layout: .pods)
            var next: UInt128 = 0
            while let address = pool.claim(startingAt: random.next()) { twin.taken.insert(address) }
            for step in 0..<200 {
                switch Int.random(in: 0..<8, using: &random) {
                case 0:
                    twin.excluded = Self.randomRanges(around: cidr, using: &random)
                    pool.setExcluded(twin.excluded)
                case 1...4:
                    guard let address = twin.taken.randomElement(using: &random) else { continue }
                    twin.taken.remove(address)
                    #expect(pool.release(address))
                default:
                    let expected = twin.next(from: next)
                    #expect(pool.claimNext() == expected, "\(range), seed \(seed), step \(step), \(twin.excluded)")
                    if let expected {
                        twin.taken.insert(expected)
                        next = (expected.bits - cidr.first.bits + 1) % cidr.size
                    }
                }
            }
        }
    }

    @Test(arguments: ["10.0.0.16/28", "10.1.2.0/24", "10.64.0.0/12", "fd00::/112", "fd00::/64"])
    func isFullAtOnceWhereAllIsExcluded(_ range: String) throws {
        let cidr = try CIDR(parsing: range)
        let everything = CIDR(containing: cidr.first, prefixLength: 0)
        let pool = AddressPool(cidr, layout: .services)
        for _ in 0..<2 {
            pool.setExcluded([everything])
            #expect(pool.excludedCount == pool.capacity)
            for seed in UInt64(0)..<1_000 { #expect(pool.claim(startingAt: seed << 54) == nil) }
            #expect(pool.claimNext() == nil)
            // Where it can be searched, it is; and an exclusion leaves no trace in a wide pool's window.
            pool.setExcluded([])
            let address = try #require(pool.claim(startingAt: .max))
            let span = cidr.size > 1 << 24 ? 4_096 : cidr.size
            #expect(try #require(cidr.offset(of: address)) < span)
            #expect(pool.release(address))
        }
    }

    /// The last free address is found however little of the range is left, and "full" is said when it is gone.
    @Test(arguments: [
        ("10.64.0.0/14", ["10.64.0.0/15", "10.66.0.0/16", "10.67.0.64/26"]),
        ("fd00::/112", ["fd00::/113", "fd00::8001/128", "fd00::ff00/120"]),
        ("fd00::/64", ["fd00::/106", "fd00::40:0/107", "fd00::8000:0/97"]),
    ])
    func fillsTheGaps(_ range: String, _ held: [String]) throws {
        let cidr = try CIDR(parsing: range)
        let pool = AddressPool(cidr, layout: .loadBalancers)
        let excluded = try held.map { try CIDR(parsing: $0) }
        pool.setExcluded(excluded)
        var random = SeededGenerator(seed: 5)
        let free = min(100_000, pool.capacity - pool.excludedCount)
        var seen: Set<IPAddress> = []
        for _ in 0..<free {
            let address = try #require(pool.claim(startingAt: random.next()))
            guard seen.insert(address).inserted, !excluded.contains(where: { $0.contains(address) }) else {
                Issue.record("\(address) is not free")
                return
            }
        }
        pool._checkInvariants()
        guard free < 100_000 else { return }
        #expect(pool.claim(startingAt: random.next()) == nil)
        let again = try #require(seen.randomElement(using: &random))
        #expect(pool.release(again))
        #expect(pool.claimNext() == again)
    }

    /// Each address that is left gets its share of the draws, also the one behind a large range that is not.
    @Test func drawsEvenlyAmongWhatIsLeft() throws {
        let pool = AddressPool(try CIDR(parsing: "10.1.2.0/24"), layout: .services)
        pool.setExcluded([try CIDR(parsing: "10.1.2.64/26"), try CIDR(parsing: "10.1.2.200/32")])
        var random = SeededGenerator(seed: 3)
        var counts: [IPAddress: Int] = [:]
        let places = 254 - 16 - 64 - 1
        for _ in 0..<places * 400 {
            let address = try #require(pool.claim(startingAt: random.next()))
            counts[address, default: 0] += 1
            pool.release(address)
        }
        #expect(counts.count == places)
        // The first place takes the draws of the last one, which is reserved, too.
        #expect(counts.values.count { !(280...520).contains($0) } <= 1)
    }

    @Test(arguments: [
        ("10.244.0.0/16", 24), ("10.0.0.0/8", 24), ("10.244.0.0/16", 16), ("10.244.0.0/22", 24), ("0.0.0.0/0", 32),
        ("fd00:10:244::/56", 64), ("fd00:10:244::/48", 64), ("fd00::/8", 64), ("fd00::/64", 128), ("::/0", 128),
    ])
    func aSubnetPoolAgreesWithTheSlowTwin(_ range: String, _ length: Int) throws {
        let cluster = try CIDR(parsing: range)
        for seed in UInt64(1)...4 {
            var random = SeededGenerator(seed: seed)
            let pool = SubnetPool(cluster: cluster, nodePrefixLength: length)
            var taken: Set<CIDR> = []
            var excluded: [CIDR] = []
            func isExcluded(_ subnet: CIDR) -> Bool { excluded.contains { $0.overlaps(subnet) } }
            func isCovered(_ range: CIDR, cuts: Int = 8) -> Bool {
                if excluded.contains(where: { $0.contains(range) }) { return true }
                let length = range.prefixLength + 1
                return cuts > 0
                    && (0..<2).allSatisfy { isCovered(range.subnet(at: $0, prefixLength: length)!, cuts: cuts - 1) }
            }
            func randomSubnet() -> CIDR {
                let near = excluded.filter { cluster.contains($0) }.randomElement(using: &random) ?? cluster
                let edge = Bool.random(using: &random) ? near.first : near.last
                let subnet = CIDR(containing: edge, prefixLength: length)
                let index = cluster.indexOfSubnet(subnet)! &+ UInt128.random(in: 0...2, using: &random) &- 1
                return cluster.subnet(at: index, prefixLength: length) ?? subnet
            }
            /// The subnet of a small cluster that is next in turn.
            func next(from next: UInt128) -> CIDR? {
                (0..<pool.capacity).lazy
                    .compactMap { cluster.subnet(at: (next + $0) % pool.capacity, prefixLength: length) }
                    .first { !taken.contains($0) && !isExcluded($0) }
            }
            var place: UInt128 = 0
            for step in 0..<600 {
                let context: Comment = "\(range) by /\(length), seed \(seed), step \(step), \(excluded)"
                switch Int.random(in: 0..<6, using: &random) {
                case 0...1:
                    let subnet = pool.claimNext()
                    if pool.capacity <= 256 { #expect(subnet == next(from: place), context) }
                    guard let subnet else {
                        let searched = CIDR(
                            containing: cluster.first,
                            prefixLength: max(cluster.prefixLength, length - 30))
                        #expect(pool.capacity <= 256 || isCovered(searched), context)
                        continue
                    }
                    #expect(cluster.contains(subnet) && !isExcluded(subnet) && taken.insert(subnet).inserted, context)
                    place = cluster.indexOfSubnet(subnet)! &+ 1
                case 2:
                    let subnet = randomSubnet()
                    let isFree = !isExcluded(subnet) && taken.insert(subnet).inserted
                    #expect(pool.claim(subnet) == (isFree ? .claimed : .taken), context)
                case 3:
                    let subnet = Bool.random(using: &random) ? taken.randomElement(using: &random) : nil
                    let target = subnet ?? randomSubnet()
                    #expect(pool.release(target) == (taken.remove(target) != nil), context)
                case 4 where step % 8 == 0:
                    excluded = Self.randomRanges(around: cluster, using: &random)
                    pool.setExcluded(excluded)
                    if pool.capacity <= 256 {
                        let all = (0..<pool.capacity).map { cluster.subnet(at: $0, prefixLength: length)! }
                        #expect(pool.excludedCount == UInt128(all.count { isExcluded($0) }), context)
                    }
                default:
                    let subnet = randomSubnet()
                    let isFree = !taken.contains(subnet) && !isExcluded(subnet)
                    #expect(pool.state(of: subnet) == (isFree ? .free : .allocated), context)
                }
            }
            var seen: Set<CIDR> = []
            pool.forEachAllocated { seen.insert($0) }
            #expect(seen == taken)
            pool._checkInvariants()
        }
    }
}

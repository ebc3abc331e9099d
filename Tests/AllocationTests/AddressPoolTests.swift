import Addressing
import Allocation
import TestSupport
import Testing

@Suite struct AddressPoolTests {
    static let ranges = [
        "10.0.0.4/30", "10.0.0.8/29", "10.0.0.16/28", "10.0.0.32/27", "10.0.0.0/26", "10.0.1.0/25", "10.1.2.0/24",
        "10.2.0.0/23",
        "10.96.0.0/20", "10.97.0.0/19", "10.64.0.0/13", "10.0.0.0/8", "fd00::/126", "fd00::10/125", "fd00::40/122",
        "fd00::1000/116", "fd00:0:0:1::/112", "fd00:10:96::/108", "fd00::/98", "fd00::/97", "2001:db8:1:2::/64",
        "2001:db8::/48", "fd00::/8",
    ]

    static let layouts: [AddressPool.Layout] = [.services, .pods, .loadBalancers, .whole]
    /// Properties that only a pool that keeps nothing back can have.
    static let shortRanges = ["10.0.0.4/32", "10.0.0.6/31", "fd00::7/128", "fd00::8/127"]

    /// Random operations of all kinds, most of them in the places where mistakes are made: the ends, the band, word edges.
    @Test(arguments: ranges, layouts)
    func agreesWithTheSlowTwin(_ range: String, _ layout: AddressPool.Layout) throws {
        try agreesWithTheSlowTwin(try CIDR(parsing: range), layout)
    }

    @Test(arguments: shortRanges)
    func handsOutTheEndsOfWhatIsNoSubnet(_ range: String) throws {
        let pool = AddressPool(try CIDR(parsing: range), layout: .whole)
        #expect(pool.capacity == pool.cidr.size)
        try agreesWithTheSlowTwin(pool.cidr, .whole)
    }

    private func agreesWithTheSlowTwin(_ cidr: CIDR, _ layout: AddressPool.Layout) throws {
        let range = cidr.description
        for seed in UInt64(1)...3 {
            var random = SeededGenerator(seed: seed)
            let pool = AddressPool(cidr, layout: layout)
            var twin = SlowPool(cidr, layout: layout)
            #expect(pool.capacity == twin.capacity)
            func randomAddress() -> IPAddress {
                let span = cidr.size - 1
                let offset: UInt128 =
                    switch Int.random(in: 0..<5, using: &random) {
                    case 0: UInt128(random.next() % 300)
                    case 1: span - min(span, UInt128(random.next() % 300))
                    case 2: 1 << UInt128.random(in: 0...UInt128(cidr.hostBits), using: &random)
                    default: UInt128.random(in: 0...span, using: &random)
                    }
                return IPAddress(
                    family: cidr.family, bits: (cidr.first.bits &+ offset) & IPAddress.maximumBits(of: cidr.family))
            }
            for step in 0..<1_500 {
                let context: Comment = "\(range) \(layout), seed \(seed), step \(step)"
                switch Int.random(in: 0..<10, using: &random) {
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
                default:
                    let address = randomAddress()
                    #expect(pool.state(of: address) == twin.state(of: address), context)
                }
            }
            #expect(pool.allocatedCount == twin.taken.count, "\(range), seed \(seed)")
            var seen: Set<IPAddress> = []
            pool.forEachAllocated { #expect(seen.insert($0).inserted, "\(range), seed \(seed)") }
            #expect(seen == twin.taken, "\(range), seed \(seed)")
            pool._checkInvariants()
            for address in seen { #expect(pool.release(address)) }
            #expect(pool.allocatedCount == 0)
            pool._checkInvariants()
        }
    }

    @Test(arguments: [
        "10.0.0.4/30", "10.0.0.16/28", "10.1.2.0/24", "10.96.0.0/20", "10.64.0.0/14", "fd00::/126", "fd00::/112",
    ])
    func fillsToTheLastAddressAndEmptiesAgain(_ range: String) throws {
        let cidr = try CIDR(parsing: range)
        for layout in Self.layouts {
            let pool = AddressPool(cidr, layout: layout)
            var random = SeededGenerator(seed: 7)
            for _ in 0..<2 {
                var held: [IPAddress] = []
                for _ in 0..<pool.capacity { held.append(try #require(pool.claim(startingAt: random.next()))) }
                #expect(Set(held).count == held.count)
                #expect(pool.claim(startingAt: random.next()) == nil)
                #expect(pool.claimNext() == nil)
                #expect(UInt128(pool.allocatedCount) == pool.capacity)
                pool._checkInvariants()
                let again = held.remove(at: Int.random(in: 0..<held.count, using: &random))
                #expect(pool.release(again))
                #expect(pool.claim(startingAt: random.next()) == again)
                #expect(pool.release(again))
                #expect(pool.claimNext() == again)
                held.append(again)
                held.shuffle(using: &random)
                for address in held { #expect(pool.release(address)) }
                #expect(!pool.release(again))
                #expect(pool.allocatedCount == 0)
                pool._checkInvariants()
            }
        }
    }

    @Test(arguments: ["10.0.0.4/30", "10.1.2.0/24", "10.96.0.0/19", "fd00::/126", "fd00::/115"])
    func inTurnMeansTheFirstFreeOneAfterTheLast(_ range: String) throws {
        let cidr = try CIDR(parsing: range)
        for seed in UInt64(1)...4 {
            var random = SeededGenerator(seed: seed)
            let pool = AddressPool(cidr, layout: .pods)
            var twin = SlowPool(cidr, layout: .pods)
            var next: UInt128 = 0
            // Full but for a few, so that the twin's walk, and the pool's, is a long one.
            while UInt128(twin.taken.count) + 5 < twin.capacity {
                let address = try #require(pool.claim(startingAt: random.next()))
                twin.taken.insert(address)
            }
            for step in 0..<200 {
                if Bool.random(using: &random), let address = twin.taken.randomElement(using: &random) {
                    twin.taken.remove(address)
                    #expect(pool.release(address))
                } else {
                    let expected = twin.next(from: next)
                    #expect(pool.claimNext() == expected, "\(range), seed \(seed), step \(step)")
                    if let expected {
                        twin.taken.insert(expected)
                        next = (expected.bits - cidr.first.bits + 1) % cidr.size
                    }
                }
            }
        }
    }

    @Test(arguments: [
        ("10.96.0.0/20", 4094, 256), ("10.96.0.0/24", 254, 16), ("10.96.0.0/28", 14, 0), ("10.96.0.0/27", 30, 16),
        ("10.96.0.0/23", 510, 32), ("10.0.0.0/8", 16_777_214, 256), ("fd00::/112", 65_535, 256), ("fd00::/126", 3, 0),
        ("fd00::/120", 255, 16),
    ])
    func capacityAndBandAreThoseOfKubernetes(_ range: String, _ capacity: UInt128, _ band: Int) throws {
        let pool = AddressPool(try CIDR(parsing: range), layout: .services)
        #expect(pool.capacity == capacity)
        #expect(pool.staticBandSize == band)
        #expect(AddressPool(pool.cidr, layout: .loadBalancers).staticBandSize == 0)
    }

    @Test func widePoolsKnowTheirCapacity() throws {
        #expect(AddressPool(try CIDR(parsing: "fd00::/64"), layout: .services).capacity == 1 << 64 - 1)
        #expect(AddressPool(try CIDR(parsing: "fd00::/64"), layout: .pods).capacity == 1 << 64 - 2)
        #expect(AddressPool(try CIDR(parsing: "fd00::/8"), layout: .services).capacity == 1 << 120 - 1)
    }

    @Test(arguments: ["10.96.0.0/24", "10.96.0.0/20", "fd00::/112"])
    func theStaticBandIsUsedLast(_ range: String) throws {
        let cidr = try CIDR(parsing: range)
        let pool = AddressPool(cidr, layout: .services)
        let band = UInt128(pool.staticBandSize)
        var random = SeededGenerator(seed: 11)
        for _ in 0..<pool.capacity - band {
            let address = try #require(pool.claim(startingAt: random.next()))
            #expect(try #require(cidr.offset(of: address)) > band)
        }
        for _ in 0..<band {
            let address = try #require(pool.claim(startingAt: random.next()))
            #expect(try #require(cidr.offset(of: address)) <= band)
        }
        #expect(pool.claim(startingAt: random.next()) == nil)
        // One free in the band, one above it: the one above.
        let below = try #require(cidr.address(at: band))
        let above = try #require(cidr.address(at: band + 1))
        #expect(pool.release(below))
        #expect(pool.release(above))
        #expect(pool.claim(startingAt: 0) == above)
        #expect(pool.claim(startingAt: 0) == below)
    }

    @Test func whatIsReserved() throws {
        let ipv4 = AddressPool(try CIDR(parsing: "10.244.1.0/24"), layout: .pods)
        #expect(ipv4.gateway?.description == "10.244.1.1")
        let ipv6 = AddressPool(try CIDR(parsing: "fd00:244:1::/64"), layout: .pods)
        #expect(ipv6.gateway?.description == "fd00:244:1::1")
        #expect(AddressPool(ipv4.cidr, layout: .services).gateway == nil)
        for text in ["10.244.1.0", "10.244.1.1", "10.244.1.255"] {
            let address = try #require(IPAddress(text))
            #expect(ipv4.claim(address) == .reserved)
            #expect(ipv4.state(of: address) == .reserved)
            #expect(!ipv4.release(address))
            #expect(ipv4.claim(address) == .reserved)
        }
        #expect(ipv6.claim(ipv6.cidr.first) == .reserved)
        #expect(ipv6.claim(ipv6.cidr.last) == .claimed)
        for text in ["10.244.0.255", "10.244.2.0", "::10.244.1.7", "fd00:244:1::7"] {
            let address = try #require(IPAddress(text))
            #expect(ipv4.claim(address) == .outOfRange)
            #expect(ipv4.state(of: address) == .outOfRange)
            #expect(!ipv4.release(address))
        }
        #expect(ipv4.allocatedCount == 0)
    }

    @Test func anAddressAskedForMayLieAnywhereInAWideRange() throws {
        let cidr = try CIDR(parsing: "2001:db8::/32")
        for seed in UInt64(1)...3 {
            var random = SeededGenerator(seed: seed)
            let pool = AddressPool(cidr, layout: .services)
            var addresses: Set<IPAddress> = [cidr.last]
            while addresses.count < 5_000 {
                let offset =
                    UInt128.random(in: 1..<cidr.size, using: &random) >> UInt128.random(in: 0...90, using: &random)
                if offset > 0, let address = cidr.address(at: offset) { addresses.insert(address) }
            }
            for address in addresses { #expect(pool.claim(address) == .claimed, "seed \(seed)") }
            for address in addresses { #expect(pool.claim(address) == .taken, "seed \(seed)") }
            #expect(pool.allocatedCount == addresses.count)
            for address in addresses { #expect(pool.release(address), "seed \(seed)") }
            for address in addresses { #expect(pool.state(of: address) == .free, "seed \(seed)") }
            #expect(pool.allocatedCount == 0)
        }
    }

    /// Addresses given out by searches in a wide range stay together, so that memory follows use.
    @Test(arguments: ["fd00::/64", "fd00::/8", "fd00::/100"])
    func searchesOfAWideRangeStayInADenseWindow(_ range: String) throws {
        let cidr = try CIDR(parsing: range)
        for layout in Self.layouts {
            let pool = AddressPool(cidr, layout: layout)
            var random = SeededGenerator(seed: 3)
            for count in UInt128(1)...40_000 {
                let address = try #require(layout == .pods ? pool.claimNext() : pool.claim(startingAt: random.next()))
                let bound = max(4096, count * 4)
                guard try #require(cidr.offset(of: address)) < bound else {
                    Issue.record("\(address) is number \(count)")
                    break
                }
            }
            pool._checkInvariants()
        }
    }

    /// Claims spread evenly, so that services are not all neighbours: each sixteenth of the range gets its share.
    @Test func searchesSpreadOverTheRange() throws {
        let cidr = try CIDR(parsing: "10.96.0.0/16")
        let pool = AddressPool(cidr, layout: .services)
        var random = SeededGenerator(seed: 5)
        var counts = [Int](repeating: 0, count: 16)
        for _ in 0..<16_000 {
            let address = try #require(pool.claim(startingAt: random.next()))
            counts[Int(try #require(cidr.offset(of: address)) >> 12)] += 1
        }
        #expect(counts.allSatisfy { (800...1_200).contains($0) }, "\(counts)")
    }

    /// Address by address: neither the static band's end nor the words around it get more or less than their share.
    @Test(arguments: ["10.1.2.0/24", "10.1.0.0/22", "fd00::/120"])
    func drawsEvenly(_ range: String) throws {
        let pool = AddressPool(try CIDR(parsing: range), layout: .services)
        var random = SeededGenerator(seed: 11)
        var counts: [IPAddress: Int] = [:]
        let places = Int(pool.capacity) - pool.staticBandSize
        for _ in 0..<places * 400 {
            let address = try #require(pool.claim(startingAt: random.next()))
            counts[address, default: 0] += 1
            pool.release(address)
        }
        #expect(counts.count == places)
        // 400 each, give or take six standard deviations; a reserved place passes its draws on to the next.
        #expect(counts.values.allSatisfy { (280...520).contains($0) || (680...920).contains($0) })
        #expect(counts.values.count { $0 > 520 } <= 1)
    }
}

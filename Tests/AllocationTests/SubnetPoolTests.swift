import Addressing
import Allocation
import TestSupport
import Testing

@Suite struct SubnetPoolTests {
    @Test(arguments: [
        ("10.244.0.0/16", 24), ("10.0.0.0/8", 24), ("10.244.0.0/16", 16), ("10.244.0.0/22", 24),
        ("fd00:10:244::/56", 64),
        ("fd00:10:244::/48", 64), ("fd00::/8", 64), ("fd00::/64", 128), ("fd00::/16", 48),
    ])
    func agreesWithTheSlowTwin(_ range: String, _ length: Int) throws {
        let cluster = try CIDR(parsing: range)
        for seed in UInt64(1)...5 {
            var random = SeededGenerator(seed: seed)
            let pool = SubnetPool(cluster: cluster, nodePrefixLength: length)
            var taken: Set<CIDR> = []
            #expect(pool.capacity == cluster.subnetCount(prefixLength: length))
            func randomSubnet() throws -> CIDR {
                let last = pool.capacity - 1
                let index: UInt128 =
                    switch Int.random(in: 0..<4, using: &random) {
                    case 0: min(last, UInt128(random.next() % 70))
                    case 1: last - min(last, UInt128(random.next() % 70))
                    default: UInt128.random(in: 0...last, using: &random)
                    }
                return try #require(cluster.subnet(at: index, prefixLength: length))
            }
            for step in 0..<500 {
                let context: Comment = "\(range) by /\(length), seed \(seed), step \(step)"
                switch Int.random(in: 0..<6, using: &random) {
                case 0...1:
                    if let subnet = pool.claimNext() {
                        #expect(subnet.prefixLength == length && cluster.contains(subnet), context)
                        #expect(taken.insert(subnet).inserted, context)
                    } else {
                        #expect(UInt128(taken.count) == pool.capacity, context)
                    }
                case 2:
                    let subnet = try randomSubnet()
                    #expect(pool.claim(subnet) == (taken.insert(subnet).inserted ? .claimed : .taken), context)
                case 3:
                    let held = Bool.random(using: &random) ? taken.randomElement(using: &random) : nil
                    let subnet = try held ?? randomSubnet()
                    #expect(pool.release(subnet) == (taken.remove(subnet) != nil), context)
                default:
                    let subnet = try randomSubnet()
                    #expect(pool.state(of: subnet) == (taken.contains(subnet) ? .allocated : .free), context)
                }
            }
            #expect(pool.allocatedCount == taken.count)
            var seen: Set<CIDR> = []
            pool.forEachAllocated { seen.insert($0) }
            #expect(seen == taken)
            pool._checkInvariants()
        }
    }

    @Test func goesRoundInOrderFromTheLowestToExhaustion() throws {
        let cluster = try CIDR(parsing: "10.244.0.0/16")
        let pool = SubnetPool(cluster: cluster, nodePrefixLength: 24)
        let all = (0..<UInt128(256)).compactMap { cluster.subnet(at: $0, prefixLength: 24) }
        for subnet in all { #expect(pool.claimNext() == subnet) }
        #expect(pool.claimNext() == nil)
        #expect(pool.release(all[255]))
        #expect(pool.release(all[0]))
        #expect(pool.release(all[7]))
        #expect(pool.claimNext() == all[0])
        #expect(pool.claimNext() == all[7])
        #expect(pool.claimNext() == all[255])
        #expect(pool.claimNext() == nil)
    }

    @Test func onlyItsOwnSubnetsAreInRange() throws {
        let pool = SubnetPool(cluster: try CIDR(parsing: "fd00:10:200::/40"), nodePrefixLength: 64)
        for text in ["fd00:10:300::/64", "fd00:10:244::/63", "fd00:10:244::/65", "fd00:10::/32", "10.244.0.0/24"] {
            let subnet = try CIDR(parsing: text)
            #expect(pool.claim(subnet) == .outOfRange, "\(text)")
            #expect(pool.state(of: subnet) == .outOfRange, "\(text)")
            #expect(!pool.release(subnet), "\(text)")
        }
        for text in ["fd00:10:200::/64", "fd00:10:2ff:ffff::/64"] {
            let subnet = try CIDR(parsing: text)
            #expect(pool.claim(subnet) == .claimed)
            #expect(pool.claim(subnet) == .taken)
            #expect(pool.state(of: subnet) == .allocated)
        }
        #expect(pool.claimNext()?.description == "fd00:10:200:1::/64")
    }
}

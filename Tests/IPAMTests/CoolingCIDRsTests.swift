import Addressing
import Synchronization
import TestSupport
import Testing

@testable import IPAM

@Suite("Pod CIDRs that cool")
struct CoolingCIDRsTests {
    /// Of two ranges; addresses of neither are the most.
    private static let clusters = [CIDR("10.0.0.0/16")!, CIDR("10.1.0.0/16")!]

    /// How often a CIDR's range was asked for.
    private final class Looks: Sendable {
        let count = Atomic<Int>(0)

        @Sendable
        func range(_ cidr: CIDR) -> Int? {
            count.wrappingAdd(1, ordering: .relaxed)
            return clusters.firstIndex { $0.contains(cidr) && cidr.prefixLength == 24 }
        }
    }

    private static func cidr(_ second: Int, _ third: Int, _ length: Int = 24) -> CIDR {
        CIDR(containing: IPAddress("10.\(second).\(third).0")!, prefixLength: length)
    }

    @Test("are counted, claimed and thawed like a list that is searched throughout", arguments: seeds)
    func agreesWithList(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var cooling = CoolingCIDRs(ranges: 2, range: Looks().range)
        var twin: [CIDR: CoolingCIDR] = [:]
        var claimed: [CIDR: UInt64] = [:]
        func range(_ cidr: CIDR) -> Int? { Looks().range(cidr) }
        for step in 0..<2_000 {
            let context: Comment = "seed \(seed), step \(step)"
            let cidr = Self.cidr(
                .random(in: 0..<3, using: &random), .random(in: 0..<8, using: &random),
                [24, 25].randomElement(using: &random)!)
            switch Int.random(in: 0..<8, using: &random) {
            case 0...2:
                let new = CoolingCIDR(node: "n", end: .random(in: 0..<50, using: &random), version: UInt64(step))
                cooling.add(cidr, new)
                twin[cidr] = new
                claimed[cidr] = nil
            case 3:
                #expect(cooling.remove(cidr)?.version == twin.removeValue(forKey: cidr)?.version, context)
                claimed[cidr] = nil
            case 4:
                let expected = claimed[cidr] == nil ? twin[cidr]?.version : nil
                #expect(cooling.claim(cidr) == expected, context)
                if let expected { claimed[cidr] = expected }
            case 5...6:
                let wanted = [[0], [1], [0, 1]].randomElement(using: &random)!
                let oldest = twin.filter { entry in
                    claimed[entry.key] == nil && range(entry.key).map(wanted.contains) ?? false
                }.min { ($0.value.end, $0.key) < ($1.value.end, $1.key) }
                let found = cooling.claimOldest(of: wanted)
                #expect(found?.cidr == oldest?.key && found?.version == oldest?.value.version, context)
                if let found { claimed[found.cidr] = found.version }
            default:
                guard let (cidr, version) = claimed.min(by: { $0.key < $1.key }) else { continue }
                // One of long ago gives nothing back.
                cooling.giveBack(cidr, version &+ 1_000_000)
                cooling.giveBack(cidr, version)
                claimed[cidr] = nil
            }
            for place in 0..<2 { #expect(cooling.count(of: place) == twin.keys.count { range($0) == place }, context) }
            let ready = twin.filter { $0.value.end <= 25 && claimed[$0.key] == nil }.keys.sorted()
            #expect(cooling.ready(25, limit: .max).map(\.cidr).sorted() == ready, context)
            #expect(cooling.ready(25, limit: 3).count == min(3, ready.count), context)
        }
    }

    @Test("the oldest of a range is found, and those of a range are counted, without a look at the others")
    func looksAtFew() {
        let looks = Looks()
        var cooling = CoolingCIDRs(ranges: 2, range: looks.range)
        for index in 0..<10_000 {
            let cidr = Self.cidr(2 + index / 256, index % 256)
            cooling.add(cidr, CoolingCIDR(node: "n", end: index, version: 1))
        }
        cooling.add(Self.cidr(1, 7), CoolingCIDR(node: "n", end: 20_000, version: 2))
        let before = looks.count.load(ordering: .relaxed)
        #expect(cooling.count(of: 1) == 1)
        #expect(cooling.claimOldest(of: [0, 1])?.cidr == Self.cidr(1, 7))
        #expect(looks.count.load(ordering: .relaxed) - before <= 1)
    }
}

import Addressing
import TestSupport
import Testing

@testable import IPAM

@Suite("CIDRs in order")
struct CIDRIndexTests {
    /// CIDRs that often lie in one another, of both families, wide and narrow, and at the ends of the space.
    private static func randomCIDR(using random: inout SeededGenerator) -> CIDR {
        let family: IPFamily = Bool.random(using: &random) ? .ipv4 : .ipv6
        let base: UInt128 = Bool.random(using: &random) ? 0 : IPAddress.maximumBits(of: family)
        let shift = UInt128.random(in: 0..<UInt128(family.addressBits - 4), using: &random)
        let bits = base ^ UInt128.random(in: 0..<16, using: &random) << shift
        let length = Int.random(in: 0...family.addressBits, using: &random)
        return CIDR(
            containing: IPAddress(family: family, bits: bits),
            prefixLength: Int.random(in: 0...2, using: &random) == 0 ? length : length / 8 * 8)
    }

    @Test("finds the ranges around and within a CIDR like a list that is searched throughout", arguments: seeds)
    func agreesWithList(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var index = CIDRIndex<Int>()
        var twin: [CIDR: Int] = [:]
        for step in 0..<1_500 {
            let context: Comment = "seed \(seed), step \(step)"
            let cidr =
                twin.keys.sorted().randomElement(using: &random).flatMap { Bool.random(using: &random) ? $0 : nil }
                ?? Self.randomCIDR(using: &random)
            // Grows, shrinks to nothing, and again.
            if Int.random(in: 0..<10, using: &random) < (step / 400 % 2 == 0 ? 7 : 2) {
                #expect(index.insert(step, for: cidr) == twin.updateValue(step, forKey: cidr), context)
            } else {
                #expect(index.remove(cidr) == twin.removeValue(forKey: cidr), context)
            }
            #expect(index.count == twin.count, context)
            let asked = Self.randomCIDR(using: &random)
            #expect(index[asked] == twin[asked], context)
            let around = twin.filter { $0.key.contains(asked) }.sorted { $0.key.prefixLength < $1.key.prefixLength }
            let inside = twin.filter { asked.contains($0.key) }.sorted { $0.key < $1.key }
            // Stops where it is told to.
            let limit = Int.random(in: 1...5, using: &random)
            func seen(_ visit: ((CIDR, Int) -> Bool) -> Void) -> [Int] {
                var seen: [Int] = []
                visit {
                    #expect(twin[$0] == $1, context)
                    seen.append($1)
                    return seen.count < limit
                }
                return seen
            }
            #expect(seen { index.visit(containing: asked, $0) } == Array(around.map(\.value).prefix(limit)), context)
            #expect(seen { index.visit(inside: asked, $0) } == Array(inside.map(\.value).prefix(limit)), context)
            let overlapping = around.filter { $0.key != asked } + inside
            #expect(
                seen { index.visit(overlapping: asked, $0) } == Array(overlapping.map(\.value).prefix(limit)), context)
            #expect(index.overlaps(asked) == !overlapping.isEmpty, context)
            let holders = twin.filter { $0.key.contains(asked.last) }.sorted {
                $0.key.prefixLength < $1.key.prefixLength
            }
            #expect(
                seen { index.visit(containing: asked.last, $0) } == Array(holders.map(\.value).prefix(limit)), context)
        }
    }
}

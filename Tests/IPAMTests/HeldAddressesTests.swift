import Addressing
import TestSupport
import Testing

@testable import IPAM

@Suite("Addresses and their holders")
struct HeldAddressesTests {
    private static func randomAddress(using random: inout SeededGenerator) -> IPAddress {
        let family: IPFamily = Bool.random(using: &random) ? .ipv4 : .ipv6
        let base: UInt128 = Bool.random(using: &random) ? 0 : IPAddress.maximumBits(of: family)
        // Neighbours, and others far away.
        let shift =
            Int.random(in: 0..<4, using: &random) == 0 ? Int.random(in: 0..<family.addressBits - 4, using: &random) : 0
        return IPAddress(
            family: family, bits: base ^ UInt128.random(in: 0..<(shift == 0 ? 300 : 16), using: &random) << shift)
    }

    private func all(_ held: HeldAddresses<Int>, in cidr: CIDR) -> [Held] {
        var all: [Held] = []
        held.visit(inside: cidr) {
            all.append(Held(address: $0, holder: $1))
            return true
        }
        return all
    }

    private struct Held: Equatable {
        var address: IPAddress
        var holder: Int
    }

    @Test("finds, keeps and forgets like a dictionary that is sorted again each time", arguments: seeds)
    func agreesWithDictionary(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var held = HeldAddresses<Int>()
        var twin: [IPAddress: Int] = [:]
        for step in 0..<3_000 {
            let context: Comment = "seed \(seed), step \(step)"
            let address = Self.randomAddress(using: &random)
            let isGrowing = step / 750 % 2 == 0
            let holder = Int.random(in: 0..<10, using: &random) < (isGrowing ? 8 : 2) ? step : nil
            #expect(held[address] == twin[address], context)
            held[address] = holder
            twin[address] = holder
            #expect(held[address] == holder, context)
            #expect(held.count == twin.count, context)
            let asked = Self.randomAddress(using: &random)
            #expect(held[asked] == twin[asked], context)
            guard step % 10 == 0 else { continue }
            let cidr = CIDR(
                containing: asked, prefixLength: Int.random(in: 0...asked.family.addressBits, using: &random))
            for cidr in [cidr, CIDR(containing: asked, prefixLength: asked.family.addressBits - step / 10 % 9)] {
                let inside = twin.filter { cidr.contains($0.key) }.sorted { $0.key < $1.key }
                    .map { Held(address: $0.key, holder: $0.value) }
                #expect(all(held, in: cidr) == inside, context)
                let limit = Int.random(in: 1...70, using: &random)
                var seen: [IPAddress] = []
                held.visit(inside: cidr) { address, _ in
                    seen.append(address)
                    return seen.count < limit
                }
                #expect(seen == inside.prefix(limit).map(\.address), context)
            }
        }
        for address in twin.keys.sorted() { held[address] = nil }
        #expect(held.count == 0)
        #expect(held.blockCount == 0)
        for text in ["0.0.0.0/0", "::/0"] { #expect(all(held, in: CIDR(text)!).isEmpty) }
    }

    @Test("made at once is as made one by one", arguments: seeds)
    func isMadeAtOnce(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let pairs = (0..<3_000).map { (Self.randomAddress(using: &random), $0) }
        var oneByOne = HeldAddresses<Int>()
        for (address, holder) in pairs { oneByOne[address] = holder }
        var atOnce = HeldAddresses(pairs)
        #expect(atOnce.count == oneByOne.count)
        for text in ["0.0.0.0/0", "::/0"] {
            #expect(all(atOnce, in: CIDR(text)!) == all(oneByOne, in: CIDR(text)!))
        }
        for (address, _) in pairs { atOnce[address] = nil }
        #expect(atOnce.count == 0)
    }
}

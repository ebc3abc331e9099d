import Allocation
import Foundation
import Workloads

let fills: [(name: String, freePerMillion: Int)] = [
    ("0 %", 1_000_000), ("50 %", 500_000), ("90 %", 100_000), ("99 %", 10_000), ("99.9 %", 1_000), ("99.99 %", 100),
]

/// Claim and release beside a bare pair.
func allocatorTable() {
    print("| addresses | taken | claim + release | bare pair | ratio |")
    print("| --- | --- | --- | --- | --- |")
    for shift in [16, 20, 24] {
        let bare = BareBitmap(sizeShift: shift)
        for fill in fills {
            let pool = AddressPool.filled(sizeShift: shift, freePerMillion: fill.freePerMillion)
            var random = RandomBits(seed: 7)
            var sink: UInt64 = 0
            var bareRandom = RandomBits(seed: 7)
            let result = Interleaved(
                rounds: 61, calls: 20_000,
                [
                    { calls in
                        for _ in 0..<calls { claimAndRelease(pool, &random) }
                    },
                    { calls in
                        for _ in 0..<calls { sink ^= bare.pair(bareRandom.next()) }
                    },
                ])
            keep(sink)
            print(
                "| 2^\(shift) | \(fill.name) | \(fixed(result.nanoseconds[0])) ns | \(fixed(result.nanoseconds[1])) ns "
                    + "| \(fixed(result.ratios[1], 2)) |")
        }
    }
}

@inline(__always)
func claimAndRelease(_ pool: AddressPool, _ random: inout RandomBits) {
    guard let address = pool.claim(startingAt: random.next()), pool.release(address) else {
        preconditionFailure("a pool with free addresses says that it is full, or an address taken was not")
    }
}

@inline(never)
func keep(_ value: UInt64) {
    withExtendedLifetime(value) {}
}

func fixed(_ value: Double, _ digits: Int = 1) -> String { String(format: "%.\(digits)f", value) }

import Allocation
import Foundation
import Workloads

private let sizeShifts = [16, 20, 24]

private let fills: [(name: String, freePerMillion: Int)] = [
    ("0 %", 1_000_000), ("50 %", 500_000), ("90 %", 100_000), ("99 %", 10_000), ("99.9 %", 1_000), ("99.99 %", 100),
]

/// Claim and release in one thread beside a bare pair.
func allocatorTable(rounds: Int) {
    let table = Table(
        "Claim and release, one thread", ["addresses", "taken", "claim + release", "bare pair", "ratio"])
    for shift in sizeShifts {
        let bare = BareBitmap(sizeShift: shift)
        for fill in fills {
            let pool = AddressPool.filled(sizeShift: shift, freePerMillion: fill.freePerMillion)
            let result = Interleaved(
                rounds: rounds, calls: 20_000,
                [{ claimAndRelease($0, pool, seed: 7) }, { barePairs($0, bare, seed: 7) }])
            table.row([
                "2^\(shift)", fill.name, nanoseconds(result.nanoseconds[0]), nanoseconds(result.nanoseconds[1]),
                ratio(result.ratios[1]),
            ])
        }
    }
}

/// The same in one thread for each core. Times are processor time a pair and thread, so that they hold where others use the
/// cores as well; the gain is what the threads together do of what one does.
func coresTable(rounds: Int) {
    let cores = ProcessInfo.processInfo.activeProcessorCount
    let table = Table(
        "Claim and release, \(cores) threads",
        ["addresses", "taken", "claim + release", "bare pair", "ratio", "gain over one thread", "the bare pair's gain"])
    for shift in sizeShifts {
        let bare = BareBitmap(sizeShift: shift)
        for fill in fills {
            let pool = AddressPool.filled(sizeShift: shift, freePerMillion: fill.freePerMillion)
            var times: [[Double]] = [[], [], [], []]
            for _ in 0..<rounds {
                let bodies: [(Int, @Sendable (UInt64) -> Void)] = [
                    (1, { claimAndRelease(200_000, pool, seed: $0) }), (1, { barePairs(200_000, bare, seed: $0) }),
                    (cores, { claimAndRelease(200_000, pool, seed: $0) }),
                    (cores, { barePairs(200_000, bare, seed: $0) }),
                ]
                for (index, (threads, body)) in bodies.enumerated() {
                    times[index].append(processorTime(threads: threads, body) / 200_000)
                }
            }
            func gain(_ one: Int, _ all: Int) -> String {
                ratio(Double(cores) * median(zip(times[one], times[all]).map { $0 / $1 }))
            }
            table.row([
                "2^\(shift)", fill.name, nanoseconds(median(times[2])), nanoseconds(median(times[3])),
                ratio(median(zip(times[2], times[3]).map { $0 / $1 })), gain(0, 2), gain(1, 3),
            ])
        }
    }
}

/// How long a range that is full takes to say so.
func fullTable(rounds: Int) {
    let table = Table("A claim of a full range", ["addresses", "the answer"])
    for shift in sizeShifts {
        let pool = AddressPool.filled(sizeShift: shift, freePerMillion: 0)
        let result = Interleaved(
            rounds: rounds, calls: 20_000,
            [
                { calls in
                    var random = RandomBits(seed: 1)
                    for _ in 0..<calls { precondition(pool.claim(startingAt: random.next()) == nil) }
                }
            ])
        table.row(["2^\(shift)", nanoseconds(result.nanoseconds[0])])
    }
}

private func claimAndRelease(_ calls: Int, _ pool: AddressPool, seed: UInt64) {
    var random = RandomBits(seed: seed)
    for _ in 0..<calls {
        guard let address = pool.claim(startingAt: random.next()), pool.release(address) else {
            preconditionFailure("the pool has a free address for each thread")
        }
    }
}

private func barePairs(_ calls: Int, _ bitmap: BareBitmap, seed: UInt64) {
    var random = RandomBits(seed: seed)
    var seen: UInt64 = 0
    for _ in 0..<calls { seen ^= bitmap.pair(random.next()) }
    // Used, so that the compiler can't leave out what produced it.
    precondition(seen != 0x5ca1_ab1e)
}

/// Runs `body` in some threads at once, each with its own seed; returns the mean of their processor times in nanoseconds.
private func processorTime(threads: Int, _ body: @escaping @Sendable (UInt64) -> Void) -> Double {
    let total = Total()
    // Nobody starts before all are there.
    let start = Barrier(threads)
    let group = DispatchGroup()
    for number in 0..<threads {
        group.enter()
        Thread.detachNewThread {
            start.wait()
            let begin = Clock.thread.now
            body(UInt64(number) + 1)
            total.add(Clock.thread.now - begin)
            group.leave()
        }
    }
    group.wait()
    return Double(total.value) / Double(threads)
}

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
                [
                    { claimAndRelease($0, pool, RandomBits(seed: 7)) }, { barePairs($0, bare, RandomBits(seed: 7)) },
                ])
            table.row([
                "2^\(shift)", fill.name, nanoseconds(result.nanoseconds[0]), nanoseconds(result.nanoseconds[1]),
                ratio(result.ratios[1]),
            ])
        }
    }
}

/// The same in one thread for each core, once with places all over the range for each, once with each in its own part of it.
/// Times are processor time a pair and thread, so that they hold where others use the cores as well; the gain is the work of all
/// threads together relative to that of one.
func coresTable(rounds: Int) {
    let cores = ProcessInfo.processInfo.activeProcessorCount
    let calls = 200_000
    let table = Table(
        "Claim and release, \(cores) threads",
        [
            "addresses", "taken", "all over: claim + release", "bare pair", "ratio", "gain", "the bare pair's gain",
            "apart: claim + release", "bare pair", "ratio", "gain", "the bare pair's gain",
        ])
    for shift in sizeShifts {
        let bare = BareBitmap(sizeShift: shift)
        for fill in fills {
            let pool = AddressPool.filled(sizeShift: shift, freePerMillion: fill.freePerMillion)
            func times(_ threads: Int, parts: Int) -> (claims: Double, pairs: Double) {
                (
                    processorTime(threads) { claimAndRelease(calls, pool, Draws(thread: $0, parts: parts)) },
                    processorTime(threads) { barePairs(calls, bare, Draws(thread: $0, parts: parts)) }
                )
            }
            var one: [(claims: Double, pairs: Double)] = []
            var (allOver, apart) = (one, one)
            for _ in 0..<rounds {
                one.append(times(1, parts: 1))
                allOver.append(times(cores, parts: 1))
                apart.append(times(cores, parts: cores))
            }
            func cells(_ all: [(claims: Double, pairs: Double)]) -> [String] {
                func gain(_ path: KeyPath<(claims: Double, pairs: Double), Double>) -> String {
                    ratio(Double(cores) * median(zip(one, all).map { $0[keyPath: path] / $1[keyPath: path] }))
                }
                return [
                    nanoseconds(median(all.map(\.claims)) / Double(calls)),
                    nanoseconds(median(all.map(\.pairs)) / Double(calls)),
                    ratio(median(all.map { $0.claims / $0.pairs })), gain(\.claims), gain(\.pairs),
                ]
            }
            table.row(["2^\(shift)", fill.name] + cells(allOver) + cells(apart))
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

private func claimAndRelease(_ calls: Int, _ pool: AddressPool, _ random: some RandomNumberGenerator) {
    var random = random
    for _ in 0..<calls {
        guard let address = pool.claim(startingAt: random.next()), pool.release(address) else {
            preconditionFailure("the pool has a free address for each thread")
        }
    }
}

private func barePairs(_ calls: Int, _ bitmap: BareBitmap, _ random: some RandomNumberGenerator) {
    var random = random
    var seen: UInt64 = 0
    for _ in 0..<calls { seen ^= bitmap.pair(random.next()) }
    // Used, so that the compiler can't leave out its computation.
    precondition(seen != 0x5ca1_ab1e)
}

/// A thread's random places: all over, or in its own of several equal parts.
private struct Draws: RandomNumberGenerator {
    private var random: RandomBits
    private let base: UInt64
    private let span: UInt64

    init(thread: Int, parts: Int) {
        random = RandomBits(seed: UInt64(thread))
        span = UInt64.max / UInt64(parts)
        base = span * UInt64(thread % parts)
    }

    @inline(__always)
    mutating func next() -> UInt64 {
        let (high, low) = random.next().multipliedFullWidth(by: span)
        // The lowest bits choose one in a word.
        return (base &+ high) ^ low & 63
    }
}

/// Runs `body` in some threads at once, each told its number; returns the mean of their processor times in nanoseconds.
///
/// Again, up to three times, where others had the cores, so that the threads ran one after the other for much of their time.
private func processorTime(_ threads: Int, _ body: @escaping @Sendable (Int) -> Void) -> Double {
    var best = (time: 0.0, coresUsed: 0.0)
    for _ in 0..<3 where best.coresUsed < 0.9 * Double(threads) {
        let total = Total()
        // No thread starts before all are there.
        let start = Barrier(threads)
        let group = DispatchGroup()
        let begin = Clock.wall.now
        for number in 0..<threads {
            group.enter()
            Thread.detachNewThread {
                start.wait()
                let begin = Clock.thread.now
                body(number)
                total.add(Clock.thread.now - begin)
                group.leave()
            }
        }
        group.wait()
        let coresUsed = Double(total.value) / Double(Clock.wall.now - begin)
        if coresUsed > best.coresUsed { best = (Double(total.value) / Double(threads), coresUsed) }
    }
    return best.time
}

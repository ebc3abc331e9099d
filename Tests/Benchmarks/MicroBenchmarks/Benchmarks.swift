import Allocation
import Benchmark
import Foundation
import IPAM
import Ledger
import TestSupport
import Workloads

// Times for one's own work: `swift package benchmark` here, with --filter, baselines and comparisons. The ratios that the
// document shows come from `ratios`, which measures in turns.

let benchmarks: @Sendable () -> Void = {
    Benchmark.defaultConfiguration = .init(
        metrics: [.wallClock, .cpuTotal, .throughput], warmupIterations: 1, scalingFactor: .kilo,
        maxDuration: .milliseconds(300))
    claimBenchmarks()
    callBenchmarks()
    storageBenchmarks()
}

private func claimBenchmarks() {
    for shift in [16, 20, 24] {
        for (taken, freePerMillion) in [
            ("0", 1_000_000), ("50", 500_000), ("90", 100_000), ("99", 10_000), ("99.9", 1_000), ("99.99", 100),
        ] {
            Benchmark("claim + release, 2^\(shift), \(taken) % taken") { benchmark, pool in
                var random = RandomBits(seed: 7)
                for _ in benchmark.scaledIterations {
                    guard let address = pool.claim(startingAt: random.next()), pool.release(address) else {
                        preconditionFailure("the pool has free addresses")
                    }
                }
            } setup: {
                AddressPool.filled(sizeShift: shift, freePerMillion: freePerMillion)
            }
        }
        Benchmark("claim of a full range, 2^\(shift)") { benchmark, pool in
            for _ in benchmark.scaledIterations { blackHole(pool.claim(startingAt: 1)) }
        } setup: {
            AddressPool.filled(sizeShift: shift, freePerMillion: 0)
        }
        Benchmark("bare fetch_or + fetch_and, 2^\(shift)") { benchmark, bitmap in
            var random = RandomBits(seed: 7)
            for _ in benchmark.scaledIterations { blackHole(bitmap.pair(random.next())) }
        } setup: {
            BareBitmap(sizeShift: shift)
        }
    }
}

private func callBenchmarks() {
    Benchmark("decode a call") { benchmark in
        let message = SampleService.message()
        benchmark.startMeasurement()
        for _ in benchmark.scaledIterations { blackHole(SampleService.decode(message)) }
    }
    Benchmark("encode a reply") { benchmark in
        let service = SampleService.decided
        benchmark.startMeasurement()
        for _ in benchmark.scaledIterations { blackHole(SampleService.encode(service)) }
    }
    Benchmark("decide a dual-stack create") { benchmark in
        let service = SampleService.decode(SampleService.message())
        benchmark.startMeasurement()
        for _ in benchmark.scaledIterations { blackHole(SampleService.decide(service)) }
    }
}

private func storageBenchmarks() {
    for size in [1, 16, 64, 256] {
        Benchmark("journal, \(size) a commit", configuration: .init(scalingFactor: .one)) { benchmark, storage in
            let group = SampleProposals.make(0..<size)
            benchmark.startMeasurement()
            for _ in benchmark.scaledIterations { storage.commit(group) }
        } setup: {
            try Storage()
        }
    }
    Benchmark(
        "recovery of 100,000 objects",
        configuration: .init(scalingFactor: .one, maxDuration: .seconds(5), maxIterations: 3)
    ) { (benchmark: Benchmark, directory: ScratchDirectory) throws in
        benchmark.startMeasurement()
        let engine = try StoredCluster.open(directory.path)
        benchmark.stopMeasurement()
        engine.stop()
    } setup: { () -> ScratchDirectory in
        let directory = ScratchDirectory()
        try StoredCluster.make(in: directory.path, objects: 100_000)
        return directory
    }
}

/// A log in a directory of its own.
private final class Storage: Sendable {
    let directory = ScratchDirectory()
    let log: SQLiteLog

    init() throws { log = try SQLiteLog(directory: directory.path) }
    deinit { log.close() }

    func commit(_ group: [Proposal]) {
        log.append(group)
        guard case .landed? = log.next() else { preconditionFailure("the log can't commit") }
    }
}

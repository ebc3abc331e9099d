import Addressing
import Allocation
import CAllocationCounter
import Foundation
import IPAM
import Ledger
import TandemAPI
import Workloads

/// A piece of the way that a call takes.
struct HotPath {
    var name: String
    /// How many calls one run of `body` makes.
    var callsPerRun = 1
    var body: () -> Void

    /// Allocations of this thread for a call, once everything that is made once has been made.
    func allocationsPerCall() -> Double {
        let runs = callsPerRun == 1 ? 1_000 : 20
        for _ in 0..<runs / 10 { body() }
        let before = tandem_allocation_count()
        for _ in 0..<runs { body() }
        return Double(tandem_allocation_count() - before) / Double(runs * callsPerRun)
    }

    /// `scratch` gives a new directory by its name.
    static func all(_ scratch: (String) -> String) -> [HotPath] {
        [
            counter, claimRelease("claim-release", freePerMillion: 500_000),
            claimRelease("claim-release-almost-full", freePerMillion: 100), claimFull, decode, decide, encode,
            dryRun(scratch("engine")), commit(scratch("ledger")),
        ]
    }

    /// That the counter counts: one allocation, known beforehand.
    private static var counter: HotPath {
        HotPath(name: "one-allocation") {
            UnsafeMutableRawPointer.allocate(byteCount: 100, alignment: 8).deallocate()
        }
    }

    private static func claimRelease(_ name: String, freePerMillion: Int) -> HotPath {
        let pool = AddressPool.filled(sizeShift: 16, freePerMillion: freePerMillion)
        var random = RandomBits(seed: 1)
        return HotPath(name: name) {
            guard let address = pool.claim(startingAt: random.next()), pool.release(address) else {
                preconditionFailure("the pool has free addresses")
            }
        }
    }

    private static var claimFull: HotPath {
        let pool = AddressPool.filled(sizeShift: 16, freePerMillion: 0)
        return HotPath(name: "claim-of-full-range") {
            precondition(pool.claim(startingAt: 1) == nil, "the pool is full")
        }
    }

    private static var decode: HotPath {
        let message = SampleService.message()
        return HotPath(name: "decode-call") { _ = SampleService.decode(message) }
    }

    private static var decide: HotPath {
        let service = SampleService.decode(SampleService.message())
        return HotPath(name: "decide-dual-stack-create") { _ = SampleService.decide(service) }
    }

    private static var encode: HotPath {
        let service = SampleService.decided
        return HotPath(name: "encode-reply") { _ = SampleService.encode(service) }
    }

    /// The engine's part of a call as far as the journal: turn, rules, claims, the object's texts.
    private static func dryRun(_ directory: String) -> HotPath {
        let cluster = ClusterConfiguration(serviceRanges: [CIDR("10.96.0.0/16")!, CIDR("fd00:10:96::/112")!])
        guard let log = try? SQLiteLog(directory: directory),
            let engine = try? Engine(cluster: cluster, log: log)
        else { preconditionFailure("no engine") }
        var call = Call(.allocateServiceIPs, .allocateServiceIPs(SampleService.decode(SampleService.message())))
        call.isDryRun = true
        return HotPath(name: "engine-call-dry-run") {
            engine.perform(call) { result in
                guard case .success = result else { preconditionFailure("the sample call is refused: \(result)") }
            }
        }
    }

    /// SQLite's allocations are counted too.
    private static func commit(_ directory: String) -> HotPath {
        guard let log = try? SQLiteLog(directory: directory) else { preconditionFailure("no log") }
        let group = SampleProposals.make(0..<64)
        return HotPath(name: "commit-of-64-a-record", callsPerRun: 64) {
            log.append(group)
            guard case .landed? = log.next() else { preconditionFailure("the log can't commit") }
        }
    }
}

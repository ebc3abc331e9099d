import FaultyLog
import Ledger
import ServiceDecisions
import TandemAPI
import TestSupport
import Testing

@testable import IPAM

/// Random calls of all kinds, with faults of the store and restarts among them; after every step the addresses in use
/// are the addresses in objects, and acknowledged changes are there.
@Suite("The engine under faults and restarts")
struct EngineFaultTests {
    @Test("addresses in use are addresses in objects, whatever happens", arguments: seeds)
    func keepsItsBooks(_ seed: UInt64) async throws {
        let faults: [FaultyLog.Fault?] = [
            nil, nil, nil, nil, nil, nil, .notCommitted, .unknownButKept, .unknownAndLost, nil,
        ]
        let store = FaultyLog { group in
            var generator = SeededGenerator(seed: seed &+ UInt64(group))
            return faults.randomElement(using: &generator) ?? nil
        }
        var generator = SeededGenerator(seed: seed)
        var harness = try EngineHarness(store)
        for step in 0..<300 {
            let (method, params) = randomCall(&generator)
            let result = await harness.call(method, params)
            if let error = result.error {
                #expect(error.status != .internal, "seed \(seed), step \(step): \(error.message)")
            }
            if step % 25 == 24 {
                harness.stop()
                harness = try EngineHarness(store)
                #expect(try await harness.faults() == [], "seed \(seed), step \(step)")
            }
            #expect(try await harness.shownAddresses() != nil, "seed \(seed), step \(step)")
        }
        harness.stop()
    }

    @Test("without faults the books agree after every step", arguments: seeds)
    func keepsItsBooksAtEveryStep(_ seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        let store = FaultyLog()
        var harness = try EngineHarness(store)
        for step in 0..<400 {
            let (method, params) =
                Bool.random(using: &generator) ? randomCall(&generator) : await randomChange(&generator, harness)
            let result = await harness.call(method, params)
            if let error = result.error { #expect(error.status != .internal, "seed \(seed), step \(step): \(error)") }
            let faults = try await harness.faults()
            #expect(faults == [], "seed \(seed), step \(step): \(method) \(params.text)")
            if step % 40 == 39 {
                let before = try await harness.shownAddresses()
                harness.stop()
                harness = try EngineHarness(store, .small(Int.random(in: 0..<4, using: &generator)))
                #expect(try await harness.shownAddresses() == before, "seed \(seed), step \(step)")
                #expect(try await harness.faults() == [], "seed \(seed), step \(step)")
            }
        }
        harness.stop()
    }

    /// A Service of any kind, new, or one that is there with some of its members changed.
    private func randomChange(
        _ generator: inout SeededGenerator, _ harness: EngineHarness
    ) async -> (TandemAPI.Method, JSONValue) {
        let name = RandomService.names.randomElement(using: &generator) ?? ""
        let metadata: JSONValue = ["name": .string(name)]
        let live = try? await harness.call(.getService, ["service": ["metadata": metadata]]).get()["service"]
        guard let live, Int.random(in: 0..<4, using: &generator) > 0 else {
            return (.allocateServiceIPs, ["service": ["metadata": metadata, "spec": RandomService.spec(&generator)]])
        }
        return (.updateServiceIPs, ["service": live.merging(["spec": RandomService.change(&generator)])])
    }

    @Test("calls that race for one name and a range that is nearly full end with whole objects", arguments: seeds)
    func survivesRaces(_ seed: UInt64) async throws {
        let harness = try EngineHarness(FaultyLog())
        await withTaskGroup(of: Void.self) { tasks in
            for task in 0..<8 as Range<UInt64> {
                tasks.addTask {
                    var generator = SeededGenerator(seed: seed &* 31 &+ task)
                    for _ in 0..<60 {
                        let (method, params) = self.randomCall(&generator)
                        _ = await harness.call(method, params)
                    }
                }
            }
        }
        #expect(try await harness.faults() == [], "seed \(seed)")
        harness.stop()
    }

    private func randomCall(_ generator: inout SeededGenerator) -> (TandemAPI.Method, JSONValue) {
        let name: JSONValue = .string("x\(Int.random(in: 0..<8, using: &generator))")
        let node: JSONValue = .string("n\(Int.random(in: 0..<5, using: &generator))")
        let policy: JSONValue = .string(
            ["SingleStack", "PreferDualStack", "RequireDualStack"].randomElement(using: &generator)!)
        let type: JSONValue = .string(["ClusterIP", "NodePort", "LoadBalancer"].randomElement(using: &generator)!)
        let service: JSONValue = [
            "metadata": ["name": name], "spec": ["type": type, "ipFamilyPolicy": policy, "ports": [["port": 80]]],
        ]
        switch Int.random(in: 0..<12, using: &generator) {
        case 0, 1: return (.allocateServiceIPs, ["service": service])
        case 2, 3: return (.updateServiceIPs, ["service": service])
        case 4: return (.release, ["service": ["metadata": ["name": name]]])
        case 5: return (.allocateNodeCIDRs, ["node": ["metadata": ["name": node]]])
        case 6:
            return (.release, ["node": ["metadata": ["name": node]], "force": .bool(Bool.random(using: &generator))])
        case 7, 8, 9:
            return (
                .allocatePodIPs,
                [
                    "pod": ["metadata": ["name": name], "spec": ["nodeName": node]],
                    "attachment": ["containerID": .string("c\(Int.random(in: 0..<30, using: &generator))")],
                ]
            )
        case 10:
            return (.release, ["attachment": ["containerID": .string("c\(Int.random(in: 0..<30, using: &generator))")]])
        default: return (.release, ["pod": ["metadata": ["name": name]]])
        }
    }
}

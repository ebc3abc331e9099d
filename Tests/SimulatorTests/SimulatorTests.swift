import Simulator
import TestSupport
import Testing

@Suite("The engine in a simulated world")
struct SimulatorTests {
    @Test(
        "every invariant holds after every step, whatever fails",
        arguments: seeds, 1...3)
    func holds(_ seed: UInt64, _ servers: Int) throws {
        let simulation = try Simulation(seed: seed, servers: servers)
        try simulation.run(steps: 4_000)
        try simulation.finish()
        let tally = simulation.tally
        #expect(tally.crashes + tally.restarts + tally.storageFaults > 0)
        #expect(tally.acknowledged > 300 && tally.proposals > 80)
    }

    @Test("a seed takes the same way every time", arguments: 1...3)
    func isDeterministic(_ servers: Int) throws {
        let fingerprints = try (0..<2).map { _ in
            let simulation = try Simulation(seed: 42, servers: servers)
            try simulation.run(steps: 2_000)
            return simulation.fingerprint
        }
        #expect(fingerprints[0] == fingerprints[1])
    }
}

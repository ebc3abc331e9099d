import Simulator
import TestSupport
import Testing

@Suite("The engine in a simulated world")
struct SimulatorTests {
    @Test(
        "every invariant holds after every step, whatever fails",
        arguments: seeds + [4, 5, 6, .random(in: .min ... .max)])
    func holds(_ seed: UInt64) throws {
        let simulation = try Simulation(seed: seed)
        try simulation.run(steps: 15_000)
        try simulation.finish()
        #expect(simulation.tally.crashes > 0 && simulation.tally.storageFaults > 0)
        #expect(simulation.tally.acknowledged > 4_000)
    }

    @Test("a seed takes the same way every time")
    func isDeterministic() throws {
        let fingerprints = try (0..<2).map { _ in
            let simulation = try Simulation(seed: 42)
            try simulation.run(steps: 10_000)
            return simulation.fingerprint
        }
        #expect(fingerprints[0] == fingerprints[1])
    }
}

import Foundation
import Simulator

// Runs seeds: one for a number of steps, or fresh ones for a number of seconds.
//
//     simulate --seed N --steps N [--servers 1|2|3]
//     simulate --seconds N [--servers 1|2|3]
//
// Without `--servers` the seed decides how many there are.
// Prints its steps; the first broken promise ends it with status 1 and the command that shows it again.

func argument(_ name: String) -> UInt64? {
    let arguments = CommandLine.arguments
    guard let index = arguments.firstIndex(of: "--\(name)"), index + 1 < arguments.count else { return nil }
    return UInt64(arguments[index + 1])
}

let servers = argument("servers").map { Int(min(max($0, 1), 3)) }

@MainActor
func simulate(_ seed: UInt64, _ steps: Int) throws -> Simulation.Tally {
    // A trap says nothing of the seed.
    FileHandle.standardError.write(Data("seed \(seed)\n".utf8))
    let simulation = try Simulation(seed: seed, servers: servers)
    try simulation.run(steps: steps)
    try simulation.finish()
    return simulation.tally
}

@MainActor
func simulateAll() throws -> (seeds: Int, total: Simulation.Tally) {
    if let seed = argument("seed") { return (1, try simulate(seed, Int(argument("steps") ?? 1_000_000))) }
    let clock = ContinuousClock()
    let end = clock.now + .seconds(Int64(argument("seconds") ?? 10))
    var (seeds, total) = (0, Simulation.Tally())
    while clock.now < end {
        total.add(try simulate(.random(in: .min ... .max), 200_000))
        seeds += 1
    }
    return (seeds, total)
}

let start = ContinuousClock.now
do {
    let (seeds, total) = try simulateAll()
    let perSecond = Int(Double(total.steps) / ((.now - start) / .seconds(1)))
    print("\(seeds) seeds, \(perSecond) steps a second; \(total); every invariant held")
} catch {
    print(error)
    exit(1)
}

import Foundation
import FuzzTargets
import TestSupport
import Testing

/// Inputs kept from `make fuzz`, and the same with a few bytes changed. A breach ends the test process.
@Suite("The corpus of strangers' bytes")
struct CorpusTests {
    private static let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Corpus")

    private func inputs(_ target: FuzzTarget) throws -> [[UInt8]] {
        let directory = Self.directory.appendingPathComponent(target.rawValue)
        return try FileManager.default.contentsOfDirectory(at: directory, includingPropertiesForKeys: nil)
            .sorted { $0.path < $1.path }.map { Array(try Data(contentsOf: $0)) }
    }

    @Test("holds for every input that is kept", arguments: FuzzTarget.allCases)
    func runs(_ target: FuzzTarget) throws {
        let inputs = try inputs(target)
        #expect(inputs.count >= 5)
        for input in inputs { target.run(input) }
    }

    @Test("holds when bytes are changed, left out and put in", arguments: FuzzTarget.allCases)
    func runsMutated(_ target: FuzzTarget) throws {
        for seed in seeds {
            var generator = SeededGenerator(seed: seed)
            let inputs = try inputs(target)
            for input in inputs {
                // Some thousand of each target, whether few of its inputs are kept or many.
                for _ in 0..<max(3, 300 / inputs.count) {
                    var changed = input
                    for _ in 0..<Int.random(in: 1...4, using: &generator) where !changed.isEmpty {
                        let index = Int.random(in: 0..<changed.count, using: &generator)
                        switch Int.random(in: 0..<3, using: &generator) {
                        case 0: changed[index] = UInt8.random(in: .min ... .max, using: &generator)
                        case 1: changed.remove(at: index)
                        default:
                            changed.insert(changed[Int.random(in: 0..<changed.count, using: &generator)], at: index)
                        }
                    }
                    target.run(changed)
                }
            }
        }
    }
}

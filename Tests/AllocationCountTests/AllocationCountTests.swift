import Foundation
import ServerSupport
import TestSupport
import Testing

/// Allocations are counted, not timed: the same number on any machine, however busy.
@Suite("Heap allocations of the hot paths")
struct AllocationCountTests {
    private static let thresholds = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../AllocationCounts/thresholds.txt").standardized.path

    @Test("no path makes more than its committed threshold")
    func staysWithinThresholds() {
        let result = Command.run(ServerProcess.program("allocation-counts"), [Self.thresholds])
        #expect(result.status == 0, "\(result.output)\(result.errors)")
    }

    @Test("a threshold that is passed is said")
    func failsBeyondThresholds() throws {
        let scratch = ScratchDirectory()
        let text = try String(contentsOfFile: Self.thresholds, encoding: .utf8)
            .replacingOccurrences(of: "one-allocation 1 1", with: "one-allocation 0 0")
        try text.write(toFile: "\(scratch.path)/thresholds.txt", atomically: true, encoding: .utf8)
        let result = Command.run(ServerProcess.program("allocation-counts"), ["\(scratch.path)/thresholds.txt"])
        #expect(result.status == 1)
        #expect(result.output.contains("one-allocation: 1 of at most 0: too many"), "\(result.output)")
    }
}

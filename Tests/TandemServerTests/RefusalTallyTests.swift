import Measures
import Testing

@testable import TandemServer

@Suite("Lines for refusals")
struct RefusalTallyTests {
    @Test("the first has a line at once; then one a second stands for all since the one before")
    func standsForAll() {
        let tally = RefusalTally()
        var now: UInt64 = 1_000
        func note() -> Int? { tally.note(Moment(nanoseconds: now)) }
        #expect(note() == 1)
        for _ in 0..<10 { #expect(note() == nil) }
        now += RefusalTally.interval - 1
        #expect(note() == nil)
        now += 1
        #expect(note() == 12)
        #expect(note() == nil)
        now += 5 * RefusalTally.interval
        #expect(note() == 2)
    }
}

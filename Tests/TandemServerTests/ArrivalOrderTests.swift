import TestSupport
import Testing

@testable import TandemServer

@Suite("The order in which connections came")
struct ArrivalOrderTests {
    @Test("it is that of a slow, obvious twin, whatever comes and goes")
    func followsTwin() {
        for seed in UInt64(0)..<20 {
            var generator = SeededGenerator(seed: seed)
            var order = ArrivalOrder<Int>()
            var twin: [Int] = []
            for step in 0..<300 {
                if twin.isEmpty || Bool.random(using: &generator) {
                    order.append(step)
                    twin.append(step)
                } else {
                    // Also such as were never in it.
                    let member = Bool.random(using: &generator) ? twin.randomElement(using: &generator)! : -step
                    #expect(order.remove(member) == twin.contains(member))
                    twin.removeAll { $0 == member }
                }
                var members: [Int] = []
                var next = order.first
                while let member = next {
                    members.append(member)
                    next = order.next(after: member)
                }
                #expect(members == twin && order.count == twin.count, "seed \(seed)")
            }
        }
    }
}

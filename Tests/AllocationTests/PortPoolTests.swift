import Allocation
import TestSupport
import Testing

@Suite("Pools of ports")
struct PortPoolTests {
    @Test(
        "the static band is of min(max(16, size / 32), 128) ports, and none of ranges of 16 or fewer",
        arguments: [(1, 0), (2, 0), (16, 0), (17, 16), (512, 16), (544, 17), (2768, 86), (4096, 128), (65_535, 128)])
    func band(_ size: Int, _ band: Int) {
        let first = UInt16(65_535 - size + 1)
        let pool = PortPool(first...65_535)
        #expect(pool.staticBandSize == band && pool.capacity == size)
        #expect(pool.allocatedCount == 0)
        pool.forEachAllocated { _ in Issue.record("nothing is allocated") }
    }

    @Test(
        "every port is drawn once, those of the band last; then it is full; a port given back is drawn again",
        arguments: [1...1, 30_000...30_015, 30_000...30_063, 30_000...32_767, 1...65_535] as [ClosedRange<UInt16>])
    func drawsAll(_ range: ClosedRange<UInt16>) throws {
        var generator = SeededGenerator(seed: UInt64(range.count))
        let pool = PortPool(range)
        var drawn: Set<UInt16> = []
        for index in 0..<pool.capacity {
            let port = try #require(pool.claim(startingAt: generator.next()))
            #expect(range.contains(port) && drawn.insert(port).inserted)
            let isInBand = Int(port - range.lowerBound) < pool.staticBandSize
            #expect(isInBand == (index >= pool.capacity - pool.staticBandSize), "\(port) at \(index)")
        }
        #expect(pool.claim(startingAt: generator.next()) == nil)
        #expect(pool.allocatedCount == pool.capacity)
        var seen: [UInt16] = []
        pool.forEachAllocated { seen.append($0) }
        #expect(seen == drawn.sorted())
        let port = try #require(drawn.randomElement(using: &generator))
        let isReleased = (pool.release(port), pool.release(port))
        #expect(isReleased == (true, false))
        #expect(pool.claim(startingAt: generator.next()) == port)
    }

    @Test("draws are spread over all above the band")
    func spreads() {
        var generator = SeededGenerator(seed: 7)
        var quarters = [0, 0, 0, 0]
        for _ in 0..<4_000 {
            let pool = PortPool(30_000...32_767)
            guard let port = pool.claim(startingAt: generator.next()) else { continue }
            quarters[max(0, Int(port) - 30_086) * 4 / (2_768 - 86)] += 1
        }
        #expect(quarters.allSatisfy { (800...1_200).contains($0) }, "\(quarters)")
    }

    @Test("by name, in the band or not; outside of the range nothing is claimed, marked or released")
    func byName() {
        let pool = PortPool(30_000...32_767)
        for port: UInt16 in [30_000, 30_085, 30_086, 32_767] {
            #expect(pool.state(of: port) == .free)
            #expect(pool.claim(port) == .claimed)
            #expect(pool.claim(port) == .taken)
            #expect(pool.state(of: port) == .allocated)
        }
        for port: UInt16 in [0, 29_999, 32_768, 65_535] {
            #expect(pool.claim(port) == .outOfRange && pool.state(of: port) == .outOfRange)
            pool.mark(port)
            let isReleased = pool.release(port)
            #expect(!isReleased)
        }
        pool.mark(30_001)
        pool.mark(30_001)
        #expect(pool.claim(30_001) == .taken)
        #expect(pool.allocatedCount == 5)
    }
}

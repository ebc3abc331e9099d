import Ledger
import Measures
import NIOEmbedded
import Synchronization
import TestSupport
import Testing

@testable import TandemServer

/// One event loop's time and its users, on a clock of the test's own.
@Suite("Turns on an event loop")
struct LoopQueueTests {
    /// A clock that advances by the time of each piece of work.
    private final class Clock: Sendable {
        private let nanoseconds = Atomic<UInt64>(1)
        var now: Moment { Moment(nanoseconds: nanoseconds.load(ordering: .relaxed)) }
        func pass(_ microseconds: Int) { nanoseconds.wrappingAdd(UInt64(microseconds) * 1_000, ordering: .relaxed) }
    }

    private let loop = EmbeddedEventLoop()
    private let clock = Clock()
    private let queue: LoopQueue

    init() {
        let clock = clock
        queue = LoopQueue(loop) { clock.now }
    }

    private func lane() -> LoopQueue.Lane { LoopQueue.Lane(of: queue) }

    /// Runs until nothing is left, letting the sockets have their time.
    private func runAll() {
        for _ in 0..<5_000 {
            loop.run()
            loop.advanceTime(by: LoopQueue.pause)
        }
    }

    @Test("a client with a hundred thousand pieces waiting holds up another's one for a turn, whatever the order")
    func takesTurns() {
        let (greedy, other) = (lane(), lane())
        let done = Noted<String>()
        let clock = clock
        for _ in 0..<10_000 {
            greedy.execute {
                clock.pass(100)
                done.add("greedy")
            }
        }
        other.execute { done.add("other") }
        loop.run()
        #expect(done.all.firstIndex(of: "other") == (LoopQueue.turn + 99_999) / 100_000)
        runAll()
        #expect(done.all.count == 10_001)
    }

    @Test("clients that want all there is get the same time each, whatever their pieces cost")
    func sharesTime() {
        let clock = clock
        let times = Mutex([0, 0, 0])
        for (index, cost) in [20, 300, 2_000].enumerated() {
            let lane = lane()
            for _ in 0..<(400_000 / cost) {
                lane.execute {
                    clock.pass(cost)
                    times.withLock { $0[index] += cost }
                }
            }
        }
        while times.withLock({ $0.reduce(0, +) }) < 600_000 {
            loop.run()
            loop.advanceTime(by: LoopQueue.pause)
        }
        let shares = times.withLock { $0 }
        // They may be apart by one piece of the largest size, and a turn.
        #expect((shares.max() ?? 0) - (shares.min() ?? 0) <= 2_500, "\(shares)")
    }

    @Test("work done at once is charged; a lane that has used up its turn waits, and begins anew once nothing waits")
    func chargesWhatIsDoneAtOnce() {
        let (lane, clock) = (lane(), clock)
        let done = Noted<Int>()
        func workAtOnce(_ microseconds: Int) {
            lane.begin()
            clock.pass(microseconds)
            lane.charge()
        }
        // No other lane wants anything of the loop.
        workAtOnce(10_000)
        #expect(lane.hasCredit)
        let other = self.lane()
        other.begin()
        other.charge()
        lane.execute {}
        runAll()
        workAtOnce(LoopQueue.turn / 1_000 - 1)
        #expect(lane.hasCredit)
        workAtOnce(2)
        #expect(!lane.hasCredit)
        clock.pass(Int(LoopQueue.sharedNanoseconds / 1_000))
        lane.begin()
        #expect(lane.hasCredit, "the other one has been silent for long")
        other.begin()
        lane.begin()
        #expect(!lane.hasCredit)
        lane.execute { done.add(1) }
        #expect(lane.hasCredit == false)
        loop.run()
        #expect(done.all == [1] && lane.hasCredit)
        // A debt is paid by as many turns, which cost nothing where no other lane waits.
        workAtOnce(5_000)
        lane.execute { done.add(2) }
        for number in 3..<30 {
            other.execute {
                clock.pass(250)
                done.add(number)
            }
        }
        runAll()
        #expect(done.all.firstIndex(of: 2) == 1 + 19, "\(done.all)")
    }

    @Test("the sockets have their time after a millisecond, and a turn that was cut off goes on")
    func givesWay() {
        let (first, second) = (lane(), lane())
        let done = Noted<Int>()
        let clock = clock
        for number in 0..<6 {
            first.execute {
                clock.pass(240)
                done.add(number)
            }
            second.execute {
                clock.pass(240)
                done.add(10 + number)
            }
        }
        loop.run()
        #expect(done.all == [0, 1, 10, 11])
        loop.run()
        #expect(done.all.count == 4)
        loop.advanceTime(by: LoopQueue.pause)
        #expect(done.all == [0, 1, 10, 11, 2, 12])
        runAll()
        #expect(done.all.sorted() == Array(0..<6) + Array(10..<16))
    }

    @Test("all connections of an identity have one flow, which is gone with the last of them")
    func knowsIdentities() {
        let flows = ClientFlows()
        func identity(_ user: String, _ group: String = "g", end: Int64 = .max) -> Identity {
            Identity(user: user, groups: [group], end: end)
        }
        var (first, same): (ClientFlow?, ClientFlow?) = (flows.flow(of: identity("a")), nil)
        same = flows.flow(of: identity("a", end: 7))
        #expect(first === same)
        let others = [flows.flow(of: identity("b")), flows.flow(of: identity("a", "h")), flows.flow(of: nil)]
        #expect(flows.flow(of: nil) === others[2])
        #expect(Set(others.map(\.number) + [first?.number]).count == 4)
        #expect(!others.contains { $0.number == .server })
        #expect(
            first?.lane(on: queue) === same?.lane(on: queue) && first?.lane(on: queue) !== others[0].lane(on: queue))
        let number = first?.number
        first = nil
        #expect(flows.count == 4)
        same = nil
        #expect(flows.count == 3)
        #expect(flows.flow(of: identity("a")).number != number)
    }
}

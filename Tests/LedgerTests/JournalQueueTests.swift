import Measures
import TestSupport
import Testing

@testable import Ledger

/// The order of flows, tested against a queue that looks at everything each time.
@Suite("Turns of the flows in the journal's queue")
struct JournalQueueTests {
    private func entry(_ flow: UInt32, _ bytes: Int, at milliseconds: UInt64 = 0) -> JournalQueue.Entry {
        entry(flow, bytes, since: Moment(nanoseconds: milliseconds * 1_000_000))
    }

    private func entry(_ flow: UInt32, _ bytes: Int, since: Moment) -> JournalQueue.Entry {
        JournalQueue.Entry(
            work: .proposal(Proposal(), { _ in true }), flow: Flow(flow), since: since, bytes: bytes)
    }

    private let now = Moment(nanoseconds: 0)

    @Test("one change of a second flow is in the next group, however many of the first one wait")
    func passesGreedyFlow() {
        var queue = JournalQueue()
        for _ in 0..<30_000 { queue.append(entry(1, 600)) }
        queue.append(entry(2, 600))
        let group = queue.takeGroup(GroupLimits(proposals: 100, bytes: 1 << 20), now)
        #expect(group.count == 100 && group.count { $0.flow == Flow(2) } == 1)
        #expect(queue.count == 29_901)
    }

    @Test("groups are small while two flows take turns, and as large as may be while there is one")
    func sharesGroups() {
        var queue = JournalQueue()
        func group(at milliseconds: UInt64) -> Int {
            queue.takeGroup(.standard, Moment(nanoseconds: milliseconds * 1_000_000)).count
        }
        for _ in 0..<1_000 { queue.append(entry(1, 600)) }
        #expect(group(at: 0) == 1_000)
        for _ in 0..<1_000 { queue.append(entry(1, 600, at: 1)) }
        queue.append(entry(2, 600, at: 1))
        #expect(group(at: 2) == GroupLimits.shared.proposals)
        #expect(group(at: 100) == GroupLimits.shared.proposals)
        #expect(group(at: 101) == 1_001 - 2 * GroupLimits.shared.proposals)
        // The server's own make no difference.
        for _ in 0..<1_000 { queue.append(entry(2, 600, at: 200)) }
        queue.append(entry(0, 600, at: 200))
        #expect(group(at: 200) == 1_001)
    }

    @Test("flows that have enough waiting get the same bytes each, whatever the size of their changes")
    func sharesBytes() {
        var queue = JournalQueue()
        for _ in 0..<20_000 { queue.append(entry(1, 100)) }
        for _ in 0..<2_000 { queue.append(entry(2, 6_000)) }
        for _ in 0..<200 { queue.append(entry(3, 100_000)) }
        var bytes: [Flow: Int] = [:]
        // By then the flows are no longer taken to be several, and groups are as large as is asked for.
        let later = Moment(nanoseconds: JournalQueue.sharedNanoseconds)
        for _ in 0..<20 {
            for entry in queue.takeGroup(GroupLimits(proposals: 4_096, bytes: 200_000), later) {
                bytes[entry.flow, default: 0] += entry.bytes
            }
        }
        let shares = bytes.values.sorted()
        #expect(shares.count == 3)
        #expect(shares.reduce(0, +) > 2_900_000)
        // They may be apart by one change of the largest size, and a quantum.
        #expect((shares.last ?? 0) - (shares.first ?? 0) <= 100_000 + JournalQueue.quantum, "\(bytes)")
    }

    @Test("a flow may have as much waiting as it leaves for the others; those have room when it is refused")
    func leavesRoom() {
        var queue = JournalQueue()
        var taken = 0
        while queue.refusal(of: Flow(1), now) == nil {
            queue.append(entry(1, 10))
            taken += 1
        }
        #expect(taken == JournalLimits.maximumQueue / 2)
        #expect(queue.refusal(of: Flow(2), now) == nil)
        var second = 0
        while queue.refusal(of: Flow(2), now) == nil {
            queue.append(entry(2, 10))
            second += 1
        }
        #expect(second == JournalLimits.maximumQueue / 4)
        #expect(queue.refusal(of: Flow(3), now) == nil)
        var bytes = JournalQueue()
        while bytes.refusal(of: Flow(1), now) == nil { bytes.append(entry(1, 1 << 20)) }
        #expect(bytes.count == JournalLimits.maximumQueueBytes >> 21)
        #expect(bytes.refusal(of: Flow(2), now) == nil)
    }

    @Test("a flow is refused by how long its own first change has waited")
    func judgesEach() {
        var queue = JournalQueue()
        queue.append(entry(1, 10, at: 0))
        queue.append(entry(2, 10, at: 1_500))
        let late = Moment(nanoseconds: 2_001 * 1_000_000)
        #expect(queue.refusal(of: Flow(1), late)?.code == .queueFull)
        #expect(queue.refusal(of: Flow(2), late) == nil && queue.refusal(of: Flow(3), late) == nil)
        #expect(queue.isCongested(late))
        #expect(queue.since == Moment(nanoseconds: 0))
        _ = queue.takeGroup(.standard, late)
        #expect(!queue.isCongested(late) && queue.isEmpty)
    }

    @Test(
        "proposals that have waited too long are taken out of each flow, from its front; the rest, and barriers, keep their places"
    )
    func takesLate() {
        var queue = JournalQueue()
        for (flow, time) in [(1, 0), (2, 5), (1, 10), (1, 20), (3, 30), (2, 40)] as [(UInt32, UInt64)] {
            queue.append(entry(flow, 100, at: time))
        }
        queue.append(JournalQueue.Entry(work: .barrier {}, since: now))
        let late = queue.takeProposals(until: Moment(nanoseconds: 10_000_000))
        #expect(late.map(\.flow) == [Flow(1), Flow(1), Flow(2)] && late.map(\.number) == [0, 2, 1])
        #expect(queue.count == 3)
        #expect(queue.takeProposals(until: Moment(nanoseconds: 10_000_000)).isEmpty)
        let rest = queue.takeGroup(GroupLimits(proposals: 10, bytes: 300), now)
        #expect(rest.map(\.number) == [3, 5, 4, 6] && queue.isEmpty)
        queue.append(entry(1, 100))
        #expect(queue.takeGroup(.standard, now).count == 1)
    }

    @Test("seeded: nothing is lost, each flow keeps its order, barriers come behind all before them", arguments: seeds)
    func keepsOrder(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var queue = JournalQueue()
        let told = Noted<Int>()
        var (number, settled) = (0, Set<Int>())
        var lasts: [Flow: Int] = [:]
        var waiting: [Int: Flow] = [:]
        /// By number of a barrier the change that it must come behind.
        var before: [Int: Set<Int>] = [:]
        for step in 0..<4_000 {
            let isPast = step > 3_000
            switch Int.random(in: 0..<10, using: &random) {
            case 0 where !isPast:
                let own = number
                before[own] = Set(waiting.keys)
                queue.append(JournalQueue.Entry(work: .barrier { told.add(own) }, since: now))
                number += 1
            case 1, 2, 3:
                let limits = GroupLimits(
                    proposals: Int.random(in: 1...8, using: &random), bytes: Int.random(in: 1...40_000, using: &random))
                let group = queue.takeGroup(limits, now)
                let changes = group.filter(\.isProposal)
                #expect(changes.count <= limits.proposals)
                #expect(changes.count <= 1 || changes.reduce(0) { $0 + $1.bytes } <= limits.bytes)
                #expect(changes.isEmpty == waiting.isEmpty)
                for entry in group {
                    switch entry.work {
                    case .barrier(let body):
                        body()
                        let own = told.all.last ?? -1
                        #expect(before[own]?.isSubset(of: settled) == true)
                    case .proposal:
                        let own = Int(entry.since.nanoseconds)
                        #expect((lasts[entry.flow] ?? -1) < own)
                        lasts[entry.flow] = own
                        settled.insert(own)
                        waiting[own] = nil
                    }
                }
                #expect(queue.count == waiting.count)
            case _ where !isPast:
                let flow = UInt32.random(in: 1...4, using: &random)
                let bytes = Int.random(in: 1...20_000, using: &random)
                queue.append(entry(flow, bytes, since: Moment(nanoseconds: UInt64(number))))
                waiting[number] = Flow(flow)
                number += 1
            default: break
            }
        }
        while !queue.isEmpty {
            for entry in queue.takeGroup(GroupLimits(proposals: 7, bytes: 50_000), now) {
                if case .barrier(let body) = entry.work { body() } else { settled.insert(Int(entry.since.nanoseconds)) }
            }
        }
        #expect(settled.count + told.all.count == number)
    }
}

import Reconciliation
import TestSupport
import Testing

@Suite("The queue of objects")
struct WorkQueueTests {
    /// A queue by reference, so that an expectation can take from it.
    @dynamicMemberLookup
    private final class Queue {
        typealias Outcome = WorkQueue<Int>.Outcome

        private var queue: WorkQueue<Int>

        init(ranks: Int, workers: Int) { queue = WorkQueue(ranks: ranks, workers: workers) }

        subscript<Value>(dynamicMember path: KeyPath<WorkQueue<Int>, Value>) -> Value { queue[keyPath: path] }

        func add(_ key: Int, rank: Int) { queue.add(key, rank: rank) }
        func take(now: Duration) -> Int? { queue.take(now: now) }
        func hurry(onlyFull: Bool) { queue.hurry(onlyFull: onlyFull) }
        func finish(_ key: Int, _ outcome: Outcome, rank: Int, now: Duration, isFull: Bool = false) {
            queue.finish(key, outcome, rank: rank, now: now, isFull: isFull)
        }
    }

    @Test("one worker a key; a change that comes while it runs is another turn; so many workers at most")
    func workers() {
        let queue = Queue(ranks: 1, workers: 2)
        for key in [1, 1, 2, 3] { queue.add(key, rank: 0) }
        #expect(queue.take(now: .zero) == 1)
        #expect(queue.take(now: .zero) == 2)
        #expect(queue.take(now: .zero) == nil)
        queue.add(1, rank: 0)
        queue.finish(2, .done, rank: 0, now: .zero)
        #expect(queue.take(now: .zero) == 3)
        queue.finish(1, .done, rank: 0, now: .zero)
        #expect(queue.take(now: .zero) == 1)
        queue.finish(1, .done, rank: 0, now: .zero)
        queue.finish(3, .done, rank: 0, now: .zero)
        #expect(queue.take(now: .zero) == nil)
        #expect(queue.counts == (0, 0, 0))
    }

    @Test("pauses grow from 5 s to 300 s, begin anew after a success, and are over when the object changes")
    func pauses() {
        let queue = Queue(ranks: 1, workers: 1)
        queue.add(1, rank: 0)
        var now = Duration.zero
        for seconds in [5, 10, 20, 40, 80, 160, 300, 300] {
            #expect(queue.take(now: now) == 1)
            queue.finish(1, .failed(isHolding: false), rank: 0, now: now)
            #expect(queue.nextDue == now + .seconds(seconds))
            #expect(queue.take(now: now + .seconds(seconds) - .milliseconds(1)) == nil)
            now += .seconds(seconds)
        }
        #expect(queue.take(now: now) == 1)
        queue.finish(1, .again(after: .seconds(60)), rank: 0, now: now)
        queue.add(1, rank: 0)
        #expect(queue.take(now: now) == 1)
        queue.finish(1, .failed(isHolding: false), rank: 0, now: now)
        #expect(queue.take(now: now + .seconds(5)) == 1)
        queue.finish(1, .done, rank: 0, now: now)
        #expect(queue.take(now: now + .seconds(1000)) == nil)
    }

    @Test("nothing of a rank begins while one of a lower rank waits, runs or could not be tried")
    func ranks() {
        let queue = Queue(ranks: 2, workers: 8)
        queue.add(10, rank: 1)
        queue.add(1, rank: 0)
        queue.add(2, rank: 0)
        #expect(queue.take(now: .zero) == 1)
        #expect(queue.take(now: .zero) == 2)
        #expect(queue.take(now: .zero) == nil)
        queue.finish(1, .done, rank: 1, now: .zero)
        #expect(queue.take(now: .zero) == nil)
        // Tandem did not answer: others wait with it.
        queue.finish(2, .failed(isHolding: true), rank: 0, now: .zero)
        #expect(queue.take(now: .zero) == nil)
        #expect(queue.take(now: .seconds(5)) == 2)
        // It was refused: others go on.
        queue.finish(2, .failed(isHolding: false), rank: 0, now: .seconds(5))
        #expect(queue.take(now: .seconds(5)) == 10)
        // One that shows addresses now is looked at with those, and does not wait for its place.
        queue.add(11, rank: 1)
        queue.add(12, rank: 1)
        queue.add(12, rank: 0)
        #expect(queue.take(now: .seconds(5)) == 12)
        #expect(queue.take(now: .seconds(5)) == nil)
    }

    @Test("those that found a range full are tried again when something was given back")
    func full() {
        let queue = Queue(ranks: 1, workers: 8)
        for key in [1, 2] { queue.add(key, rank: 0) }
        for key in [1, 2] {
            #expect(queue.take(now: .zero) == key)
            queue.finish(key, .failed(isHolding: false), rank: 0, now: .zero, isFull: key == 2)
        }
        queue.hurry(onlyFull: true)
        #expect(queue.take(now: .zero) == 2)
        #expect(queue.take(now: .zero) == nil)
        queue.hurry(onlyFull: false)
        #expect(queue.take(now: .zero) == 1)
        queue.finish(1, .done, rank: 0, now: .zero)
        queue.finish(2, .again(after: .seconds(60)), rank: 0, now: .zero)
        queue.hurry(onlyFull: false)
        #expect(queue.take(now: .zero) == nil)
    }

    @Test("against a list that is searched from the front", arguments: seeds)
    func twin(_ seed: UInt64) {
        /// Objects in the order in which they were put in.
        struct Item {
            var key: Int, rank: Int, due: Duration, isRunning = false, isHolding = true, isAgain = false, failures = 0
        }
        var random = SeededGenerator(seed: seed)
        let queue = Queue(ranks: 3, workers: 3)
        var items: [Item] = []
        var now = Duration.zero
        func wakeTwin() {
            let woken = items.indices.filter { !items[$0].isRunning && items[$0].due > .zero && items[$0].due <= now }
                .sorted { items[$0].due < items[$1].due }
            var moved = woken.map { items[$0] }
            for index in moved.indices { (moved[index].due, moved[index].isHolding) = (.zero, true) }
            items = items.enumerated().filter { !woken.contains($0.offset) }.map(\.element) + moved
        }
        for _ in 0..<3_000 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<3:
                let (key, rank) = (Int.random(in: 0..<12, using: &random), Int.random(in: 0..<3, using: &random))
                queue.add(key, rank: rank)
                if let index = items.firstIndex(where: { $0.key == key }) {
                    if items[index].isRunning {
                        items[index].isAgain = true
                    } else if items[index].due > .zero || rank < items[index].rank {
                        var item = items.remove(at: index)
                        (item.rank, item.due, item.isHolding) = (rank, .zero, true)
                        items.append(item)
                    }
                } else {
                    items.append(Item(key: key, rank: rank, due: .zero))
                }
            case 3..<6:
                wakeTwin()
                let ready = items.enumerated().filter { !$0.element.isRunning && $0.element.due == .zero }
                let first = ready.min { ($0.element.rank, $0.offset) < ($1.element.rank, $1.offset) }
                var expected = first?.offset
                if let first, items.contains(where: { $0.isHolding && $0.rank < first.element.rank }) { expected = nil }
                if items.count(where: \.isRunning) == 3 { expected = nil }
                let taken = queue.take(now: now)
                #expect(taken == expected.map { items[$0].key })
                if let expected { items[expected].isRunning = true }
            case 6..<9:
                guard let index = items.indices.filter({ items[$0].isRunning }).randomElement(using: &random) else {
                    continue
                }
                var item = items.remove(at: index)
                let rank = Int.random(in: 0..<3, using: &random)
                let outcomes: [Queue.Outcome] = [
                    .done, .again(after: .seconds(7)), .failed(isHolding: true), .failed(isHolding: false),
                ]
                let outcome = outcomes.randomElement(using: &random)!
                queue.finish(item.key, outcome, rank: rank, now: now)
                var isFailure = false
                if case .failed(let isHolding) = outcome {
                    (isFailure, item.isHolding) = (true, isHolding)
                } else {
                    item.isHolding = false
                }
                item.failures = isFailure ? item.failures + 1 : 0
                let isAgain = item.isAgain
                (item.isRunning, item.isAgain, item.rank) = (false, false, rank)
                if isAgain, item.failures <= 1 {
                    (item.isHolding, item.due) = (true, .zero)
                } else if outcome == .done {
                    continue
                } else {
                    // A little later each time, as no two may be over at once.
                    item.due = now + (isFailure ? .seconds(min(300, 5 << min(8, item.failures - 1))) : .seconds(7))
                }
                items.append(item)
            default: now += .milliseconds(Int.random(in: 1...20_000, using: &random))
            }
            now += .nanoseconds(1)
        }
    }
}

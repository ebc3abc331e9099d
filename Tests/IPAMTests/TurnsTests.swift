import Foundation
import Synchronization
import Testing

@testable import IPAM

@Suite("Turns on a name")
struct TurnsTests {
    /// Turns that were taken and not yet given back, to be given back by the test.
    private final class Holder: Sendable {
        let turns = Mutex<[(name: String, turn: Turn)]>([])
        var names: [String] { turns.withLock { $0.map(\.name) } }

        func hold(_ name: String) -> @Sendable (Turn) -> Void {
            { turn in self.turns.withLock { $0.append((name, turn)) } }
        }

        func giveBack(_ name: String) {
            let turn = turns.withLock { turns in
                turns.firstIndex { $0.name == name }.map { turns.remove(at: $0).turn }
            }
            turn?.giveBack()
        }
    }

    private final class Counter: Sendable {
        private let value = Atomic<Int>(0)
        var count: Int { value.load(ordering: .relaxed) }
        func add(_ step: Int) { value.wrappingAdd(step, ordering: .relaxed) }
    }

    @Test("one at a time on one name, side by side on others")
    func excludes() {
        let turns = Turns()
        let holder = Holder()
        turns.take("a", holder.hold("first"))
        turns.take("a", holder.hold("second"))
        turns.take("b", holder.hold("other"))
        #expect(holder.names == ["first", "other"])
        holder.giveBack("first")
        #expect(holder.names == ["other", "second"])
        holder.giveBack("second")
        turns.take("a", holder.hold("third"))
        #expect(holder.names == ["other", "third"])
    }

    @Test("shared turns go together; one alone waits for them, and none overtakes it")
    func shares() {
        let turns = Turns()
        let holder = Holder()
        turns.take("n", shared: true, holder.hold("pod 1"))
        turns.take("n", shared: true, holder.hold("pod 2"))
        turns.take("n", holder.hold("node"))
        turns.take("n", shared: true, holder.hold("pod 3"))
        turns.take("n", shared: true, holder.hold("pod 4"))
        #expect(holder.names == ["pod 1", "pod 2"])
        holder.giveBack("pod 1")
        #expect(holder.names == ["pod 2"])
        holder.giveBack("pod 2")
        #expect(holder.names == ["node"])
        holder.giveBack("node")
        #expect(holder.names == ["pod 3", "pod 4"])
    }

    @Test("however many wait, the stack stays flat")
    func staysFlat() {
        let turns = Turns()
        let holder = Holder()
        let ran = Counter()
        turns.take("a", holder.hold("first"))
        for _ in 0..<200_000 {
            turns.take("a") { turn in
                ran.add(1)
                turn.giveBack()
            }
        }
        #expect(ran.count == 0)
        holder.giveBack("first")
        #expect(ran.count == 200_000)
    }

    @Test("a line that never runs empty frees served turns")
    func letsGo() {
        final class Token: Sendable {}
        let turns = Turns()
        let holder = Holder()
        weak var first: Token?
        turns.take("a", holder.hold("0"))
        for index in 1...200 {
            let token = Token()
            if index == 1 { first = token }
            turns.take("a") { [token] turn in
                _ = token
                holder.hold("\(index)")(turn)
            }
            // Two are there all the time.
            if index > 1 { holder.giveBack("\(index - 2)") }
        }
        #expect(first == nil)
        #expect(holder.names == ["199"])
        holder.giveBack("199")
        holder.giveBack("200")
        #expect(holder.names == [])
    }

    @Test("a shared turn that is taken alone comes before those that came later")
    func takesAlone() {
        let turns = Turns()
        let holder = Holder()
        turns.take("n", shared: true, holder.hold("pod"))
        turns.take("n", shared: true, holder.hold("other"))
        turns.take("n", holder.hold("release"))
        let pod = holder.turns.withLock { $0.removeFirst().turn }
        turns.takeAlone(insteadOf: pod, holder.hold("register"))
        #expect(holder.names == ["other"])
        holder.giveBack("other")
        #expect(holder.names == ["register"])
        holder.giveBack("register")
        #expect(holder.names == ["release"])
        holder.giveBack("release")
    }

    /// Plain variables, guarded by turns alone: a lost exclusion is a wrong sum, and a race under ThreadSanitizer.
    @Test("threads that take turns never meet on a name")
    func excludesThreads() async {
        final class Unguarded: @unchecked Sendable {
            // Changed under an exclusive turn only, which is the property tested.
            var sum = 0
        }
        let turns = Turns()
        let names = ["a", "b", "c"]
        let cells = names.map { _ in Unguarded() }
        let pending = Counter()
        await withTaskGroup(of: Void.self) { tasks in
            for task in 0..<4 {
                tasks.addTask {
                    for step in 0..<5_000 {
                        let index = (task + step) % names.count
                        pending.add(1)
                        turns.take(names[index], shared: step % 5 == 0) { turn in
                            if step % 5 != 0 { cells[index].sum += 1 } else { _ = cells[index].sum }
                            pending.add(-1)
                            turn.giveBack()
                        }
                    }
                }
            }
        }
        // No call keeps a turn, so that a waiting one was run by the thread that gave its turn back.
        #expect(pending.count == 0)
        #expect(cells.map(\.sum).reduce(0, +) == 4 * 4_000)
    }
}

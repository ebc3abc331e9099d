import TestSupport
import Testing

@testable import IPAM

@Suite("A list kept in order")
struct SortedListTests {
    private typealias List = SortedList<Int, Int>

    /// Every entry, found by walking over the list.
    private func all(_ list: List) -> [[Int]] {
        var entries: [[Int]] = []
        list.visit(from: list.start) { key, value in
            entries.append([key, value])
            return true
        }
        return entries
    }

    @Test("finds, keeps and forgets like an array that is sorted again each time", arguments: seeds)
    func agreesWithArray(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var list = List()
        var twin: [[Int]] = []
        // Few keys, so that many entries have one.
        let keys = [3, 5, 200, 100_000].randomElement(using: &generator)!
        for step in 0..<4_000 {
            let key = Int.random(in: 0..<keys, using: &generator)
            let value = Int.random(in: 0..<1_000, using: &generator)
            let place = list.place(of: key) { $0 < value }
            let index = twin.firstIndex { !$0.lexicographicallyPrecedes([key, value]) } ?? twin.count
            #expect(list[place].map { [$0.key, $0.value] } == (index < twin.count ? twin[index] : nil))
            #expect(list.entry(before: place).map { [$0.key, $0.value] } == (index > 0 ? twin[index - 1] : nil))
            let isGrowing = step / 1_000 % 2 == 0
            if Int.random(in: 0..<10, using: &generator) < (isGrowing ? 8 : 2) {
                list.insert(key, value, at: place)
                twin.insert([key, value], at: index)
            } else if index < twin.count {
                list.remove(at: place)
                twin.remove(at: index)
            }
            #expect(list.count == twin.count)
            if step % 97 == 0 { #expect(all(list) == twin, "seed \(seed), step \(step)") }
        }
        #expect(all(list) == twin)
        let made = List(count: twin.count) {
            twin[$0][0]
        } value: {
            twin[$0][1]
        }
        #expect(all(made) == twin)
        var place = list.start
        for entry in twin {
            #expect(list[place].map { [$0.key, $0.value] } == entry)
            place = list.place(after: place)
        }
        #expect(list[place] == nil)
    }

    @Test("asks for the order of values no more than a logarithm of times, however many entries one key has")
    func comparesFew() {
        var list = List()
        for value in 0..<20_000 { list.insert(7, value, at: list.place(of: 7) { $0 < value }) }
        var asked = 0
        let place = list.place(of: 7) {
            asked += 1
            return $0 < 12_345
        }
        #expect(list[place]?.value == 12_345)
        #expect(asked <= 20)
    }

    @Test("a list that was made of many entries and grows by a few has little more memory than entries")
    func growsByLittle() {
        var generator = SeededGenerator(seed: 1)
        var list = SortedList<UInt32, Int>(count: 2_000) {
            UInt32($0) << 20
        } value: {
            $0
        }
        for value in 0..<100 {
            let key = UInt32.random(in: 0..<2_000 << 20, using: &generator)
            list.insert(key, value, at: list.place(of: key) { _ in false })
        }
        #expect(list.capacity < 2_600)
    }

    @Test("a list that has shrunk is not all chunks of one entry")
    func joins() {
        var list = SortedList<Int, Void>()
        for key in 0..<20_000 { list.insert(key) }
        for key in 0..<20_000 where key % 100 != 0 { list.remove(key) }
        #expect(list.count == 200)
        #expect(list.chunkCount <= 8)
    }
}

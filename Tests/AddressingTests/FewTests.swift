import Addressing
import TestSupport
import Testing

@Suite("A list of a few")
struct FewTests {
    @Test("is what an array is, whatever is done to it", arguments: seeds)
    func matchesArray(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        func number(_ range: Range<Int>) -> Int { Int.random(in: range, using: &generator) }
        var (list, twin) = (Few<Int>(), [Int]())
        for _ in 0..<2_000 {
            switch number(0..<8) {
            case 0...2:
                let value = number(0..<100)
                list.append(value)
                twin.append(value)
            case 3:
                guard !twin.isEmpty else { continue }
                let place = number(0..<twin.count)
                (list[place], twin[place]) = (-place, -place)
            case 4:
                guard !twin.isEmpty else { continue }
                let place = number(0..<twin.count)
                #expect(list.remove(at: place) == twin.remove(at: place))
            case 5:
                if !twin.isEmpty { #expect(list.removeLast() == twin.removeLast()) }
            case 6: (list, twin) = (list.filter { $0 % 3 != 0 }, twin.filter { $0 % 3 != 0 })
            default:
                let (added, place) = ([Int](repeating: 7, count: number(0..<3)), number(0..<(twin.count + 1)))
                list.insert(contentsOf: added, at: place)
                twin.insert(contentsOf: added, at: place)
            }
            #expect(Array(list) == twin && list.count == twin.count && list.isEmpty == twin.isEmpty)
            #expect(list.first == twin.first && list.last == twin.last)
            #expect(list == Few(twin) && Set([list, Few(twin)]).count == 1)
            #expect(Array(list.map { $0 + 1 }) == twin.map { $0 + 1 })
            #expect(Array(list.compactMap { $0 > 5 ? $0 : nil }) == twin.compactMap { $0 > 5 ? $0 : nil })
            if twin.count > 6 { (list, twin) = ([], []) }
        }
    }
}

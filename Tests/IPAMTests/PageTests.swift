import TestSupport
import Testing

@testable import IPAM

@Suite("Pages of objects by their names")
struct PageTests {
    @Test("pages show every name once, in order, whatever their length", arguments: [1, 7, 100, 5000])
    func pagesThroughAll(_ limit: Int) {
        let objects = NamedObjects<NamedValue>()
        let names = (0..<2_000).map { "namespace-\($0 % 3)/name-\($0)" }
        for name in names { objects[name] = NamedValue(name) }
        func all(_ prefix: String) -> [String] {
            var seen: [String] = []
            var token: PageToken?
            repeat {
                let page = objects.page(after: token, limit: limit, prefix: prefix)
                #expect(page.items.count <= limit)
                seen += page.items.map(\.bookName)
                token = page.next.map { PageToken($0.text) ?? $0 }
            } while token != nil
            return seen
        }
        #expect(all("namespace-1/") == names.filter { $0.hasPrefix("namespace-1/") }.sorted())
        #expect(all("") == names.sorted())
        #expect(all("namespace-3/") == [])
        for name in names where name.hasSuffix("7") { objects[name] = nil }
        #expect(all("") == names.filter { !$0.hasSuffix("7") }.sorted())
    }

    @Test("objects loaded from several threads are in order at the first read")
    func loads() {
        let objects = NamedObjects<NamedValue>()
        for number in [5, 3, 9, 1] { objects.load(NamedValue("n\(number)", number), "n\(number)") }
        objects.order()
        #expect(objects.page(after: nil, limit: 10).items.map(\.value) == [1, 3, 5, 9])
    }

    @Test("each name leads to its own object, also where all have one of three hashes", arguments: seeds)
    func findsByName(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let objects = NamedObjects<NamedValue> { UInt64($0.utf8.count % 3) }
        var twin: [String: Int] = [:]
        for step in 0..<2_000 {
            let name = "n\(Int.random(in: 0..<2_000, using: &generator) % 120)"
            if Int.random(in: 0..<3, using: &generator) == 0 {
                objects[name] = nil
                twin[name] = nil
            } else {
                objects[name] = NamedValue(name, step)
                twin[name] = step
            }
            for number in 0..<120 { #expect(objects["n\(number)"]?.value == twin["n\(number)"]) }
            #expect(objects.count == twin.count)
        }
        var seen: [String: Int] = [:]
        objects.visit { seen[$0.bookName] = $0.value }
        #expect(seen == twin)
    }

    @Test("the place of a pod's name is fixed: tokens outlive a restart")
    func hashesTheSame() {
        let key = Array("default/web".utf8).withUnsafeBytes { PodNameOrder($0, version: 1).key }
        #expect(key == 7_894_072_272_205_769_028)
    }

    @Test("a token that no page gave is refused", arguments: ["", "x", "-1.a", "a.b", "18446744073709551616.a"])
    func refusesTokens(_ text: String) {
        #expect(PageToken(text) == nil)
    }
}

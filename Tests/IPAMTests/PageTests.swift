import Testing

@testable import IPAM

@Suite("Pages of objects by their names")
struct PageTests {
    @Test("pages show every name once, in order, whatever their length", arguments: [1, 7, 100, 5000])
    func pagesThroughAll(_ limit: Int) {
        let objects = NamedObjects<String>()
        let names = (0..<2_000).map { "namespace-\($0 % 3)/name-\($0)" }
        for name in names { objects[name] = name }
        func all(_ prefix: String) -> [String] {
            var seen: [String] = []
            var token: PageToken?
            repeat {
                let page = objects.page(after: token, limit: limit, prefix: prefix)
                #expect(page.items.count <= limit)
                seen += page.items
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
        let objects = NamedObjects<Int>()
        for number in [5, 3, 9, 1] { objects.load(number, "n\(number)") }
        objects.order()
        #expect(objects.page(after: nil, limit: 10).items == [1, 3, 5, 9])
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

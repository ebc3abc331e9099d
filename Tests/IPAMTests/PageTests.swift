import Testing

@testable import IPAM

@Suite("Pages of a sharded map")
struct PageTests {
    @Test("pages show every key once, in an order that does not depend on the process", arguments: [1, 7, 100, 5000])
    func pagesThroughAll(_ limit: Int) {
        let map = ShardedMap<String, String>()
        let keys = (0..<2_000).map { "namespace-\($0 % 3)/name-\($0)" }
        for key in keys { map[key] = key }
        var seen: [String] = []
        var token: PageToken?
        repeat {
            let page = map.page(
                after: token, limit: limit, where: { $0.hasPrefix("namespace-1/") }, { [$0] })
            #expect(page.items.count <= limit)
            seen += page.items
            token = page.next.map { PageToken($0.text) ?? $0 }
        } while token != nil
        #expect(seen.count == Set(seen).count)
        #expect(Set(seen) == Set(keys.filter { $0.hasPrefix("namespace-1/") }))
    }

    @Test("the shard of a key is fixed: tokens outlive a restart")
    func hashesTheSame() {
        #expect("default/web".shardHash & 63 == 1)
    }

    @Test("a token that no page gave is refused", arguments: ["", "x", "64.a", "-1.a", "a.b"])
    func refusesTokens(_ text: String) {
        #expect(PageToken(text) == nil)
    }
}

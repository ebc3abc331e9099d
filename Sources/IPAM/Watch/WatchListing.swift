import TandemAPI

/// The existing objects, page by page, for a new watch: each object at most once, and none that changed behind the version at which the
/// watch begins, since its change comes later. Not thread-safe.
public struct WatchListing: Sendable {
    /// Objects that one page looks at, and bytes after which it ends.
    static let pageLooks = 128
    static let pageBytes = 128 << 10

    private enum Place { case services, nodes, pods, end }

    private let query: WatchQuery
    /// Changes behind it follow the listing.
    public let version: UInt64
    private var place = Place.services
    private var token: PageToken?

    init(_ query: WatchQuery, version: UInt64) {
        (self.query, self.version) = (query, version)
    }

    public var isAtEnd: Bool { place == .end }

    /// The next events' texts. O(page).
    public mutating func next(of engine: Engine, limit: Int) -> [[UInt8]] {
        let limit = min(limit, Self.pageLooks)
        switch place {
        case .services:
            guard query.kinds.contains(.service), query.nodeName == nil else { return end(.nodes) }
            let prefix = query.namespace.map(StoredService.prefix) ?? ""
            let page = engine.books.services.page(after: token, limit: limit, prefix: prefix)
            return texts(page, .nodes, WatchedObject.service) { PageToken(key: $0.key) }
        case .nodes:
            guard query.kinds.contains(.node), query.namespace == nil else { return end(.pods) }
            guard let name = query.nodeName else {
                let page = engine.books.nodes.page(after: token, limit: limit)
                return texts(page, .pods) {
                    .node($0.record)
                } _: {
                    PageToken(key: $0.name)
                }
            }
            let page = Page(items: engine.books.nodes[name].map { [$0] } ?? [])
            return texts(page, .pods) {
                .node($0.record)
            } _: {
                PageToken(key: $0.name)
            }
        case .pods:
            guard query.kinds.contains(.pod) else { return end(.end) }
            guard let node = query.nodeName else {
                let page = engine.books.pods(after: token, limit: limit, namespace: query.namespace)
                return texts(page, .end, WatchedObject.pod) { PageToken(key: $0.nameKey, version: $0.version) }
            }
            let page = engine.books.nodes[node]?.page(after: token, limit: limit, namespace: query.namespace)
            return texts(page ?? Page(), .end, WatchedObject.pod, \.nodePlace)
        case .end: return []
        }
    }

    private mutating func end(_ next: Place) -> [[UInt8]] {
        (place, token) = (next, nil)
        return []
    }

    private mutating func texts<Item>(
        _ page: Page<Item>, _ next: Place, _ object: (Item) -> WatchedObject, _ itemPlace: (Item) -> PageToken
    ) -> [[UInt8]] {
        var texts: [[UInt8]] = []
        var bytes = 0
        for item in page.items {
            let object = object(item)
            guard object.version <= version else { continue }
            let text = WatchEvent.text(.added, object, object.version)
            texts.append(text)
            bytes += text.count
            if bytes >= Self.pageBytes {
                token = itemPlace(item)
                return texts
            }
        }
        token = page.next
        if token == nil { place = next }
        return texts
    }
}

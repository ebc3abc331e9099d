import NIOHTTP1
public import TandemAPI

/// All objects of a collection at one moment.
public struct KubeList: Sendable, Hashable {
    /// In the order of their names; without `metadata.managedFields`.
    public var items: [JSONValue]
    /// Of the moment: a watch from here on tells all that changes later.
    public var version: String

    public init(items: [JSONValue], version: String) {
        self.items = items
        self.version = version
    }
}

/// Puts a list together from its pages; without I/O.
struct ListPages {
    private let collection: KubeCollection
    private let pageSize: Int
    private var items: [JSONValue] = []
    private var count = 0
    private var `continue`: String?

    /// Pages may be short, or empty, and their row ends all the same.
    static let maximumCount = 10_000
    private static let maximumObjects = 1_000_000

    init(_ collection: KubeCollection, pageSize: Int) {
        self.collection = collection
        self.pageSize = pageSize
    }

    /// For the page that is next. Without a `resourceVersion` the server asks its store, not its cache.
    var request: HTTPRequest {
        var query = [("limit", String(pageSize))]
        if let `continue` { query.append(("continue", `continue`)) }
        var request = HTTPRequest(method: .GET, path: collection.path(query))
        if collection.metadataOnly {
            request.accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
        }
        return request
    }

    /// The whole list, once the last page is here.
    mutating func receive(_ page: JSONValue) throws(KubeError) -> KubeList? {
        guard let metadata = page["metadata"], let version = metadata["resourceVersion"]?.stringValue else {
            throw .malformed("a list has no resourceVersion")
        }
        // An empty one may be written as null.
        items += (page["items"]?.arrayValue ?? []).map(KubeWatchEvent.slim)
        count += 1
        guard count <= Self.maximumCount, items.count <= Self.maximumObjects else {
            throw KubeError(.tooLarge, "the list has more than \(items.count) objects, or too many pages")
        }
        `continue` = metadata["continue"]?.stringValue.flatMap { $0.isEmpty ? nil : $0 }
        return `continue` == nil ? KubeList(items: items, version: version) : nil
    }

    /// The pages after those so far are no longer known: the list begins anew.
    mutating func restart() { self = ListPages(collection, pageSize: pageSize) }
}

extension KubeClient {
    /// The server's current version, or a later one.
    func version(of collection: KubeCollection) async throws(KubeError) -> String {
        let page = try await object(ListPages(collection, pageSize: 1).request, configuration.pageTimeout)
        guard let version = page["metadata"]?["resourceVersion"]?.stringValue else {
            throw .malformed("a list has no resourceVersion")
        }
        return version
    }

    /// The whole collection as it is now, or later: never as it was before the call. Page by page; O(objects) of memory.
    public func list(_ collection: KubeCollection) async throws(KubeError) -> KubeList {
        var pages = ListPages(collection, pageSize: configuration.pageSize)
        var hasRestarted = false
        while true {
            do throws(KubeError) {
                let page = try await object(pages.request, configuration.pageTimeout)
                if let list = try pages.receive(page) { return list }
            } catch  where error.code == .gone && !hasRestarted {
                hasRestarted = true
                pages.restart()
            }
        }
    }
}

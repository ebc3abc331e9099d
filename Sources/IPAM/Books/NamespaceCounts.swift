/// How many objects of one kind a namespace has.
public struct NamespaceCount: Sendable, Equatable {
    public var namespace: String
    public var count: Int
}

/// How many objects of one kind the namespaces have. Counted when asked for, by the orders that lists go by: no change pays for it.
public struct NamespaceCounts: Sendable, Equatable {
    /// Namespaces that have any; of very many those that were looked at.
    public private(set) var namespaces = 0
    /// Those that have most, the largest first; equal ones by name.
    public private(set) var largest: [NamespaceCount] = []
    private let limit: Int

    /// Namespaces that are looked at: beyond them nothing is known. A look costs a microsecond.
    static let maximumLooks = 10_000

    init(limit: Int) { self.limit = limit }

    /// O(limit).
    mutating func add(_ count: Int, _ namespace: () -> String) {
        namespaces += 1
        if largest.count == limit, let last = largest.last, count < last.count { return }
        let entry = NamespaceCount(namespace: namespace(), count: count)
        let place = largest.firstIndex { ($0.count, entry.namespace) < (entry.count, $0.namespace) } ?? largest.count
        largest.insert(entry, at: place)
        if largest.count > limit { largest.removeLast() }
    }
}

extension Books {
    /// Pods, each interface of one and each incarnation by itself. Namespaces whose names have one hash are counted as one.
    /// O(namespaces · log n).
    func podNamespaces(largest limit: Int) -> NamespaceCounts {
        var counts = NamespaceCounts(limit: limit)
        var key: UInt64? = 0
        while let start = key, counts.namespaces < NamespaceCounts.maximumLooks {
            // A few at a time, as a shard is held meanwhile.
            let found = podsByName.runs(from: start, lowBits: 32, limit: 256)
            for (pod, count) in found.runs { counts.add(count) { pod.namespace } }
            key = found.next
        }
        return counts
    }

    /// O(namespaces · log n).
    func serviceNamespaces(largest limit: Int) -> NamespaceCounts {
        var counts = NamespaceCounts(limit: limit)
        var start: String? = ""
        while let from = start, counts.namespaces < NamespaceCounts.maximumLooks {
            let found = services.runs(from: from, through: "/", limit: 256)
            for (prefix, count) in found.runs { counts.add(count) { String(prefix.dropLast()) } }
            start = found.next
        }
        return counts
    }
}

extension Engine {
    /// Pods and Services by namespace: the `limit` namespaces that have most of each. Any thread; O(namespaces · log n).
    public func namespaceCounts(largest limit: Int) -> (pods: NamespaceCounts, services: NamespaceCounts) {
        (books.podNamespaces(largest: limit), books.serviceNamespaces(largest: limit))
    }
}

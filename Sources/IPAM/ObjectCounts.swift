/// How many objects there are.
public struct ObjectCounts: Sendable, Equatable {
    public var services = 0
    public var nodes = 0
    public var pods = 0
}

extension Engine {
    /// Any thread; O(nodes).
    public var objectCounts: ObjectCounts {
        var pods = 0
        books.nodes.visit { pods += $0.podCount }
        return ObjectCounts(services: books.services.count, nodes: books.nodes.count, pods: pods)
    }
}

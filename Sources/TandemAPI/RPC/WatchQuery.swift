/// The parameters of `Watch`.
public struct WatchQuery: Sendable, Hashable {
    /// Services, nodes and pods, or some of them.
    public var kinds = Self.allKinds
    /// Objects of this namespace; nodes, which have none, are not among them.
    public var namespace: String?
    /// This node and its pods; Services, which are on none, are not among them.
    public var nodeName: String?
    /// Changes after this version; nil for the existing objects, and then all changes.
    public var version: UInt64?
    /// Events in one notification, 1…5000.
    public var limit = 500

    public init() {}

    public static let allKinds: KindSet = [.service, .node, .pod]
}

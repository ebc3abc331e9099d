/// Limits of clients' objects beside the ranges. Judged by the server that gets the call, before anything is
/// proposed; stored objects are kept, whatever the quotas are now. Thread-safe as a value.
public struct Quotas: Sendable, Equatable {
    /// `--max-pods-per-node`, 1 to `maximumPodsPerNode`; nil for as many as the node's IPv4 pod CIDRs hold, or
    /// `podsWithoutIPv4` where it has none.
    public var podsPerNode: Int?
    /// `--max-object-bytes`, up to `maximumObjectBytes`: of an object as it is stored, without its addresses. A stored one that is larger may
    /// only shrink.
    public var objectBytes: Int
    /// `--max-objects-per-namespace`: Services of one namespace; 0 for no limit.
    public var servicesPerNamespace: Int

    public static let maximumPodsPerNode = 65_536
    public static let podsWithoutIPv4 = 4_096
    public static let maximumObjectBytes = 512 << 10

    public init(podsPerNode: Int? = nil, objectBytes: Int = 64 << 10, servicesPerNamespace: Int = 0) {
        self.podsPerNode = podsPerNode
        self.objectBytes = objectBytes
        self.servicesPerNamespace = servicesPerNamespace
    }
}

/// Memory in use is past `--memory-limit`.
public struct MemoryShortage: Sendable, Equatable {
    /// In bytes.
    public var used: Int
    /// In bytes.
    public var limit: Int

    public init(used: Int, limit: Int) {
        self.used = used
        self.limit = limit
    }
}

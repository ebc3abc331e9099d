import TandemAPI

/// Pods by name: the order of the lists that clients read. It is by a hash of the namespace, then by one of the name, so that a
/// namespace's pods lie together and a place in it costs two words to look at; then by the name itself, then by version.
///
/// The hashes are the same in every run of the program: pages go on over a restart.
struct PodNameOrder {
    let key: UInt64
    /// `namespace/name`.
    let name: UnsafeRawBufferPointer
    /// Of the pods of one name: behind those of lower versions.
    let version: UInt64

    init(_ name: UnsafeRawBufferPointer, version: UInt64) {
        let slash = name.firstIndex(of: UInt8(ascii: "/")) ?? name.count
        key =
            Self.firstKey(ofNamespace: UnsafeRawBufferPointer(rebasing: name[..<slash]))
            | shardHash(of: UnsafeRawBufferPointer(rebasing: name[slash...])) & 0xFFFF_FFFF
        self.name = name
        self.version = version
    }

    /// The lowest key that a pod of the namespace can have; those of other namespaces with the same hash are among them.
    static func firstKey(ofNamespace namespace: UnsafeRawBufferPointer) -> UInt64 { shardHash(of: namespace) << 32 }

    func isBefore(_ pod: StoredPod) -> Bool {
        let order = pod.withNameKey { $0.order(to: name) }
        return order < 0 || order == 0 && pod.version < version
    }

    func isName(of pod: StoredPod) -> Bool { pod.withNameKey { $0.hasSameBytes(as: name) } }
}

/// Pods by container, or by name and uid where they have none; those of one container by their interfaces, then by their nodes.
struct PodOriginOrder {
    /// Seeded by the process.
    let key: UInt32
    let identity: UnsafeRawBufferPointer
    let node: String

    /// `origin` is how many bytes of the identity are its origin.
    init(_ identity: UnsafeRawBufferPointer, origin: Int, node: String) {
        key = Self.key(UnsafeRawBufferPointer(rebasing: identity[..<origin]))
        self.identity = identity
        self.node = node
    }

    static func key(_ origin: UnsafeRawBufferPointer) -> UInt32 {
        var hasher = Hasher()
        hasher.combine(bytes: origin)
        return UInt32(truncatingIfNeeded: hasher.finalize())
    }

    func isBefore(_ pod: StoredPod) -> Bool {
        let order = pod.withIdentity { $0.order(to: identity) }
        return order < 0 || order == 0 && pod.node.name < node
    }
}

extension StoredPod {
    func withNameOrder<Result>(_ body: (PodNameOrder) -> Result) -> Result {
        withNameKey { body(PodNameOrder($0, version: version)) }
    }

    func withOriginOrder<Result>(_ body: (PodOriginOrder) -> Result) -> Result {
        withIdentity { body(PodOriginOrder($0, origin: Self.originCount($0), node: incarnation.name)) }
    }
}

public import Addressing

/// One call's proposal to the books: its expectations of them, and its changes. It is judged at its place in the log, and kept
/// whole or refused whole.
public struct Proposal: Sendable, Equatable {
    /// Numbers of proposals, and versions: far more than are ever given, and far enough from the end of counting.
    static let maximumNumber = Int64.max / 2

    public var expectations: [Expectation]
    /// In the order in which they are made; each put and delete gets a version of its own.
    public var changes: [Change]

    public init(expecting expectations: [Expectation] = [], _ changes: [Change] = []) {
        self.expectations = expectations
        self.changes = changes
    }

    /// Whether an object is there, or changed, behind it.
    var puts: Bool {
        changes.contains { change in
            if case .put = change { true } else { false }
        }
    }
}

/// Which object it is: its kind, and its key among those of its kind.
public struct ObjectKey: Hashable, Sendable {
    public var kind: RecordKind
    public var key: String

    public init(_ kind: RecordKind, _ key: String) {
        self.kind = kind
        self.key = key
    }
}

/// A condition that must hold at the proposal's place, or it is refused.
public enum Expectation: Hashable, Sendable {
    /// There is no such object.
    case absent(ObjectKey)
    /// The object is there, in this version.
    case unchanged(ObjectKey, version: UInt64)
    /// The node is there, and is the one that was created with this version: it may have changed since.
    case incarnation(node: String, created: UInt64)
    /// The node has no pod, or is not there.
    case nodeEmpty(String)
}

/// One step of a proposal.
public enum Change: Hashable, Sendable {
    /// The object is there with this content from now on. Gets the next version.
    case put(ObjectKey, StoredForm)
    /// The object goes, with its addresses and ports. Gets the next version.
    case delete(ObjectKey)
    /// An address of a node, or its CIDR, is not to be given out again for a while. Takes no version: a cooling range is known by the
    /// version given last. `since` is in seconds since 1970, and tells a later start alone how long it has cooled.
    case cool(CIDR, node: String, since: Int)
    /// The range that began to cool at this version is free again, or is given to an object of this proposal.
    case thaw(CIDR, version: UInt64)
    /// The node gets no pods any more: it goes, piece by piece.
    case markReleasing(node: String)
}

/// An object as it is kept.
public struct StoredForm: Hashable, Sendable {
    /// JSON text as it is served, but for `metadata.resourceVersion`, which is not in it.
    public var document: [UInt8]
    /// The engine's data beside it, as JSON text; may be empty.
    public var context: [UInt8]
    /// Everything that is the object's from now on.
    public var holdings: [Holding]

    public init(document: [UInt8], context: [UInt8] = [], holdings: [Holding] = []) {
        self.document = document
        self.context = context
        self.holdings = holdings
    }
}

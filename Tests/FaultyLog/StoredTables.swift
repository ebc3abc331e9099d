public import Addressing
public import Ledger

/// The objects after kept proposals, applied one after the other: the slow, obvious twin of a fold.
public struct StoredTables: Sendable, Equatable {
    public private(set) var records: [ObjectKey: StoredRecord] = [:]
    /// The version given last.
    public private(set) var version: UInt64 = 0

    public init() {}

    /// Tables as they were loaded.
    public init(records: [StoredRecord], version: UInt64) {
        for record in records {
            precondition(self.records.updateValue(record, forKey: record.key) == nil, "an object came twice")
        }
        self.version = version
    }

    /// O(changes).
    public mutating func apply(_ proposal: Proposal) {
        for change in proposal.changes { apply(change) }
    }

    /// One change alone. O(1).
    public mutating func apply(_ change: Change) {
        switch change {
        case .put(let key, let form):
            version += 1
            let old = records[key]
            records[key] = StoredRecord(
                key: key, version: version, created: old?.created, isReleasing: old?.isReleasing ?? false, form: form)
        case .delete(let key):
            version += 1
            records[key] = nil
        case .cool(let range, let node, let since):
            let key = Self.coolingKey(range)
            let form = StoredForm(document: Array(#"{"node":"\#(node)","releasedAt":\#(since)}"#.utf8))
            records[key] = StoredRecord(key: key, version: version, created: records[key]?.created, form: form)
        case .thaw(let range, let version):
            let key = Self.coolingKey(range)
            if records[key]?.version == version { records[key] = nil }
        case .markReleasing(let node):
            records[ObjectKey(.node, node)]?.isReleasing = true
        }
    }

    /// An address is named by itself, a CIDR with its length.
    public static func coolingKey(_ range: CIDR) -> ObjectKey {
        ObjectKey(.cooling, range.hostBits == 0 ? "\(range.network)" : "\(range)")
    }

    /// Hands over each object, in the order of kinds and keys.
    public func load(_ body: (StoredObject) throws -> Void) rethrows {
        for record in sorted { try record.lend(to: body) }
    }

    /// In the order of kinds and keys.
    public var sorted: [StoredRecord] {
        records.values.sorted { ($0.kind.rawValue, $0.key.key) < ($1.kind.rawValue, $1.key.key) }
    }
}

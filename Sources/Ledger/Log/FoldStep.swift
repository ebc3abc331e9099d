import Addressing
import Glibc

/// The effect of some proposals on their objects: the last change of each, and the assigned versions.
///
/// Counts versions as the books do: each put and delete of a kept proposal gets the next one, in the order of the proposals and
/// of their changes.
public struct FoldStep: Sendable {
    /// The change of one object's row.
    public struct Row: Sendable {
        /// The present row, if there is one, is removed: a later one is another object.
        public private(set) var isReplaced = false
        /// The row, if it has one of these versions, goes.
        public private(set) var thawed: [UInt64] = []
        /// The row, if it is there, is marked.
        public private(set) var marksStored = false
        /// `created` is good where the row is not there yet, or is replaced: a change keeps the row's.
        public private(set) var content: (form: StoredForm, version: UInt64, created: UInt64)?
        /// The content is.
        public private(set) var isReleasing = false

        fileprivate mutating func make(_ change: RowChange) {
            switch change {
            case .put(let form, let version): content = (form, version, content?.created ?? version)
            case .delete: self = Row(isReplaced: true)
            case .thaw(let version):
                guard let content else { return thawed.append(version) }
                if content.version == version { self = Row(isReplaced: true) }
            case .markReleasing:
                if content != nil { isReleasing = true } else if !isReplaced { marksStored = true }
            }
        }
    }

    fileprivate enum RowChange: Sendable {
        case put(StoredForm, version: UInt64)
        case delete
        case thaw(version: UInt64)
        case markReleasing
    }

    /// In their order.
    private var changes: [(key: ObjectKey, change: RowChange)] = []
    /// The version given last.
    public private(set) var version: UInt64
    /// Changes so far.
    public private(set) var count = 0

    public init(version: UInt64) {
        self.version = version
    }

    /// The next kept proposal. O(changes).
    public mutating func add(_ proposal: Proposal) {
        count += proposal.changes.count
        for change in proposal.changes { add(change) }
    }

    private mutating func add(_ change: Change) {
        switch change {
        case .put(let key, let form):
            version += 1
            changes.append((key, .put(form, version: version)))
        case .delete(let key):
            version += 1
            changes.append((key, .delete))
        case .cool(let range, let node, let since):
            let form = StoredForm(document: Self.coolingDocument(node: node, since: since))
            changes.append((ObjectKey(.cooling, range.shortText), .put(form, version: version)))
        case .thaw(let range, let version):
            changes.append((ObjectKey(.cooling, range.shortText), .thaw(version: version)))
        case .markReleasing(let node): changes.append((ObjectKey(.node, node), .markReleasing))
        }
    }

    /// `{"node":"n1","releasedAt":1700000000}`.
    static func coolingDocument(node: String, since: Int) -> [UInt8] {
        var text = #"{"node":""#
        for scalar in node.unicodeScalars {
            switch scalar {
            case "\"", "\\": text += "\\" + String(scalar)
            case "\0"..<" ": text += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
            default: text.unicodeScalars.append(scalar)
            }
        }
        return Array((text + #"","releasedAt":\#(since)}"#).utf8)
    }

    /// The rows, in the order of kinds and of the bytes of keys. O(changes log changes).
    public var records: [(key: ObjectKey, row: Row)] {
        var records: [(key: ObjectKey, row: Row)] = []
        records.reserveCapacity(changes.count)
        for index in order {
            let (key, change) = changes[index]
            if records.last?.key != key { records.append((key, Row())) }
            records[records.count - 1].row.make(change)
        }
        return records
    }

    /// The changes' indices in the order of kinds and keys; those of one key in their own. Compared are bytes that lie side by side: strings
    /// cost four times as much, and a dictionary of the rows as much again.
    private var order: [Int] {
        var text: [UInt8] = []
        text.reserveCapacity(changes.count * 48)
        var names: [(start: Int, count: Int, index: Int)] = []
        names.reserveCapacity(changes.count)
        for (index, (key, _)) in changes.enumerated() {
            let start = text.count
            text.append(key.kind.rawValue)
            text.append(contentsOf: key.key.utf8)
            names.append((start, text.count - start, index))
        }
        text.withUnsafeBufferPointer { text in
            // No changes, nothing to sort. Each name lies in the text, which has as many bytes as are compared.
            guard let text = text.baseAddress else { return }
            names.sort { first, second in
                let order = memcmp(text + first.start, text + second.start, min(first.count, second.count))
                if order != 0 { return order < 0 }
                return (first.count, first.index) < (second.count, second.index)
            }
        }
        return names.map(\.index)
    }
}

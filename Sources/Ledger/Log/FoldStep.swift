import Addressing

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

        fileprivate mutating func thaw(_ version: UInt64) { thawed.append(version) }

        fileprivate mutating func delete() { self = Row(isReplaced: true) }

        fileprivate mutating func markReleasing() {
            if content != nil { isReleasing = true } else if !isReplaced { marksStored = true }
        }

        fileprivate mutating func put(_ form: StoredForm, _ version: UInt64) {
            content = (form, version, content?.created ?? version)
        }
    }

    private var keys: [ObjectKey] = []
    /// One for each key.
    private var rows: [Row] = []
    /// Where an object's key is among them.
    private var places: [ObjectKey: Int] = [:]
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
            rows[place(of: key)].put(form, version)
        case .delete(let key):
            version += 1
            rows[place(of: key)].delete()
        case .cool(let range, let node, let since):
            let document = Self.coolingDocument(node: node, since: since)
            rows[place(of: ObjectKey(.cooling, range.shortText))].put(StoredForm(document: document), version)
        case .thaw(let range, let version):
            let place = place(of: ObjectKey(.cooling, range.shortText))
            if let content = rows[place].content {
                if content.version == version { rows[place].delete() }
            } else {
                rows[place].thaw(version)
            }
        case .markReleasing(let node):
            rows[place(of: ObjectKey(.node, node))].markReleasing()
        }
    }

    private mutating func place(of key: ObjectKey) -> Int {
        func read(_ place: inout Int) -> Int { place }
        // One search, whether the key is there or comes in.
        let place = read(&places[key, default: rows.count])
        if place == rows.count {
            keys.append(key)
            rows.append(Row())
        }
        return place
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

    /// The rows, in the order of kinds and keys. O(objects log objects).
    public var records: [(key: ObjectKey, row: Row)] {
        // Places are sorted, by keys alone: the values are large, and moving or reading them copies them.
        keys.indices.sorted { first, second in
            let (first, second) = (keys[first], keys[second])
            return first.kind == second.kind ? first.key < second.key : first.kind.rawValue < second.kind.rawValue
        }
        .map { (keys[$0], rows[$0]) }
    }
}

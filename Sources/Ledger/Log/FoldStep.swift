import Addressing
import Glibc

/// The effect of some proposals on their objects: the last change of each, and the assigned versions.
///
/// Counts versions as the books do: each put and delete of a kept proposal gets the next one, in the order of the proposals and
/// of their changes.
public struct FoldStep: Sendable {
    public typealias Row = FoldedRow<StoredForm>

    /// An object's kind, and where its key is among `bytes`.
    struct Name: Sendable {
        let kind: RecordKind
        let key: Range<Int>
    }

    /// Where a document and a context are among `bytes`, and their holdings among `holdings`.
    struct Form: Sendable {
        let document: Range<Int>
        let context: Range<Int>
        let holdings: Range<Int>
    }

    // Those of all changes lie side by side: memory for each text by itself would be a quarter of a step's cost.
    var bytes: [UInt8] = []
    var holdings: [Holding] = []
    /// In their order.
    private var changes: [(name: Name, change: RowChange<Form>)] = []
    /// The version given last.
    public private(set) var version: UInt64
    /// Changes so far.
    public var count: Int { changes.count }

    public init(version: UInt64) {
        self.version = version
    }

    // MARK: Changes

    /// The next kept proposal. O(bytes).
    public mutating func add(_ proposal: Proposal) {
        for change in proposal.changes { add(change) }
    }

    mutating func add(_ change: Change) {
        switch change {
        case .put(let key, let form): put(name(key.kind, key.key), self.form(form))
        case .delete(let key):
            version += 1
            changes.append((name(key.kind, key.key), .delete))
        case .cool(let range, let node, let since):
            let form = form(StoredForm(document: Self.coolingDocument(node: node, since: since)))
            changes.append((name(.cooling, range.shortText), .put(form, version: version, created: version)))
        case .thaw(let range, let version):
            changes.append((name(.cooling, range.shortText), .thaw(version: version)))
        case .markReleasing(let node): changes.append((name(.node, node), .markReleasing))
        }
    }

    /// The object is put, with the next version.
    mutating func put(_ name: Name, _ form: Form) {
        version += 1
        changes.append((name, .put(form, version: version, created: version)))
    }

    /// An object that is not there yet, as it is.
    mutating func add(_ record: StoredRecord) {
        let name = name(record.kind, record.key.key)
        changes.append((name, .put(form(record.form), version: record.version, created: record.created)))
        if record.isReleasing { changes.append((name, .markReleasing)) }
    }

    private mutating func name(_ kind: RecordKind, _ key: String) -> Name { Name(kind: kind, key: append(key.utf8)) }

    private mutating func form(_ form: StoredForm) -> Form {
        let first = holdings.count
        holdings += form.holdings
        return Form(
            document: append(form.document), context: append(form.context), holdings: first..<holdings.count)
    }

    private mutating func append(_ text: some Collection<UInt8>) -> Range<Int> {
        let start = bytes.count
        bytes.append(contentsOf: text)
        return start..<bytes.count
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

    // MARK: Rows

    /// The rows, in the order of kinds and of the bytes of keys. O(changes log changes + bytes).
    public var records: [(key: ObjectKey, row: Row)] {
        rows.map { name, row in
            let row = row.map { form in
                StoredForm(
                    document: Array(bytes[form.document]), context: Array(bytes[form.context]),
                    holdings: Array(holdings[form.holdings]))
            }
            return (ObjectKey(name.kind, key(name)), row)
        }
    }

    func key(_ name: Name) -> String { String(decoding: bytes[name.key], as: UTF8.self) }

    /// The same in place. O(changes log changes).
    var rows: [(name: Name, row: FoldedRow<Form>)] {
        var rows: [(name: Name, row: FoldedRow<Form>)] = []
        rows.reserveCapacity(changes.count)
        bytes.withUnsafeBufferPointer { bytes in
            // No bytes, no names. Each name lies among the bytes, as many of which are compared.
            guard let bytes = bytes.baseAddress else { return }
            func order(_ left: Name, _ right: Name) -> Int {
                guard left.kind == right.kind else { return Int(left.kind.rawValue) - Int(right.kind.rawValue) }
                let order = memcmp(
                    bytes + left.key.lowerBound, bytes + right.key.lowerBound, min(left.key.count, right.key.count))
                return order == 0 ? left.key.count - right.key.count : Int(order)
            }
            let places = changes.indices.sorted { first, second in
                let order = order(changes[first].name, changes[second].name)
                return order == 0 ? first < second : order < 0
            }
            for place in places {
                let (name, change) = changes[place]
                if rows.last.map({ order($0.name, name) != 0 }) ?? true { rows.append((name, FoldedRow())) }
                rows[rows.count - 1].row.make(change)
            }
        }
        return rows
    }
}

private enum RowChange<Form: Sendable>: Sendable {
    case put(Form, version: UInt64, created: UInt64)
    case delete
    case thaw(version: UInt64)
    case markReleasing
}

/// The change of one object's row.
public struct FoldedRow<Form: Sendable>: Sendable {
    /// The present row, if there is one, is removed: a later one is another object.
    public private(set) var isReplaced = false
    /// The row, if it has one of these versions, goes.
    public private(set) var thawed: [UInt64] = []
    /// The row, if it is there, is marked.
    public private(set) var marksStored = false
    /// `created` is good where the row is not there yet, or is replaced: a change keeps the row's.
    public private(set) var content: (form: Form, version: UInt64, created: UInt64)?
    /// The content is.
    public private(set) var isReleasing = false

    fileprivate mutating func make(_ change: RowChange<Form>) {
        switch change {
        case .put(let form, let version, let created): content = (form, version, content?.created ?? created)
        case .delete: self = FoldedRow(isReplaced: true)
        case .thaw(let version):
            guard let content else { return thawed.append(version) }
            if content.version == version { self = FoldedRow(isReplaced: true) }
        case .markReleasing:
            if content != nil { isReleasing = true } else if !isReplaced { marksStored = true }
        }
    }

    fileprivate func map<Other>(_ transform: (Form) -> Other) -> FoldedRow<Other> {
        FoldedRow<Other>(
            isReplaced: isReplaced, thawed: thawed, marksStored: marksStored,
            content: content.map { (transform($0.form), $0.version, $0.created) }, isReleasing: isReleasing)
    }
}

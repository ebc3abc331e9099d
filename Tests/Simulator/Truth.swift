import FaultyLog
import Ledger

/// The truth by the log: the slow books, the verdict on each proposal, and the states of each object.
struct Truth {
    private(set) var books = SlowBooks()
    /// By the proposals' places in the whole log.
    private(set) var verdicts: [Bool] = []
    private(set) var proposals: [Proposal] = []
    /// How many proposals there were by the end of each entry.
    private var entryEnds: [Int] = []
    private var histories: [ObjectKey: [(place: Int, record: StoredRecord?)]] = [:]

    mutating func enter(_ proposal: Proposal) -> Bool {
        let isKept = books.apply(proposal)
        verdicts.append(isKept)
        proposals.append(proposal)
        guard isKept else { return false }
        for change in proposal.changes {
            switch change {
            case .put(let key, _), .delete(let key): note(key)
            case .markReleasing(let node): note(ObjectKey(.node, node))
            case .cool, .thaw: break
            }
        }
        return true
    }

    private mutating func note(_ key: ObjectKey) {
        histories[key, default: []].append((verdicts.count, books.tables.records[key]))
    }

    mutating func endEntry() { entryEnds.append(verdicts.count) }

    func place(ofEntry entry: Int) -> Int { entry == 0 ? 0 : entryEnds[entry - 1] }

    /// The states of an object at a place and ever since, the newest first; nil where it was not there.
    func states(of key: ObjectKey, since place: Int) -> [StoredRecord?] {
        var states: [StoredRecord?] = []
        for (then, record) in (histories[key] ?? []).reversed() {
            states.append(record)
            if then <= place { return states }
        }
        return states + [nil]
    }
}

extension Proposal {
    /// For a person: without documents.
    var short: String {
        let changes = changes.map { change in
            switch change {
            case .put(let key, let form):
                "put \(key.key) holding \(form.holdings.map { $0.range.map { "\($0)" } ?? "\($0)" })"
            case .delete(let key): "delete \(key.key)"
            case .cool(let range, let node, _): "cool \(range) of \(node)"
            case .thaw(let range, let version): "thaw \(range) since \(version)"
            case .markReleasing(let node): "mark \(node)"
            }
        }
        return "expects \(expectations); \(changes.joined(separator: "; "))"
    }
}

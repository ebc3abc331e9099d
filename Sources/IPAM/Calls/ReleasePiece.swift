import Addressing
import TandemAPI

/// The limits of one piece of a large release: no commit beside it waits for long. A call is carried through all of its
/// pieces, and where one fails a retry goes on with the others.
struct ReleasePiece {
    static let maximumBytes = 64 << 10

    private let maximumRecords: Int
    private var records = 0
    private var bytes = 0

    init(maximumRecords: Int) {
        self.maximumRecords = maximumRecords
    }

    /// Whether there is room for a pod's removal and the cooling of its addresses; the first always has it.
    mutating func add(_ pod: StoredPod) -> Bool {
        let records = records + 1 + pod.addressCount
        let bytes = bytes + pod.recordBytes
        guard self.records == 0 || records <= maximumRecords && bytes <= Self.maximumBytes else { return false }
        (self.records, self.bytes) = (records, bytes)
        return true
    }
}

/// The addresses that a release has freed so far. The answer names only the first of them, and counts the rest.
struct ReleasedSoFar: Sendable {
    /// Addresses and CIDRs that one answer names.
    static let maximumNamed = 10_000

    private var named: [Released] = []
    private var more = 0

    mutating func add(_ range: Released.What, of owner: @autoclosure () -> Owner) {
        if named.count < Self.maximumNamed { named.append(Released(range, owner: owner())) } else { more += 1 }
    }

    mutating func add(_ pod: StoredPod) {
        guard named.count < Self.maximumNamed else {
            more += pod.addressCount
            return
        }
        let owner = pod.owner
        for address in pod.addresses { add(.address(address), of: owner) }
    }

    /// O(named addresses).
    var result: CallResult { .released(named, more: more) }
}

extension StoredPod {
    /// About as many as the changes of its release have.
    fileprivate var recordBytes: Int {
        2 * withIdentity(\.count) + (addressCount + 2) * (node.name.utf8.count + 40) + 20
    }
}

import Addressing
import DualStack
import Ledger
import TandemAPI

/// `Release`: gives back what one object holds. Releasing what is not there succeeds with an empty list.
extension Engine {
    func release(_ target: Release, for caller: Caller) {
        switch target {
        case .service(let metadata): release(service: metadata, for: caller)
        case .node(let metadata, let force): release(node: metadata, force: force, for: caller)
        // The name's or the container's turn comes first: an allocation that came before is over then, whatever node it is on,
        // and none comes between.
        case .pod(let metadata):
            podTurns.take(PodIdentity.turn(of: metadata), on: caller.executor) { turn in
                self.releasePods(.named(metadata), for: caller.holding(turn))
            }
        case .attachment(let containerID, let ifName):
            let origin = PodIdentity.origin(containerID: containerID)
            afterArrivals(of: origin, for: caller) {
                self.podTurns.take(origin, on: caller.executor) { turn in
                    self.releasePods(.attached(origin: origin, ifName: ifName), for: caller.holding(turn))
                }
            }
        }
    }

    // MARK: Services

    private func release(service metadata: ObjectMeta, for caller: Caller) {
        let key = StoredService.key(metadata.namespace, metadata.name)
        serviceTurns.take(key, on: caller.executor) { turn in
            let caller = caller.holding(turn)
            guard let stored = self.registry.services[key], metadata.uid == nil || metadata.uid == stored.uid else {
                return caller.succeed(.released([]))
            }
            self.release(stored, for: caller)
        }
    }

    private func release(_ stored: StoredService, for caller: Caller) {
        let result = CallResult.released(stored.holdings.map { Released(.address($0.address), owner: stored.owner) })
        guard !caller.isDryRun else { return caller.succeed(result) }
        let registry = registry
        let change = Change(
            records: [LedgerRecord(kind: .service, key: stored.key, version: nextVersion(), change: .delete)],
            freed: stored.holdings.compactMap { held in
                pools.addressPool(held.pool, containing: held.address).map { .address($0, held.address) }
            },
            apply: { registry.remove(stored) })
        commit(change) { outcome in caller.answer(outcome.result(result)) }
    }
}

/// What one piece of a large release may change: no commit beside it waits for long. A call is carried through all of its
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

/// What a release has given back so far. The answer names the first of it alone, and counts the rest.
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

    /// O(what is named).
    var result: CallResult { .released(named, more: more) }

    /// Its answer is made in no time.
    private var isSmall: Bool { named.count <= 16 }

    /// Answers the caller; a large answer is made where the caller's work is done, not on the journal's thread.
    func answer(_ caller: Caller) {
        if isSmall { caller.succeed(result) } else { caller.execute { caller.succeed(result) } }
    }
}

extension StoredPod {
    func removal(version: UInt64) -> LedgerRecord {
        LedgerRecord(kind: .pod, key: key, version: version, change: .delete)
    }

    /// About as many as the records of its release have.
    fileprivate var recordBytes: Int { withKey(\.count) + addressCount * (node.name.utf8.count + 100) + 20 }
}

extension CommitOutcome {
    func result(_ success: CallResult) -> Result<CallResult, APIError> {
        switch self {
        case .kept: .success(success)
        case .refused: .failure(.refusedTooOften)
        case .failed(let error): .failure(error)
        }
    }
}

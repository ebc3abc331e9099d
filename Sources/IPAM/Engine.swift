import Addressing
import DualStack
public import Ledger
import Measures
public import TandemAPI

/// The address manager: the books, the pools in which addresses are found, and the log that orders and keeps every change.
///
/// Thread-safe; no call blocks. A call runs on the caller's thread as far as its proposal, unless it has to wait for another call, and its
/// answer comes on the caller's executor; calls that only look are answered before `perform` returns, but for a fence where
/// several servers share the log.
public final class Engine: Sendable {
    public let cluster: ClusterConfiguration
    let journal: Journal
    let rules: ServiceRules
    let books: Books
    let environment: Environment
    let stages = StageTimes()
    public let allocations: AllocationCounts
    /// The changes of one piece of a large release.
    let recordsPerPiece: Int
    let serviceTurns = Turns()
    let nodeTurns = Turns()
    let podTurns = Turns()
    /// By a container's turn the turns of the names that allocations for it are for.
    let podArrivals = PodArrivals()
    let newServices = Arrivals()
    let quotas: Quotas
    /// By a name or an origin the nodes that have allocations for it in flight.
    let podNodes = PodArrivals()
    let verdicts: Verdicts
    let claimingCalls = ClaimingCalls()
    /// Other servers append to the log as well.
    let isShared: Bool

    var pools: Pools { books.pools }

    /// Reads everything that the log holds and starts its journal.
    ///
    /// Blocks for as long as the log takes to read: O(objects). Throws where the configuration can't serve the
    /// stored objects, and where the log can't be read or contradicts itself.
    ///
    /// With `stepsByHand` the journal has no thread of its own, and the caller calls its `step`. `recordsPerPiece`, at least 4,
    /// is how many changes of a large release go into one proposal. `watchHistoryBytes` are the bytes of recent changes kept for
    /// watches.
    public init(
        cluster: ClusterConfiguration, log: any Log, quotas: Quotas = Quotas(), environment: Environment = .system,
        stepsByHand: Bool = false, recordsPerPiece: Int = 512, watchHistoryBytes: Int = 64 << 20
    ) throws {
        if let fault = cluster.faults.first { throw fault }
        self.cluster = cluster
        self.recordsPerPiece = recordsPerPiece
        self.environment = environment
        self.quotas = quotas
        allocations = AllocationCounts(clusterCIDRs: cluster.clusterCIDRs)
        rules = ServiceRules(
            clusterFamilies: cluster.serviceRanges.map(\.network.family),
            loadBalancers: cluster.loadBalancers, handsOutNodePorts: cluster.nodePortRange != nil)
        let delay = cluster.podIPReuseDelaySeconds
        let books = Books(
            pools: Pools(cluster), podUsage: PodUsage(clusterCIDRs: cluster.clusterCIDRs),
            history: ChangeHistory(maximumBytes: watchHistoryBytes),
            coolingEnd: { environment.uptime() + delay })
        try BooksLoad(books, environment: environment, reuseDelay: delay).run(log)
        // Memory that only the start needed: some 45 bytes a pod.
        releaseFreeMemory()
        log.noteDigest(books.digest)
        isShared = log.isShared
        let verdicts = Verdicts()
        (self.books, self.verdicts) = (books, verdicts)
        journal = Journal(
            log: log, runsOwnThread: !stepsByHand, now: environment.moment,
            foreign: { proposals in proposals.map { books.apply($0) == nil } },
            groupEnded: {
                log.noteDigest(books.digest)
                verdicts.handOver()
                books.history.wake()
            })
    }

    /// Runs one call. `onlyNode` limits a node's own agent to objects of that node; `flow` names the changes behind which its own wait. A call
    /// that had to wait, for another one or for the log, goes on where `executor` has it; without one on the thread that it waited for. Where
    /// `asker` leaves before the call's change, or the next piece of it, is in the log, it is not made, and the call ends with an error.
    public func perform(
        _ call: Call, onlyNode: String? = nil, of flow: Flow = .server, for asker: (any Asker)? = nil,
        on executor: (any Executor)? = nil,
        _ answer: @escaping Answer
    ) {
        let caller = Caller(
            isDryRun: call.isDryRun, onlyNode: onlyNode, flow: flow, executor: executor, asker: asker, journal: journal,
            isFenced: !isShared, answer)
        if call.isChange, journal.isCongested(for: flow) { return caller.fail(.congested) }
        guard isShared else { return run(call, for: caller) }
        // Of a log that is silent a fence learns sooner than a proposal, which may have landed.
        guard mayDecideFirst(call), journal.isAnswering else { return runFenced(call, for: caller) }
        run(call, for: caller.unlessFenced { self.runFenced(call, for: caller) })
    }

    /// Changes that other servers have acknowledged by now are to be seen by this call: one question to the store for all that wait.
    private func runFenced(_ call: Call, for caller: Caller) {
        let refusal = journal.fence { result in
            caller.noteFence()
            switch result {
            case .success: self.verdicts.post(on: caller.executor) { self.run(call, for: caller) }
            case .failure(let error): self.verdicts.post(on: caller.executor) { caller.fail(APIError(error)) }
            }
        }
        // No group ends behind it that would hand it over.
        if let refusal { caller.fail(APIError(refusal)) }
    }

    private func run(_ call: Call, for caller: Caller) {
        switch call.body {
        case .allocateServiceIPs(let service): allocate(service, call.adoption, for: caller)
        case .updateServiceIPs(let service): update(service, for: caller)
        case .allocateNodeCIDRs(let node): allocate(node, call.adoption, for: caller)
        case .allocatePodIPs(let request): allocate(request, call.adoption, for: caller)
        case .release(let target): release(target, for: caller)
        case .getService(let metadata): caller.answer(getService(metadata))
        case .listServices(let query): caller.answer(listServices(query))
        case .getNode(let metadata): caller.answer(getNode(metadata))
        case .listNodes(let query): caller.answer(listNodes(query))
        case .getPod(let metadata, let node): caller.answer(getPod(metadata, on: node ?? caller.onlyNode))
        case .listPods(let query): caller.answer(listPods(query))
        case .checkNode(let metadata): caller.answer(.success(checkNode(metadata.name).result))
        case .lookupIP(let address): caller.answer(.success(lookup(address).result))
        case .listHolders(let query): caller.answer(listHolders(query))
        case .getPools(let query): caller.answer(getPools(query))
        case .getPoolMap(let query): caller.answer(getPoolMap(query))
        case .discover: caller.answer(.success(.openRPC))
        // Of the connection, which has a stream for the events that follow.
        case .watch, .unwatch: caller.answer(.failure(.noStream(call.method)))
        }
    }

    /// Stored addresses that lie in no current range. Any thread; O(1).
    public var outsideRanges: OutsideRanges { books.outsideRanges }

    /// The digest of the books: equal for servers that applied the same of one log. Any thread; O(1).
    public var digest: UInt64 { books.digest }
}

extension Engine {
    /// Whether a proposal that is kept proves at its place in the log everything that was read for it, so that the call needs no fence
    /// unless it ends without one: it makes a new object, found by the key that the proposal expects to be absent.
    ///
    /// Not so a pod with a uid and without an attachment, which may be there under another key, and where objects are counted against a quota.
    private func mayDecideFirst(_ call: Call) -> Bool {
        guard !call.isDryRun, call.adoption == nil else { return false }
        switch call.body {
        case .allocateServiceIPs: return quotas.servicesPerNamespace == 0
        case .allocateNodeCIDRs: return true
        case .allocatePodIPs(let request):
            let isCounted =
                quotas.podsPerNode != nil || request.ipFamilies != nil || !cluster.podFamilies.contains(.ipv4)
            return !isCounted && (request.attachment != nil || request.pod.metadata.uid == nil)
        default: return false
        }
    }
}

extension Engine {
    /// The moment at which a stage begins, if it is one of those to be timed: while every eighth version is the newest.
    func stageStart() -> Moment? { books.version & 7 == 0 ? Moment.now() : nil }
}

import Addressing
import DualStack
public import Ledger
import Synchronization
public import TandemAPI

/// The address manager: a registry of objects, the pools that their addresses come from, and the ledger that makes
/// both durable.
///
/// Thread-safe; no call blocks. A call runs on the caller's thread as far as its commit, unless it has to wait for another call,
/// and its answer comes on the journal's thread; calls that only look are answered before `perform` returns.
public final class Engine: Sendable {
    public typealias Answer = @Sendable (Result<CallResult, APIError>) -> Void

    public let cluster: ClusterConfiguration
    public let journal: Journal
    let rules: ServiceRules
    let pools: Pools
    let registry: Registry
    let environment: Environment
    public let stages = StageTimes()
    public let allocations: AllocationCounts
    /// What one piece of a large release may change.
    let recordsPerPiece: Int
    let serviceTurns = Turns()
    let nodeTurns = Turns()
    let podTurns = Turns()
    let podArrivals = PodArrivals()
    /// The version given last, of any object.
    private let versions: Atomic<UInt64>

    /// Reads everything that the store holds and starts its journal.
    ///
    /// Blocks for as long as the store takes to read: O(objects). Throws where the configuration can't serve what is
    /// stored, and where the store can't be read or contradicts itself.
    ///
    /// With `stepsByHand` the journal has no thread of its own, and the caller calls its `step`. `recordsPerPiece`, at least 4,
    /// is how many records of a large release go into one change.
    public init(
        cluster: ClusterConfiguration, store: any LedgerStore, environment: Environment = .system,
        stepsByHand: Bool = false, recordsPerPiece: Int = 512
    ) throws {
        if let fault = cluster.faults.first { throw fault }
        self.cluster = cluster
        self.recordsPerPiece = recordsPerPiece
        self.environment = environment
        allocations = AllocationCounts(clusterCIDRs: cluster.clusterCIDRs)
        rules = ServiceRules(
            clusterFamilies: cluster.serviceRanges.map(\.network.family),
            loadBalancerFamilies: cluster.loadBalancerRanges.map(\.network.family))
        pools = Pools(cluster)
        registry = Registry(podUsage: PodUsage(clusterCIDRs: cluster.clusterCIDRs))
        let recovery = Recovery(
            pools: pools, registry: registry, environment: environment, reuseDelay: cluster.podIPReuseDelaySeconds)
        versions = Atomic(try recovery.run(store))
        journal = Journal(store: store, runsOwnThread: !stepsByHand)
    }

    /// Runs one call. `onlyNode` limits a node's own agent to what belongs to that node. A call that had to wait for another one
    /// goes on where `executor` has it; without one on the thread that it waited for.
    public func perform(
        _ call: Call, onlyNode: String? = nil, on executor: Executor? = nil, _ answer: @escaping Answer
    ) {
        if call.isChange, journal.isCongested { return answer(.failure(.congested)) }
        let caller = Caller(isDryRun: call.isDryRun, onlyNode: onlyNode, executor: executor, answer: answer)
        switch call.body {
        case .allocateServiceIPs(let service): allocate(service, for: caller)
        case .updateServiceIPs(let service): update(service, for: caller)
        case .allocateNodeCIDRs(let node): allocate(node, for: caller)
        case .allocatePodIPs(let request): allocate(request, for: caller)
        case .release(let target): release(target, for: caller)
        case .getService(let metadata): answer(getService(metadata))
        case .listServices(let query): answer(listServices(query))
        case .getNode(let metadata): answer(getNode(metadata))
        case .listNodes(let query): answer(listNodes(query))
        case .getPod(let metadata): answer(getPod(metadata, onlyNode: onlyNode))
        case .listPods(let query): answer(listPods(query))
        case .lookupIP(let address): answer(.success(lookup(address).result))
        case .getPools(let query): answer(getPools(query))
        case .discover: answer(.success(.openRPC))
        }
    }

    /// What may be said of a call's result. Once storage has failed for good, nobody knows whether the change before it is
    /// stored; memory, which would answer a retry or a look, may show what is not. So nothing is said any more.
    public func confirmed(_ result: Result<CallResult, APIError>) -> Result<CallResult, APIError> {
        guard journal.hasFailed else { return result }
        if case .failure(let error) = result, error.status == .unavailable { return result }
        return .failure(
            .unavailable(
                "storage failed, and what is stored can't be told before a restart has read it",
                reason: "StorageUnavailable"))
    }

    /// Relaxed, as below.
    var newestVersion: UInt64 { versions.load(ordering: .relaxed) }

    /// A version higher than every one before. Relaxed: it orders nothing but itself, and one object's versions are
    /// taken under that object's turn.
    func nextVersion() -> UInt64 {
        versions.wrappingAdd(1, ordering: .relaxed).newValue
    }
}

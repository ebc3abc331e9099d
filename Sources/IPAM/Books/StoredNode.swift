import Addressing
import Allocation
import Synchronization
import TandemAPI

/// One incarnation of a Node: from the proposal that brought it into being to the one that takes it away. Its pods, its cooling addresses
/// and its pools stay while its record changes. Thread-safe.
final class StoredNode: NodeIncarnation, @unchecked Sendable {
    // Proof of `@unchecked Sendable`: all that is stored here is a constant, atomic, or behind a lock.
    /// The pods that hold addresses of this node, committed ones only.
    let pods = Mutex(NodePods())
    let cooling = CoolingAddresses()
    private let current: Mutex<NodeRecord>
    // Relaxed: set by `Books.apply` before the node is shown to any reader.
    private let createdVersion = Atomic<UInt64>(0)
    // Relaxed: it only ever turns true, and refusals for it are decided on the log's thread, which sets it.
    private let releasing = Atomic<Bool>(false)

    init(_ record: NodeRecord, created: UInt64 = 0) {
        current = Mutex(record)
        createdVersion.store(created, ordering: .relaxed)
        super.init(record.name)
    }

    var record: NodeRecord { current.withLock { $0 } }

    func replace(_ record: NodeRecord) { current.withLock { $0 = record } }

    /// The version with which this incarnation came into being.
    var created: UInt64 { createdVersion.load(ordering: .relaxed) }

    func stamp(created version: UInt64) { createdVersion.store(version, ordering: .relaxed) }

    /// It gets no pods any more: its release has begun.
    var isReleasing: Bool { releasing.load(ordering: .relaxed) }

    func markReleasing() { releasing.store(true, ordering: .relaxed) }

    // MARK: Pods on their way

    // Relaxed: a count that orders nothing.
    private let arriving = Atomic<Int>(0)

    /// A pod of it is about to be kept: how many there are with that one.
    func enter() -> Int { arriving.wrappingAdd(1, ordering: .relaxed).newValue }

    /// It is kept, or it is not.
    func leave() { arriving.wrappingSubtract(1, ordering: .relaxed) }

    // MARK: Its record

    var uid: Written<ObjectUID> { record.uid }
    var podCIDRs: Few<CIDR> { record.podCIDRs }
    /// In the order of `podCIDRs`.
    var pools: [AddressPool] { record.pools }
    var owner: Owner { record.owner }

    /// The first of the family that has an address left, or the first.
    func pool(_ family: IPFamily) -> AddressPool? { record.pool(family) }

    func pool(containing address: IPAddress) -> AddressPool? { record.pools.first { $0.cidr.contains(address) } }

    // MARK: Its pods

    var podCount: Int { pods.withLock { $0.count } }

    /// The committed pod that holds the address. O(log n).
    func holder(of address: IPAddress) -> StoredPod? { pods.withLock { $0.holder(of: address) } }

    /// So many pods, in the order of their first addresses, from behind a place on.
    func pods(after place: NodePods.PodPlace?, limit: Int) -> [StoredPod] {
        var found: [StoredPod] = []
        pods.withLock { pods in
            pods.visit(after: place) { pod in
                found.append(pod)
                return found.count < limit
            }
        }
        return found
    }

    /// So many addresses of a family and their pods, in an order that stays, from behind one on. O(log n + limit).
    func addresses(_ family: IPFamily, after start: IPAddress?, limit: Int) -> [(address: IPAddress, pod: StoredPod)] {
        var found: [(address: IPAddress, pod: StoredPod)] = []
        pods.withLock { pods in
            pods.visit(family, after: start) { address, pod in
                found.append((address, pod))
                return found.count < limit
            }
        }
        return found
    }

    func pods(after pod: StoredPod?, limit: Int) -> [StoredPod] {
        pods(after: pod.map { NodePods.PodPlace(behind: $0) }, limit: limit)
    }

    /// Calls `body` with each of its pods. O(pods of the node).
    func visitPods(_ body: (StoredPod) -> Void) {
        var last: StoredPod?
        repeat {
            // A few at a time, as the lock is held meanwhile.
            let pods = pods(after: last, limit: 256)
            for pod in pods { body(pod) }
            last = pods.last
        } while last != nil
    }

    /// The newest incarnation of a name that is wanted. O(pods of the node).
    func newestPod(named metadata: ObjectMeta, where isWanted: (StoredPod) -> Bool) -> StoredPod? {
        var newest: StoredPod?
        visitPods { pod in
            guard pod.version > newest?.version ?? 0, pod.name == metadata.name,
                pod.namespace == metadata.namespace, isWanted(pod)
            else { return }
            newest = pod
        }
        return newest
    }
}

extension StoredPod {
    /// The node that it is on. Every incarnation is a `StoredNode`.
    var node: StoredNode { unsafeDowncast(incarnation, to: StoredNode.self) }
}

/// A Node as it was last kept, with the pools that its pods' addresses come from.
///
/// Proof of `@unchecked Sendable`: `version` is set once, by `Books.apply`, before the record is shown to any reader.
final class NodeRecord: @unchecked Sendable {
    let name: String
    let uid: Written<ObjectUID>
    /// The uid came from a client; else Tandem made it.
    let isUIDGiven: Bool
    private(set) var version: UInt64
    /// As it is stored: without its version.
    let document: [UInt8]
    /// One per family, in the order in which the node got them.
    let podCIDRs: Few<CIDR>
    /// In the order of `podCIDRs`.
    let pools: [AddressPool]

    /// Pools of CIDRs that are there already are taken from `known`.
    init(
        _ node: Node, podCIDRs: Few<CIDR>, isUIDGiven: Bool, document: [UInt8], version: UInt64 = 0,
        known: [AddressPool] = []
    ) {
        name = node.metadata.name
        uid = node.metadata.uid ?? .empty
        self.isUIDGiven = isUIDGiven
        self.version = version
        self.document = document
        self.podCIDRs = podCIDRs
        pools = podCIDRs.map { cidr in known.first { $0.cidr == cidr } ?? AddressPool(cidr, layout: .pods) }
    }

    func stamp(_ version: UInt64) { self.version = version }

    var owner: Owner { Owner(.node, name: name, uid: uid.description) }

    /// As it is served. O(length).
    var served: [UInt8] { Documents.served(document, version) }

    /// The object decoded from its text. O(length).
    func decoded() throws(APIError) -> Node {
        try Documents.decode(document) { reader throws(JSONError) in try Node(from: &reader) }
    }

    func pool(_ family: IPFamily) -> AddressPool? { pools.first { $0.cidr.family == family } }

    /// The first usable address of each pod CIDR, left out of it for the node's bridge.
    var gateways: Few<IPAddress> { Few(pools.compactMap(\.gateway)) }

    /// The text kept beside the document: empty where Tandem made the uid.
    var context: [UInt8] { UIDOrigin.text(isGiven: isUIDGiven) }
}

/// Whether a uid came from a client, as it is kept beside a Node or a Pod: nothing where Tandem made it, as before 1.1.
enum UIDOrigin {
    private static let given: StaticString = #"["given"]"#

    static func text(isGiven: Bool) -> [UInt8] {
        // A static string's bytes live as long as the process.
        isGiven ? Array(UnsafeBufferPointer(start: given.utf8Start, count: given.utf8CodeUnitCount)) : []
    }

    static func isGiven(_ context: UnsafeRawBufferPointer) -> Bool { !context.isEmpty }
}

import Addressing
import Allocation
import Ledger
import Synchronization
import TandemAPI

/// The books: every object, the holder of each address, pod CIDR and node port, all that cools, and the version given last. Memory holds
/// the truth while the server runs.
///
/// One function changes them, `apply`, on the log's thread alone: all that is kept goes through it in the log's order, so that servers
/// that applied the same are equal. Reads are for any thread: they see kept changes, each index behind a lock of its own.
final class Books: Sendable {
    /// By `namespace/name`.
    let services = NamedObjects<StoredService>()
    /// By name.
    let nodes = NamedObjects<StoredNode>()
    let podUsage: PodUsage
    private let podsByOrigin = PodIndex<UInt32>()
    let podsByName = PodIndex<UInt64>()
    private let held: Mutex<Held>
    /// A cache for finding candidates: its marks decide nothing here.
    let pools: Pools
    let outside: OutsideTally
    /// The latest changes, for watches.
    let history: ChangeHistory
    /// When addresses that begin to cool now will be ready, in seconds of this server's uptime. No part of the books: it decides nothing.
    let coolingEnd: @Sendable () -> Int

    // Relaxed: each is one number for readers; the log's thread alone changes them.
    private let newestVersion = Atomic<UInt64>(0)
    private let digestSum = Atomic<UInt64>(0)

    init(
        pools: Pools, podUsage: PodUsage, history: ChangeHistory = ChangeHistory(maximumBytes: 1 << 20),
        coolingEnd: @escaping @Sendable () -> Int
    ) {
        self.pools = pools
        held = Mutex(Held(cooling: CoolingCIDRs(ranges: pools.nodeCIDR.count, range: pools.place(ofSubnet:))))
        outside = OutsideTally(pools)
        self.podUsage = podUsage
        self.history = history
        self.coolingEnd = coolingEnd
    }

    /// Holdings other than the pods' addresses, which their nodes know.
    struct Held: Sendable {
        var addresses = HeldAddresses<StoredService>()
        /// The Services that an address is recorded of, where they are several, by their keys: the first one is among `addresses`.
        var recorders: [IPAddress: [StoredService]] = [:]
        /// By number: a port is one Service's, whatever its protocol.
        var ports: [UInt16: StoredService] = [:]
        /// How many Services show a port that they do not hold, as they came while none were handed out.
        var shownPorts: [UInt16: Int] = [:]
        var cidrs = CIDRIndex<StoredNode>()
        var cooling: CoolingCIDRs
        /// Pairs of node CIDRs that overlap, as releases before 1.1 gave them out.
        var overlaps = 0
    }

    func withHeld<Result>(_ body: (inout sending Held) -> sending Result) -> sending Result { held.withLock(body) }

    /// The version given last, to any object.
    var version: UInt64 { newestVersion.load(ordering: .relaxed) }

    func setVersion(_ version: UInt64) { newestVersion.store(version, ordering: .relaxed) }

    /// The sum of the hashes of all objects and of all that cools: equal for equal books. O(1).
    var digest: UInt64 { digestSum.load(ordering: .relaxed) }

    func addToDigest(_ hash: UInt64) { digestSum.wrappingAdd(hash, ordering: .relaxed) }

    // MARK: Holders

    /// The object that holds an address, whatever range or role it came from. O(log pods of its node).
    func holder(of address: IPAddress) -> Holder? {
        let (service, nodes) = held.withLock { held in (held.addresses[address], held.nodes(containing: address)) }
        if let service { return .service(service) }
        for node in nodes {
            if let pod = node.holder(of: address) { return .pod(pod) }
        }
        return nil
    }

    /// The nodes whose pod CIDRs contain the address, the widest CIDR first; one at most, but for overlaps of old.
    func nodes(containing address: IPAddress) -> [StoredNode] { held.withLock { $0.nodes(containing: address) } }

    /// The node that holds exactly this CIDR.
    func node(holding cidr: CIDR) -> StoredNode? { held.withLock { $0.cidrs[cidr] } }

    /// The most Services that one address is recorded of: a cluster shows one of two at most, while it hands an address on.
    static let maximumRecorders = 16

    /// How many Services hold the address: more than one only where it is recorded.
    func recorderCount(of address: IPAddress) -> Int {
        held.withLock { held in
            held.recorders[address]?.count ?? (held.addresses[address] == nil ? 0 : 1)
        }
    }

    /// The Service that holds the address; of several that it is recorded of the first by name.
    func service(holding address: IPAddress) -> StoredService? { held.withLock { $0.addresses[address] } }

    /// The Service that holds the port.
    func service(holding port: UInt16) -> StoredService? { held.withLock { $0.ports[port] } }

    /// Whether a port may not be given out, since a Service holds it, or shows it.
    func isTaken(port: UInt16) -> Bool { held.withLock { $0.ports[port] != nil || $0.shownPorts[port] != nil } }

    /// Holdings outside of the current ranges, and overlapping CIDRs.
    var outsideRanges: OutsideRanges {
        var ranges = outside.ranges
        ranges.overlaps = withHeld { $0.overlaps }
        return ranges
    }

    /// Addresses that Services hold.
    var serviceAddressCount: Int { held.withLock { $0.addresses.count } }

    /// Pod CIDRs whose time is over, as many as `limit`. O(limit).
    func readyCIDRs(_ uptime: Int, limit: Int) -> [(cidr: CIDR, version: UInt64)] {
        withHeld { $0.cooling.ready(uptime, limit: limit) }
    }

    /// Subnets of a cluster range that cool; `place` is that of its pool. O(1).
    /// Pod CIDRs that cool and lie in a range, in order, so many from behind one on. O(log n + limit).
    func coolingCIDRs(in range: CIDR, after last: CIDR?, limit: Int) -> [CIDR] {
        withHeld { held in
            var found: [CIDR] = []
            held.cooling.index.visit(inside: range, after: last) { cidr, _ in
                found.append(cidr)
                return found.count < limit
            }
            return found
        }
    }

    func coolingCount(_ place: Int) -> Int { withHeld { $0.cooling.count(of: place) } }

    /// Claims the pod CIDR of a family that has cooled longest, of those that a cluster range could give out: no other call of this server
    /// tries the same. O(cluster ranges + log n).
    func claimOldestCoolingCIDR(_ family: IPFamily) -> Claim? {
        let places = pools.nodeCIDR.indices.filter { pools.nodeCIDR[$0].cluster.family == family }
        let oldest = withHeld { $0.cooling.claimOldest(of: places) }
        return oldest.map { .coolingCIDR($0.cidr, version: $0.version) }
    }

    /// nil where it does not cool, or another call has claimed it.
    func claimCoolingCIDR(_ cidr: CIDR) -> Claim? {
        withHeld { $0.cooling.claim(cidr) }.map { .coolingCIDR(cidr, version: $0) }
    }

    /// Undoes a claim, unless the CIDR cools no more, or anew.
    func giveBackCooling(_ cidr: CIDR, _ version: UInt64) { withHeld { $0.cooling.giveBack(cidr, version) } }

    func coolingCIDR(_ cidr: CIDR) -> CoolingCIDR? { held.withLock { $0.cooling.index[cidr] } }

    /// Whether an address may not be given out, since it is held or cools.
    func isTaken(_ address: IPAddress) -> Bool {
        let (isHeld, nodes) = held.withLock { held in
            (
                held.addresses[address] != nil || held.cooling.index.contains(anyAround: CIDR(address)),
                held.nodes(containing: address)
            )
        }
        return isHeld || nodes.contains { $0.holder(of: address) != nil || $0.cooling.isCooling(address) }
    }

    /// Whether a pod CIDR may not be given out: something in it or around it is held by a node or a Service, or cools.
    func isTaken(_ cidr: CIDR) -> Bool {
        held.withLock { held in
            held.cidrs.overlaps(cidr) || held.cooling.index.overlaps(cidr) || held.addresses.contains(anyInside: cidr)
        }
    }

    // MARK: Pods

    func pod(_ identity: PodIdentity, on node: String) -> StoredPod? {
        var key = identity.key
        let origin = identity.origin.utf8.count
        return key.withUTF8 { pod(UnsafeRawBufferPointer($0), origin: origin, on: node) }
    }

    /// `identity` is a `PodIdentity.key`, `origin` how many bytes of it are its origin.
    func pod(_ identity: UnsafeRawBufferPointer, origin: Int, on node: String) -> StoredPod? {
        let order = PodOriginOrder(identity, origin: origin, node: node)
        let found = podsByOrigin.first(order.key, where: order.isBefore)
        return found.flatMap { pod in
            pod.node.name == node && pod.withIdentity { $0.hasSameBytes(as: identity) } ? pod : nil
        }
    }

    /// The pods of a container, or of a name and uid, behind `last`, in the order of their interfaces' names, then of their nodes': as
    /// many as `limit`.
    func pods(origin: String, after last: StoredPod?, limit: Int) -> [StoredPod] {
        // Behind the last one's identity and node; before all of the container's where there is none.
        var start = last?.identity.key ?? "\(origin)/"
        let node = last.map { "\($0.node.name)\0" } ?? ""
        let count = origin.utf8.count
        return start.withUTF8 { start in
            let order = PodOriginOrder(UnsafeRawBufferPointer(start), origin: count, node: node)
            let found = podsByOrigin.pods(from: order.key, through: order.key, limit: limit, where: order.isBefore).pods
            return Array(
                found.prefix { $0.withOrigin { $0.hasSameBytes(as: .init(rebasing: order.identity[..<count])) } })
        }
    }

    /// The pods of one identity behind `last`, in the order of their nodes' names: as many as `limit`. O(log n + limit).
    func pods(_ identity: PodIdentity, after last: StoredPod?, limit: Int) -> [StoredPod] {
        var key = identity.key
        let origin = identity.origin.utf8.count
        return key.withUTF8 { pods(UnsafeRawBufferPointer($0), origin: origin, after: last, limit: limit) }
    }

    private func pods(
        _ identity: UnsafeRawBufferPointer, origin: Int, after last: StoredPod?, limit: Int
    ) -> [StoredPod] {
        let order = PodOriginOrder(identity, origin: origin, node: last.map { "\($0.node.name)\0" } ?? "")
        let found = podsByOrigin.pods(from: order.key, through: order.key, limit: limit, where: order.isBefore).pods
        return Array(found.prefix { $0.withIdentity { $0.hasSameBytes(as: identity) } })
    }

    /// The newest incarnation of a name.
    func newestPod(named metadata: ObjectMeta) -> StoredPod? {
        withNameOrder(metadata, version: .max) { order in
            let found = podsByName.last(order.key, where: order.isBefore)
            return found.flatMap { order.isName(of: $0) ? $0 : nil }
        }
    }

    /// Incarnations of a name whose versions are higher than `version`, the oldest first: as many as `limit`.
    func pods(named metadata: ObjectMeta, after version: UInt64 = 0, limit: Int) -> [StoredPod] {
        withNameOrder(metadata, version: version + 1) { order in
            let found = podsByName.pods(from: order.key, through: order.key, limit: limit, where: order.isBefore).pods
            return Array(found.prefix { order.isName(of: $0) })
        }
    }

    /// The newest incarnation of a name that is wanted. O(incarnations of the name); throws where they are more than one call may
    /// look at.
    func newestPod(
        named metadata: ObjectMeta, where isWanted: (StoredPod) -> Bool
    ) throws(APIError) -> StoredPod? {
        var found: StoredPod?
        var version: UInt64 = 0
        for _ in 0...Page<StoredPod>.maximumLooks / Self.slice {
            let pods = pods(named: metadata, after: version, limit: Self.slice)
            found = pods.last(where: isWanted) ?? found
            guard pods.count == Self.slice, let last = pods.last else { return found }
            version = last.version
        }
        throw APIError(
            .resourceExhausted, reason: "TooManyIncarnations",
            "pod \"\(metadata.name.cut(toBytes: 253))\" has more than \(Page<StoredPod>.maximumLooks) incarnations; list the pods of "
                + "its node or namespace instead, and release those that are gone")
    }

    /// Of the allocations that one container has the one that is the pod's: eth0's, else its first interface's.
    func mainInterface(of pod: StoredPod) -> StoredPod {
        let identity = pod.identity
        guard identity.isAttached, identity.ifName != Attachment.defaultInterface else { return pod }
        let first = PodIdentity(origin: identity.origin, ifName: Attachment.defaultInterface)
        func isSamePod(_ other: StoredPod) -> Bool { other.node === pod.node && other.nameKey == pod.nameKey }
        if let main = self.pod(first, on: pod.node.name), isSamePod(main) { return main }
        // In the order of the interfaces' names. Where other nodes have many of a container of that ID, its own node's are fewer.
        let interfaces = pods(origin: identity.origin, after: nil, limit: Self.slice)
        if interfaces.count < Self.slice || interfaces.contains(where: isSamePod) {
            return interfaces.first(where: isSamePod) ?? pod
        }
        var main = pod
        pod.node.visitPods { other in
            let found = other.identity
            guard found.origin == identity.origin, isSamePod(other) else { return }
            if found.ifName < main.identity.ifName { main = other }
        }
        return main
    }

    /// The other nodes that have pods of a name, in the order of their names: of the oldest 1,024 incarnations.
    func nodes(ofPodsNamed metadata: ObjectMeta, but node: String) -> [String] {
        var names: Set<String> = []
        for pod in pods(named: metadata, limit: 1_024) where pod.node.name != node { names.insert(pod.node.name) }
        return names.sorted()
    }

    /// Pods looked at under one lock.
    private static var slice: Int { 256 }

    private func withNameOrder<Result>(
        _ metadata: ObjectMeta, version: UInt64, _ body: (PodNameOrder) -> Result
    ) -> Result {
        var name = "\(metadata.namespace)/\(metadata.name)"
        return name.withUTF8 { body(PodNameOrder(UnsafeRawBufferPointer($0), version: version)) }
    }

    /// A page of all pods, or of one namespace's, in an order that stays the same over restarts.
    func pods(after token: PageToken?, limit: Int, namespace: String?) -> Page<StoredPod> {
        var page = Page<StoredPod>()
        var (place, end) = (token, UInt64.max)
        var shard: UInt64? = 0
        if var namespace {
            let first = namespace.withUTF8 { PodNameOrder.firstKey(ofNamespace: UnsafeRawBufferPointer($0)) }
            (shard, end) = (first, first | 0xFFFF_FFFF)
        }
        var looks = 0
        while let start = shard {
            let slice = pods(from: start, after: place, through: end)
            for pod in slice.pods {
                guard page.items.count < limit, looks < Page<StoredPod>.maximumLooks else {
                    page.next = place
                    return page
                }
                looks += 1
                place = PageToken(key: pod.nameKey, version: pod.version)
                if namespace == nil || pod.namespace == namespace { page.items.append(pod) }
            }
            guard slice.pods.count < Self.slice else { continue }
            (shard, place) = (slice.nextShard, slice.nextShard == nil ? nil : place)
        }
        return page
    }

    /// One slice, from a key on and behind a place.
    private func pods(from start: UInt64, after place: PageToken?, through end: UInt64) -> (
        pods: [StoredPod], nextShard: UInt64?
    ) {
        guard var name = place?.key, let version = place?.version else {
            return podsByName.pods(from: start, through: end, limit: Self.slice) { _ in false }
        }
        return name.withUTF8 { name in
            let order = PodNameOrder(UnsafeRawBufferPointer(name), version: version &+ 1)
            // Behind a place in an earlier shard, or one that another list's token names: from the start.
            guard order.key >= start else {
                return podsByName.pods(from: start, through: end, limit: Self.slice) { _ in false }
            }
            return podsByName.pods(from: order.key, through: end, limit: Self.slice, where: order.isBefore)
        }
    }

    /// A start's pods: all of one shard of each index, at once.
    func fillPods(_ shard: Int, byName: SortedList<UInt64, StoredPod>, byOrigin: SortedList<UInt32, StoredPod>) {
        podsByName.fill(shard: shard, byName)
        podsByOrigin.fill(shard: shard, byOrigin)
    }

    /// By `apply` alone.
    func show(_ pod: StoredPod) {
        podUsage.change(pod.node) { $0.insert(pod) }
        pod.withNameOrder { podsByName.insert(pod, $0.key, where: $0.isBefore) }
        pod.withOriginOrder { podsByOrigin.insert(pod, $0.key, where: $0.isBefore) }
    }

    /// By `apply` alone. `freed` runs when the node's addresses are free of it, and readers may still find it.
    func hide(_ pod: StoredPod, _ freed: () -> Void) {
        podUsage.change(pod.node) { $0.remove(pod) }
        freed()
        pod.withNameOrder { podsByName.remove(pod, $0.key, where: $0.isBefore) }
        pod.withOriginOrder { podsByOrigin.remove(pod, $0.key, where: $0.isBefore) }
    }

    /// The pod whose key in the log names no node. O(nodes that have the identity).
    func podWithOldKey(_ identity: UnsafeRawBufferPointer, origin: Int) -> StoredPod? {
        var last: StoredPod?
        repeat {
            let found = pods(identity, origin: origin, after: last, limit: Self.slice)
            if let pod = found.first(where: \.hasOldKey) { return pod }
            last = found.count == Self.slice ? found.last : nil
        } while last != nil
        return nil
    }
}

extension Books.Held {
    func nodes(containing address: IPAddress) -> [StoredNode] {
        cidrs.all(around: CIDR(address)).map(\.1)
    }
}

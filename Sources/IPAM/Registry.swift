import Addressing
import Synchronization
import TandemAPI

/// Every committed object in memory, and the ways to find one. Memory holds the truth while the server runs.
///
/// Readers see committed objects only. Changes to one object are made by the call that holds its turn, after its
/// commit; so that each index needs no more than its own shard's lock.
final class Registry: Sendable {
    /// By `namespace/name`.
    let services = NamedObjects<StoredService>()
    /// The key of the Service that shows the address.
    let serviceAddresses = ShardedMap<IPAddress, String>()
    /// By name.
    let nodes = NamedObjects<StoredNode>()
    /// The name of the node that holds the pod CIDR.
    let podCIDRs = ShardedMap<CIDR, String>()
    let podUsage: PodUsage
    private let podsByOrigin = PodIndex<UInt32>()
    private let podsByName = PodIndex<UInt64>()

    init(podUsage: PodUsage) {
        self.podUsage = podUsage
    }

    // MARK: Services

    func put(_ service: StoredService, freed: [IPAddress]) {
        for address in freed { serviceAddresses[address] = nil }
        for address in service.addresses { serviceAddresses[address] = service.key }
        services[service.key] = service
    }

    func remove(_ service: StoredService) {
        for address in service.addresses { serviceAddresses[address] = nil }
        services[service.key] = nil
    }

    // MARK: Nodes

    func put(_ node: StoredNode) {
        for cidr in node.podCIDRs { podCIDRs[cidr] = node.name }
        nodes[node.name] = node
        podUsage.add(node)
    }

    func remove(_ node: StoredNode) {
        for cidr in node.podCIDRs { podCIDRs[cidr] = nil }
        nodes[node.name] = nil
        podUsage.remove(node)
    }

    // MARK: Pods

    func pod(_ identity: PodIdentity) -> StoredPod? {
        var key = identity.key
        let origin = identity.origin.utf8.count
        return key.withUTF8 { key in
            let order = PodOriginOrder(UnsafeRawBufferPointer(key), origin: origin)
            let found = podsByOrigin.first(order.key, where: order.isBefore)
            return found.flatMap { $0.withKey { $0.hasSameBytes(as: order.identity) } ? $0 : nil }
        }
    }

    /// The pods of a container behind `last`, in the order of its interfaces' names: as many as `limit`.
    func pods(origin: String, after last: StoredPod?, limit: Int) -> [StoredPod] {
        // The lowest identity behind the last one's; before all of the container's where there is none.
        var start = last.map { "\($0.key)\0" } ?? "\(origin)/"
        let count = origin.utf8.count
        return start.withUTF8 { start in
            let order = PodOriginOrder(UnsafeRawBufferPointer(start), origin: count)
            let found = podsByOrigin.pods(from: order.key, through: order.key, limit: limit, where: order.isBefore).pods
            return Array(
                found.prefix { $0.withOrigin { $0.hasSameBytes(as: .init(rebasing: order.identity[..<count])) } })
        }
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

    func put(_ pod: StoredPod) {
        podUsage.change(pod.node) { $0.insert(pod) }
        pod.withNameOrder { podsByName.insert(pod, $0.key, where: $0.isBefore) }
        pod.withOriginOrder { podsByOrigin.insert(pod, $0.key, where: $0.isBefore) }
    }

    func remove(_ pod: StoredPod) {
        podUsage.change(pod.node) { $0.remove(pod) }
        pod.withNameOrder { podsByName.remove(pod, $0.key, where: $0.isBefore) }
        pod.withOriginOrder { podsByOrigin.remove(pod, $0.key, where: $0.isBefore) }
    }
}

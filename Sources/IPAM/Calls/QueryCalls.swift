public import Addressing
import Allocation
import DualStack
public import TandemAPI

/// The read calls: they read committed state and never wait for a commit.
extension Engine {
    func getService(_ metadata: ObjectMeta) -> Result<CallResult, APIError> {
        guard let stored = books.services[StoredService.key(metadata)],
            metadata.uid == nil || metadata.uid == stored.uid
        else { return .failure(.notFound(.service, name: metadata.name)) }
        return .success(.service(stored.writeServed))
    }

    func getNode(_ metadata: ObjectMeta) -> Result<CallResult, APIError> {
        guard let stored = books.nodes[metadata.name]?.record, metadata.uid == nil || metadata.uid == stored.uid else {
            return .failure(.notFound(.node, name: metadata.name))
        }
        return .success(.node(stored.served, isUIDMade: !stored.isUIDGiven))
    }

    /// Of several incarnations under one name the newest, unless a uid says which; with a node, of those that are there. Of a pod's
    /// interfaces the first one's allocation is the pod's: eth0's, where it has one.
    func getPod(_ metadata: ObjectMeta, on node: String?) -> Result<CallResult, APIError> {
        func isWanted(_ pod: StoredPod) -> Bool {
            (metadata.uid == nil || pod.uid == metadata.uid) && (node == nil || pod.node.name == node)
        }
        do throws(APIError) {
            // Nearly always the newest. Else all are looked at: of the name, or of the node, whose agent's call is not to depend on how
            // many of the name others have.
            let newest = books.newestPod(named: metadata)
            var found = newest.flatMap { isWanted($0) ? $0 : nil }
            if found == nil, newest != nil {
                found =
                    if let node { books.nodes[node]?.newestPod(named: metadata, where: isWanted) } else {
                        try books.newestPod(named: metadata, where: isWanted)
                    }
            }
            guard let found else { throw .notFound(.pod, name: metadata.name) }
            let pod = books.mainInterface(of: found)
            let others = node == nil ? books.nodes(ofPodsNamed: metadata, but: pod.node.name) : []
            return .success(.pod(pod.shown, others: others))
        } catch {
            return .failure(error)
        }
    }

    // MARK: Lists

    func listServices(_ query: ListQuery) -> Result<CallResult, APIError> {
        listed(query) { token, version in
            let prefix = query.namespace.map(StoredService.prefix) ?? ""
            return books.services.page(after: token, limit: query.limit, prefix: prefix)
                .result(version, \.served) { PageToken(key: $0.key) }
        }
    }

    func listNodes(_ query: ListQuery) -> Result<CallResult, APIError> {
        listed(query) { token, version in
            books.nodes.page(after: token, limit: query.limit)
                .result(version, \.record.served, madeUID: \.record.madeUID) { PageToken(key: $0.name) }
        }
    }

    func listPods(_ query: ListQuery) -> Result<CallResult, APIError> {
        guard let nodeName = query.nodeName else {
            return listed(query) { token, version in
                books.pods(after: token, limit: query.limit, namespace: query.namespace)
                    .result(version, \.shown, madeUID: \.madeUID) {
                        PageToken(key: $0.nameKey, version: $0.version)
                    }
            }
        }
        if let token = query.continueToken.flatMap({ PageToken($0) }), !token.key.isEmpty, IPAddress(token.key) == nil {
            return .failure(.foreignToken)
        }
        return listed(query) { token, version in
            let page = books.nodes[nodeName]?.page(after: token, limit: query.limit, namespace: query.namespace)
            return (page ?? Page()).result(version, \.shown, madeUID: \.madeUID, \.nodePlace)
        }
    }

    /// All pages of a list have one version: a watch from it misses no change that they do not show.
    private func listed(
        _ query: ListQuery, _ page: (PageToken?, _ version: UInt64) -> CallResult
    ) -> Result<CallResult, APIError> {
        let newest = books.history.newest
        return paged(query) { page($0, $0?.listVersion ?? newest) }
    }

    private func paged(
        _ query: ListQuery, _ page: (PageToken?) -> CallResult
    ) -> Result<CallResult, APIError> { paged(query.continueToken, page) }

    func paged(_ token: String?, _ page: (PageToken?) -> CallResult) -> Result<CallResult, APIError> {
        guard let text = token else { return .success(page(nil)) }
        guard let token = PageToken(text) else { return .failure(.foreignToken) }
        return .success(page(token))
    }

    // MARK: Addresses and pools

    /// By the books: an allocated address is held, whatever its range; the current ranges decide only about free ones.
    func lookup(_ address: IPAddress) -> AddressStatus {
        let (pool, inPool) = poolState(of: address)
        if let holder = books.holder(of: address) {
            return AddressStatus(address, pool: pool, state: .allocated, owner: holder.owner)
        }
        if books.isCooling(CIDR(address)) { return AddressStatus(address, pool: pool, state: .coolingDown) }
        return AddressStatus(address, pool: pool, state: inPool)
    }

    /// The pool that would assign an address, and its state there while it has no owner.
    func poolState(of address: IPAddress) -> (name: String?, state: AddressStatus.State) {
        // Inside of a node's CIDR it is for pods alone, of the node with the narrowest one.
        if let node = books.nodes(containing: address).last, let pool = node.pool(containing: address) {
            return (node.poolName(pool.cidr.family), pool.state(of: address) == .reserved ? .reserved : .free)
        }
        if let pool = pools.clusterIP.first(where: { $0.cidr.contains(address) }) {
            return (pools.name(pool), pool.state(of: address) == .reserved ? .reserved : .free)
        }
        if let pool = pools.loadBalancer.first(where: { $0.range.contains(address) }) {
            let isReserved = pool.part(containing: address)?.state(of: address) == .reserved
            return (pools.name(pool), isReserved ? .reserved : .free)
        }
        if let pool = pools.nodeCIDR.first(where: { $0.cluster.contains(address) }) { return (pools.name(pool), .free) }
        return (nil, .outOfRange)
    }

    func getPools(_ query: ListQuery) -> Result<CallResult, APIError> {
        paged(query) { token in
            let page = poolStatuses(query, after: token)
            return PoolStatus.result(page.items, continueToken: page.next?.text)
        }
    }

    /// Pools that the query asks for: the cluster's ranges first, then the nodes' in the order of their names; of a node
    /// all or none. O(ranges + length of the page).
    func poolStatuses(_ query: ListQuery, after token: PageToken?) -> Page<PoolStatus> {
        var page = Page<PoolStatus>()
        // A token with no name counts the ranges that were shown.
        let shown = token.map { $0.key.isEmpty ? Int(clamping: $0.version) : .max } ?? 0
        let wantsNodes = query.poolKind == nil || query.poolKind == .pod
        var ranges = query.nodeName == nil ? rangeStatuses() : []
        if let kind = query.poolKind { ranges.removeAll { $0.kind != kind } }
        page.items = Array(ranges.dropFirst(shown).prefix(query.limit))
        let rest = ranges.count - page.items.count - min(shown, ranges.count)
        if rest > 0 || !page.items.isEmpty && page.items.count == query.limit && wantsNodes {
            page.next = PageToken(key: "", version: UInt64(shown + page.items.count))
            return page
        }
        guard wantsNodes else { return page }
        if let name = query.nodeName {
            page.items = books.nodes[name]?.poolStatuses ?? []
            return page
        }
        let last = token.flatMap { $0.key.isEmpty ? nil : $0 }
        let nodes = books.nodes.page(after: last, limit: query.limit)
        page.next = nodes.next
        for node in nodes.items {
            page.items += node.poolStatuses
            guard page.items.count >= query.limit, node !== nodes.items.last else { continue }
            page.next = PageToken(key: node.name)
            break
        }
        return page
    }

    /// Every pool. O(nodes): not for an event loop.
    package func poolStatuses() -> [PoolStatus] {
        var query = ListQuery()
        query.limit = .max
        return poolStatuses(query, after: nil).items
    }

    /// The cluster's ranges: of cluster IPs, of load-balancer addresses, of pod CIDRs, of node ports. O(memory of their pools).
    public func rangeStatuses() -> [PoolStatus] {
        pools.clusterIP.map { $0.status(pools.description($0)) }
            + pools.loadBalancer.map { pool in
                PoolStatus(
                    pools.description(pool),
                    capacity: pool.parts.reduce(0) { $0 + $1.capacity - $1.excludedCount },
                    allocated: UInt128(pool.parts.reduce(0) { $0 + $1.allocatedCount }))
            }
            + pools.nodeCIDR.enumerated().map { place, pool in
                let cooling = books.coolingCount(place)
                return PoolStatus(
                    pools.description(pool),
                    capacity: pool.capacity - pool.excludedCount,
                    allocated: UInt128(max(0, pool.allocatedCount - cooling)), coolingDown: UInt128(cooling))
            } + (nodePortStatus.map { [$0] } ?? [])
    }

    private var nodePortStatus: PoolStatus? {
        pools.nodePorts.map { pool in
            PoolStatus(
                pools.description(pool), capacity: UInt128(pool.capacity),
                allocated: UInt128(pool.allocatedCount))
        }
    }

    /// The addresses of all pods, by cluster CIDR. O(cluster CIDRs).
    public var podUsage: [PodRangeUsage] { books.podUsage.ranges }

    /// Nodes whose pod CIDR of the family has no address that no pod holds. O(1).
    public func fullNodes(_ family: IPFamily) -> Int { books.podUsage.fullNodes(family) }
}

/// Bytes after which a page ends, however many objects were asked for: objects may be large, and the whole answer lies in
/// memory until its client has read it.
private let maximumPageBytes = 8 << 20

extension Page {
    /// As many of the items as a page holds, at least one where there is one. `madeUID` is an item's uid where Tandem made that, `place`
    /// where a list goes on behind an item.
    fileprivate func result(
        _ version: UInt64, _ document: (Item) -> [UInt8], madeUID: (Item) -> String? = { _ in nil },
        _ place: (Item) -> PageToken
    ) -> CallResult {
        func text(_ token: PageToken) -> String {
            var token = token
            token.listVersion = version
            return token.text
        }
        var documents: [[UInt8]] = []
        var madeUIDs: [String] = []
        var bytes = 0
        for (index, item) in items.enumerated() {
            let served = document(item)
            documents.append(served)
            bytes += served.count
            if let uid = madeUID(item) {
                madeUIDs.append(uid)
                bytes += uid.utf8.count
            }
            if bytes >= maximumPageBytes, index + 1 < items.count {
                return .page(documents, continueToken: text(place(item)), version: version, madeUIDs: madeUIDs)
            }
        }
        return .page(documents, continueToken: next.map(text), version: version, madeUIDs: madeUIDs)
    }
}

extension APIError {
    fileprivate static let foreignToken = APIError(
        .invalidArgument, reason: "InvalidParams",
        "params.continue: not a token that a List call gave; start again without it", code: -32602)
}

extension NodeRecord {
    fileprivate var madeUID: String? { isUIDGiven ? nil : uid.description }
}

extension StoredPod {
    fileprivate var madeUID: String? { isUIDGiven ? nil : uid.description }

    /// Where the list of its node's pods goes on behind it.
    var nodePlace: PageToken {
        PageToken(key: addresses.first?.description ?? "", version: version)
    }
}

extension StoredNode {
    /// A page of the node's pods, or of those of one namespace, in the order of their first addresses.
    func page(after token: PageToken?, limit: Int, namespace: String?) -> Page<StoredPod> {
        var page = Page<StoredPod>()
        var place = token.map { NodePods.PodPlace(address: IPAddress($0.key), version: $0.version) }
        var looks = 0
        while true {
            // A few at a time, as the lock is held meanwhile.
            let slice = pods(after: place, limit: 256)
            for pod in slice {
                guard page.items.count < limit, looks < Page<StoredPod>.maximumLooks else {
                    page.next = place.map { PageToken(key: $0.address?.description ?? "", version: $0.version) }
                    return page
                }
                looks += 1
                place = NodePods.PodPlace(behind: pod)
                if namespace == nil || pod.namespace == namespace { page.items.append(pod) }
            }
            if slice.count < 256 { return page }
        }
    }

    fileprivate var poolStatuses: [PoolStatus] {
        pools.map { pool in
            let family = pool.cidr.network.family
            return pool.status(description(pool), cooling: cooling.count(family))
        }
    }
}

extension Pools {
    func description(_ pool: AddressPool) -> PoolDescription {
        PoolDescription(name: name(pool), kind: .service, range: AddressRange(pool.cidr))
    }

    func description(_ pool: LoadBalancerPool) -> PoolDescription {
        PoolDescription(name: name(pool), kind: .loadBalancer, range: pool.range)
    }

    func description(_ pool: SubnetPool) -> PoolDescription {
        PoolDescription(
            name: name(pool), kind: .nodeCIDR, range: AddressRange(pool.cluster), nodeMaskSize: pool.nodePrefixLength)
    }

    func description(_ pool: PortPool) -> PoolDescription {
        PoolDescription(name: Self.nodePorts, kind: .nodePort, ports: pool.range)
    }

    static let nodePorts = "nodeports"

    func name(_ pool: AddressPool) -> String { "services-\(pool.cidr.family.poolSuffix)" }

    func name(_ pool: LoadBalancerPool) -> String {
        let ranges = loadBalancer.map(\.range).filter { $0.family == pool.range.family }
        return Self.name("loadbalancers", pool.range.family, ranges.firstIndex(of: pool.range) ?? 0)
    }

    func name(_ pool: SubnetPool) -> String {
        let pools = nodeCIDR.filter { $0.cluster.family == pool.cluster.family }
        return Self.name("nodes", pool.cluster.family, pools.firstIndex { $0 === pool } ?? 0)
    }

    /// Of several of a family the further ones are numbered.
    private static func name(_ word: String, _ family: IPFamily, _ index: Int) -> String {
        "\(word)-\(family.poolSuffix)" + (index == 0 ? "" : "-\(index + 1)")
    }
}

extension StoredNode {
    func description(_ pool: AddressPool) -> PoolDescription {
        PoolDescription(name: poolName(pool.cidr.family), kind: .pod, range: AddressRange(pool.cidr))
    }

    func poolName(_ family: IPFamily) -> String { "pods-\(name)-\(family.poolSuffix)" }
}

extension IPFamily {
    var poolSuffix: String { self == .ipv4 ? "ipv4" : "ipv6" }
}

extension AddressPool {
    /// Cooling addresses have no holder, and are there for a call that finds nothing else.
    fileprivate func status(_ pool: PoolDescription, cooling: Int = 0) -> PoolStatus {
        PoolStatus(
            pool, capacity: capacity - excludedCount,
            allocated: UInt128(max(0, allocatedCount - cooling)), coolingDown: UInt128(cooling))
    }
}

extension StoredPod {
    /// As lists and `GetPod` serve it: with its attachment, where it has one. O(length).
    var shown: [UInt8] {
        let identity = identity
        guard let containerID = identity.containerID else { return served }
        return Documents.adding("attachment", to: served) { writer in
            writer.beginObject()
            writer.key("containerID")
            writer.string(containerID)
            writer.key("ifName")
            writer.string(identity.ifName)
            writer.endObject()
        }
    }
}

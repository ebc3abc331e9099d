import Addressing
import Allocation
import DualStack
public import TandemAPI

/// The calls that only look: they read what is committed and never wait for a commit.
extension Engine {
    func getService(_ metadata: ObjectMeta) -> Result<CallResult, APIError> {
        guard let stored = registry.services[StoredService.key(metadata.namespace, metadata.name)],
            metadata.uid == nil || metadata.uid == stored.uid
        else { return .failure(.notFound(kind: "service", name: metadata.name)) }
        return .success(.service(stored.document))
    }

    func getNode(_ metadata: ObjectMeta) -> Result<CallResult, APIError> {
        guard let stored = registry.nodes[metadata.name], metadata.uid == nil || metadata.uid == stored.uid else {
            return .failure(.notFound(kind: "node", name: metadata.name))
        }
        return .success(.node(stored.document))
    }

    /// Of several incarnations under one name the newest, unless a uid says which.
    func getPod(_ metadata: ObjectMeta, onlyNode: String?) -> Result<CallResult, APIError> {
        let pod = registry.pods(named: metadata).last { metadata.uid == nil || metadata.uid == $0.uid }
        guard let pod else { return .failure(.notFound(kind: "pod", name: metadata.name)) }
        if let onlyNode, pod.node.name != onlyNode {
            return .failure(
                APIError(
                    .permissionDenied, reason: "Forbidden",
                    "a pod of node \"\(pod.node.name)\" can't be read by node \"\(onlyNode)\""))
        }
        return .success(.pod(pod.document))
    }

    // MARK: Lists

    func listServices(_ query: ListQuery) -> Result<CallResult, APIError> {
        page(registry.services, query, key: \.key, document: \.document)
    }

    func listNodes(_ query: ListQuery) -> Result<CallResult, APIError> {
        page(registry.nodes, query, key: \.name, document: \.document)
    }

    func listPods(_ query: ListQuery) -> Result<CallResult, APIError> {
        guard let nodeName = query.nodeName else {
            return paged(query) { token, prefix in
                let page = registry.pods(after: token, limit: query.limit, prefix: prefix)
                return Self.page(page.pods, next: page.next?.text, \.nameKey, \.document) { PageToken(key: $0).text }
            }
        }
        // A node's pods are found by the node, not by walking through all; in the order of their identities.
        let pods = (registry.nodes[nodeName]?.listedPods() ?? []).map { (key: $0.key, pod: $0) }
            .filter { key, pod in
                (query.continueToken.map { key > $0 } ?? true) && (query.namespace.map { $0 == pod.namespace } ?? true)
            }
            .sorted { $0.key < $1.key }
        let page = pods.prefix(query.limit)
        return .success(
            Self.page(page, next: page.count < pods.count ? page.last?.key : nil, \.key, \.pod.document) { $0 })
    }

    private func page<Value>(
        _ map: ShardedMap<String, Value>, _ query: ListQuery, key: (Value) -> String, document: (Value) -> [UInt8]
    ) -> Result<CallResult, APIError> {
        paged(query) { token, prefix in
            let page = map.page(
                after: token, limit: query.limit, where: { prefix.isEmpty || $0.hasPrefix(prefix) }, { [$0] })
            return Self.page(page.items, next: page.next?.text, key, document) { PageToken(key: $0).text }
        }
    }

    /// Bytes after which a page ends, however many objects were asked for: objects may be large, and the whole answer lies in
    /// memory until its client has read it.
    static var maximumPageBytes: Int { 8 << 20 }

    /// As many of `items` as a page holds, at least one; those of one key are never parted. `next` goes on behind all of them.
    private static func page<Item>(
        _ items: some Sequence<Item>, next: String?, _ key: (Item) -> String, _ document: (Item) -> [UInt8],
        token: (String) -> String
    ) -> CallResult {
        var documents: [[UInt8]] = []
        var bytes = 0
        var last: String?
        for item in items {
            if bytes >= maximumPageBytes, let last, key(item) != last {
                return .page(documents, continueToken: token(last))
            }
            let text = document(item)
            documents.append(text)
            bytes += text.count
            last = key(item)
        }
        return .page(documents, continueToken: next)
    }

    /// `page` gets where to start behind, and what names must start with.
    private func paged(
        _ query: ListQuery, _ page: (PageToken?, String) -> CallResult
    ) -> Result<CallResult, APIError> {
        var token: PageToken?
        if let text = query.continueToken {
            token = PageToken(text)
            guard token != nil else {
                return .failure(
                    APIError(
                        .invalidArgument, reason: "InvalidParams",
                        "params.continue: not a token that a List call gave; start again without it", code: -32602))
            }
        }
        return .success(page(token, query.namespace.map { "\($0)/" } ?? ""))
    }

    // MARK: Addresses and pools

    func lookup(_ address: IPAddress) -> AddressStatus {
        if let pool = pools.addressPool(.clusterIP, containing: address) {
            return serviceStatus(address, pool, .clusterIP)
        }
        if let pool = pools.addressPool(.loadBalancer, containing: address) {
            return serviceStatus(address, pool, .loadBalancer)
        }
        for pool in pools.nodeCIDR where pool.cluster.contains(address) {
            let subnet = CIDR(containing: address, prefixLength: pool.nodePrefixLength)
            if let name = registry.podCIDRs[subnet],
                let node = registry.nodes[name]
            {
                return podStatus(address, node)
            }
            return AddressStatus(address, pool: pools.name(pool), state: .free)
        }
        // What is held from a range that is no longer configured is still held.
        if let key = registry.serviceAddresses[address], let owner = registry.services[key]?.owner {
            return AddressStatus(address, pool: nil, state: .allocated, owner: owner)
        }
        return AddressStatus(address, pool: nil, state: .outOfRange)
    }

    private func serviceStatus(_ address: IPAddress, _ pool: AddressPool, _ kind: ServicePool) -> AddressStatus {
        let owner = registry.serviceAddresses[address].flatMap { registry.services[$0]?.owner }
        return AddressStatus(
            address, pool: kind.name(pool.cidr.network.family),
            state: AddressStatus.State(pool.state(of: address)), owner: owner)
    }

    private func podStatus(_ address: IPAddress, _ node: StoredNode) -> AddressStatus {
        guard let pool = node.pool(containing: address) else {
            return AddressStatus(address, pool: nil, state: .outOfRange)
        }
        let name = node.poolName(pool.cidr.network.family)
        if node.cooling.isCooling(address) { return AddressStatus(address, pool: name, state: .coolingDown) }
        let holder = node.listedPods().first { $0.addresses.contains(address) }
        return AddressStatus(
            address, pool: name, state: AddressStatus.State(pool.state(of: address)), owner: holder?.owner)
    }

    /// The cluster's ranges, then the nodes' in the order of their names. O(nodes).
    public func poolStatuses() -> [PoolStatus] {
        var statuses = pools.clusterIP.map { $0.status(ServicePool.clusterIP.name($0.cidr.network.family), "Service") }
        statuses += pools.loadBalancer.map {
            $0.status(ServicePool.loadBalancer.name($0.cidr.network.family), "LoadBalancer")
        }
        statuses += pools.nodeCIDR.map { pool in
            PoolStatus(
                name: pools.name(pool), kind: "NodeCIDR", cidr: pool.cluster, capacity: pool.capacity,
                allocated: UInt128(pool.allocatedCount), nodeMaskSize: pool.nodePrefixLength)
        }
        var nodes: [StoredNode] = []
        registry.nodes.visit { _, node in nodes.append(node) }
        for node in nodes.sorted(by: { $0.name < $1.name }) {
            statuses += node.pools.map { pool in
                let family = pool.cidr.network.family
                return pool.status(node.poolName(family), "Pod", cooling: node.cooling.count(family))
            }
        }
        return statuses
    }
}

extension ServicePool {
    fileprivate func name(_ family: IPFamily) -> String {
        switch self {
        case .clusterIP: "services-\(family.poolSuffix)"
        case .loadBalancer: "loadbalancers-\(family.poolSuffix)"
        }
    }
}

extension Pools {
    /// Of several of a family the further ones are numbered.
    fileprivate func name(_ pool: SubnetPool) -> String {
        let family = pool.cluster.family
        let index = nodeCIDR.filter { $0.cluster.family == family }.firstIndex { $0 === pool } ?? 0
        return "nodes-\(family.poolSuffix)" + (index == 0 ? "" : "-\(index + 1)")
    }
}

extension StoredNode {
    fileprivate func poolName(_ family: IPFamily) -> String { "pods-\(name)-\(family.poolSuffix)" }
}

extension IPFamily {
    fileprivate var poolSuffix: String { self == .ipv4 ? "ipv4" : "ipv6" }
}

extension AddressPool {
    /// What cools is nobody's, and is there for whoever finds nothing else.
    fileprivate func status(_ name: String, _ kind: String, cooling: Int = 0) -> PoolStatus {
        PoolStatus(
            name: name, kind: kind, cidr: cidr, capacity: capacity,
            allocated: UInt128(max(0, allocatedCount - cooling)))
    }
}

extension AddressStatus.State {
    fileprivate init(_ state: AllocationState) {
        switch state {
        case .free: self = .free
        case .allocated: self = .allocated
        case .reserved: self = .reserved
        case .outOfRange: self = .outOfRange
        }
    }
}

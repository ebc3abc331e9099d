import Addressing
import Allocation
import TandemAPI

/// The one place in which it is judged whether there is room for an object. A refusal changes nothing.
extension Engine {
    /// Throws RESOURCE_EXHAUSTED where an object of `bytes` bytes as stored is not kept in place of one of `stored` bytes, or of none: past
    /// `--max-object-bytes`, or while memory is short. One that takes no more than before is always kept. O(1).
    func checkRoom(
        for kind: ObjectKind, _ name: String, _ bytes: Int, over stored: Int? = nil
    ) throws(APIError) {
        if let stored, bytes <= stored { return }
        guard bytes <= quotas.objectBytes else {
            throw APIError(
                .resourceExhausted, reason: "ObjectTooLarge",
                "\(kind.word) \"\(name)\" would take \(bytes) bytes as stored, and --max-object-bytes lets it have "
                    + "\(quotas.objectBytes): leave out annotations and other members that have no bearing on addresses"
            )
        }
        guard let shortage = environment.memoryShortage() else { return }
        throw APIError(
            .resourceExhausted, reason: "MemoryLimit",
            "the server uses \(shortage.used >> 20) MiB of memory, more than the \(shortage.limit >> 20) MiB of --memory-limit: it "
                + "serves what it has and keeps nothing more until something is released or the limit is raised",
            isRetryable: true)
    }

    /// Counts a pod that is about to be kept on the node; `StoredNode.leave` ends that. Throws RESOURCE_EXHAUSTED past `--max-pods-per-node`, where
    /// pods that are being kept just now count, so that any number of calls at once do not pass it together. Other servers' calls
    /// in flight are not known here. O(1).
    func enterNode(_ node: StoredNode, _ families: Few<IPFamily>, _ record: NodeRecord) throws(APIError) {
        let arriving = node.enter()
        let limit: Int
        if let podsPerNode = quotas.podsPerNode {
            limit = podsPerNode
        } else {
            // A pod with an IPv4 address of the node is one of as many as there are addresses.
            if families.contains(.ipv4) { return }
            limit = record.ipv4Capacity ?? Quotas.podsWithoutIPv4
        }
        guard node.podCount + arriving > limit else { return }
        node.leave()
        throw APIError(
            .resourceExhausted, reason: "TooManyPods",
            "node \"\(node.name)\" has \(limit) pods, as many as \(quotas.podsPerNode == nil ? "its IPv4 pod CIDR holds" : "--max-pods-per-node lets it have"): "
                + "release those that are gone, or give another --max-pods-per-node", isRetryable: true)
    }

    /// The same for a new Service of a namespace, by `--max-objects-per-namespace`. Returns the end of the reservation; nil where there is no limit.
    func enterNamespace(_ namespace: String) throws(APIError) -> (@Sendable () -> Void)? {
        let limit = quotas.servicesPerNamespace
        guard limit > 0 else { return nil }
        let arriving = newServices.enter(namespace)
        guard books.services.count(prefix: StoredService.prefix(of: namespace)) + arriving > limit else {
            return { self.newServices.leave(namespace) }
        }
        newServices.leave(namespace)
        throw APIError(
            .resourceExhausted, reason: "TooManyObjects",
            "namespace \"\(namespace)\" has \(limit) Services, as many as --max-objects-per-namespace lets it have: release those that are not "
                + "in use, or raise the limit", isRetryable: true)
    }
}

extension NodeRecord {
    /// Addresses that the IPv4 pod CIDRs have for pods; nil where there are none.
    fileprivate var ipv4Capacity: Int? {
        let pools = pools.filter { $0.cidr.family == .ipv4 }
        return pools.isEmpty ? nil : pools.reduce(0) { $0 + Int($1.capacity) }
    }
}

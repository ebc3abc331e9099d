import Addressing
import Allocation
import DualStack

/// The cluster's ranges, as they are configured today: where new claims are made, never the holdings.
struct Pools: Sendable {
    let clusterIP: [AddressPool]
    let loadBalancer: [LoadBalancerPool]
    /// All of both.
    let addressPools: [AddressPool]
    let nodeCIDR: [SubnetPool]
    /// nil where node ports are not handed out.
    let nodePorts: PortPool?

    init(_ cluster: ClusterConfiguration) {
        clusterIP = cluster.serviceRanges.map { AddressPool($0, layout: .services) }
        loadBalancer = cluster.loadBalancerRanges.map(LoadBalancerPool.init)
        addressPools = clusterIP + loadBalancer.flatMap(\.parts)
        nodeCIDR = cluster.clusterCIDRs.map {
            SubnetPool(cluster: $0, nodePrefixLength: cluster.nodeMaskSize($0.network.family))
        }
        nodePorts = cluster.nodePortRange.map { PortPool($0) }
    }

    /// The place among `nodeCIDR` of the pool whose subnet this is; nil where it is none's.
    @Sendable
    func place(ofSubnet cidr: CIDR) -> Int? {
        nodeCIDR.firstIndex { $0.cluster.contains(cidr) && $0.nodePrefixLength == cidr.prefixLength }
    }

    func subnetPool(containing subnet: CIDR) -> SubnetPool? {
        nodeCIDR.first { $0.cluster.contains(subnet) }
    }
}

/// One of the load-balancer ranges. Thread-safe.
struct LoadBalancerPool: Sendable {
    let range: AddressRange
    /// The range by aligned parts: one for a CIDR.
    let parts: [AddressPool]

    init(_ range: AddressRange) {
        self.range = range
        // "A CIDR's network and broadcast alone" are left out, and nothing of a range that has none.
        let isSubnet = range.cidr.map { $0.hostBits >= 2 } ?? false
        parts = range.cidrs.map { AddressPool($0, layout: isSubnet ? .loadBalancers : .whole) }
    }

    /// The first part that has room is taken from.
    func claim(startingAt entropy: UInt64) -> (part: AddressPool, address: IPAddress)? {
        for pool in parts {
            if let address = pool.claim(startingAt: entropy) { return (pool, address) }
        }
        return nil
    }

    /// The part that an address lies in.
    func part(containing address: IPAddress) -> AddressPool? { parts.first { $0.cidr.contains(address) } }
}

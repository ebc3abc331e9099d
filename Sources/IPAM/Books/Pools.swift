import Addressing
import Allocation
import DualStack

/// The cluster's ranges, as they are configured today: where new claims are looked for, never what is held.
struct Pools: Sendable {
    let clusterIP: [AddressPool]
    let loadBalancer: [AddressPool]
    let nodeCIDR: [SubnetPool]
    /// nil where node ports are not handed out.
    let nodePorts: PortPool?

    init(_ cluster: ClusterConfiguration) {
        clusterIP = cluster.serviceRanges.map { AddressPool($0, layout: .services) }
        loadBalancer = cluster.loadBalancerRanges.map { AddressPool($0, layout: .loadBalancers) }
        nodeCIDR = cluster.clusterCIDRs.map {
            SubnetPool(cluster: $0, nodePrefixLength: cluster.nodeMaskSize($0.network.family))
        }
        nodePorts = cluster.nodePortRange.map { PortPool($0) }
    }

    func addressPool(_ pool: ServicePool, _ family: IPFamily) -> AddressPool? {
        addressPools(pool).first { $0.cidr.network.family == family }
    }

    /// The pool that an address lies in; nil where it came from a range that is no longer configured.
    func addressPool(_ pool: ServicePool, containing address: IPAddress) -> AddressPool? {
        addressPools(pool).first { $0.cidr.contains(address) }
    }

    private func addressPools(_ pool: ServicePool) -> [AddressPool] {
        switch pool {
        case .clusterIP: clusterIP
        case .loadBalancer: loadBalancer
        }
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

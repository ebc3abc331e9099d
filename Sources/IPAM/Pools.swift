import Addressing
import Allocation
import DualStack

/// The cluster's ranges: who hands out cluster IPs, load-balancer addresses and node CIDRs, each by family.
///
/// The books are kept by address, not by the position of a range, so that ranges may change their order over a restart.
struct Pools: Sendable {
    let clusterIP: [AddressPool]
    let loadBalancer: [AddressPool]
    let nodeCIDR: [SubnetPool]

    init(_ cluster: ClusterConfiguration) {
        clusterIP = cluster.serviceRanges.map { AddressPool($0, layout: .services) }
        loadBalancer = cluster.loadBalancerRanges.map { AddressPool($0, layout: .loadBalancers) }
        nodeCIDR = cluster.clusterCIDRs.map {
            SubnetPool(cluster: $0, nodePrefixLength: cluster.nodeMaskSize($0.network.family))
        }
    }

    func addressPool(_ pool: ServicePool, _ family: IPFamily) -> AddressPool? {
        addressPools(pool).first { $0.cidr.network.family == family }
    }

    /// The pool that an address lies in; nil where the range it came from is no longer configured.
    func addressPool(_ pool: ServicePool, containing address: IPAddress) -> AddressPool? {
        addressPools(pool).first { $0.cidr.contains(address) }
    }

    private func addressPools(_ pool: ServicePool) -> [AddressPool] {
        switch pool {
        case .clusterIP: clusterIP
        case .loadBalancer: loadBalancer
        }
    }

    func subnetPool(containing subnet: CIDR) -> SubnetPool? {
        nodeCIDR.first { $0.cluster.contains(subnet.network) }
    }
}

/// What is marked as taken in a pool, and where it is given back.
enum Hold: Sendable {
    case address(AddressPool, IPAddress)
    case subnet(SubnetPool, CIDR)
    /// Taken in its pool before and after: giving it back lets it cool.
    case cooling(CoolingAddresses, CoolingAddresses.Entry)

    func giveBack() {
        switch self {
        case .address(let pool, let address): _ = pool.release(address)
        case .subnet(let pool, let subnet): _ = pool.release(subnet)
        case .cooling(let addresses, let entry): addresses.add(entry)
        }
    }

    /// The address as a range of one, or the subnet.
    var range: CIDR {
        switch self {
        case .address(_, let address): CIDR(address)
        case .subnet(_, let subnet): subnet
        case .cooling(_, let entry): CIDR(entry.address)
        }
    }
}

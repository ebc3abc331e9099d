import Addressing
import Allocation
import Ledger

/// The claims of one call of this server, so that no other call tries the same. No part of the books: two servers may claim one
/// thing, and the log decides.
enum Claim: Sendable {
    case address(AddressPool, IPAddress)
    case subnet(SubnetPool, CIDR)
    case nodePort(PortPool, UInt16)
    /// An address that cools.
    case cooling(CoolingAddresses, CoolingAddress)
    /// A pod CIDR that cools, since this version.
    case coolingCIDR(CIDR, version: UInt64)
    /// Addresses that the object holds already, or that have no mark in a pool: the books alone decide.
    case own(CIDR)

    /// An address as a range of one; nil for a port.
    var range: CIDR? {
        switch self {
        case .nodePort: nil
        case .address(_, let address): CIDR(address)
        case .subnet(_, let subnet): subnet
        case .cooling(_, let entry): CIDR(entry.address)
        case .coolingCIDR(let range, _): range
        case .own(let range): range
        }
    }

    /// The change that takes it out of cooling, where it cools.
    var thaw: Change? {
        switch self {
        case .address, .subnet, .nodePort, .own: nil
        case .cooling(_, let entry): .thaw(CIDR(entry.address), version: entry.version)
        case .coolingCIDR(let range, let version): .thaw(range, version: version)
        }
    }
}

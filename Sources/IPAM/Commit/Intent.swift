import Addressing
import Allocation
import Ledger

/// What a call is about to change: the proposal, the objects that are made for it already, and what it claimed in the pools.
struct Intent: Sendable {
    var proposal: Proposal
    var prepared: Prepared
    /// Given back if the proposal is not kept.
    var claims: [Claim]

    init(_ proposal: Proposal = Proposal(), _ prepared: Prepared = Prepared(), claims: [Claim] = []) {
        self.proposal = proposal
        self.prepared = prepared
        self.claims = claims
    }
}

/// What one call of this server has claimed, so that no other call tries the same. No part of the books: two servers may claim one
/// thing, and the log decides.
enum Claim: Sendable {
    case address(AddressPool, IPAddress)
    case subnet(SubnetPool, CIDR)
    case nodePort(PortPool, UInt16)
    /// An address that cools.
    case cooling(CoolingAddresses, CoolingAddresses.Entry)
    /// A pod CIDR that cools, since this version.
    case coolingCIDR(CIDR, version: UInt64)
    /// What the object holds already, or no pool has a mark for: the books alone decide.
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

    /// What takes it out of cooling, where it cools.
    var thaw: Change? {
        switch self {
        case .address, .subnet, .nodePort, .own: nil
        case .cooling(_, let entry): .thaw(CIDR(entry.address), version: entry.version)
        case .coolingCIDR(let range, let version): .thaw(range, version: version)
        }
    }
}

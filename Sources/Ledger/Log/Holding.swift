public import Addressing

/// The kind of a record; each has a table of its own. The values are stored.
public enum RecordKind: UInt8, Sendable, CaseIterable {
    case service = 1
    case node = 2
    case pod = 3
    /// An address, or a node's CIDR, that was given back, and is not to be given out again yet; the key is its text.
    case cooling = 4
}

/// The key by which ports are counted.
public enum TransportProtocol: UInt8, Sendable, CaseIterable {
    case tcp = 1
    case udp = 2
    case sctp = 3
}

/// A holding of an object: an address or a subnet, with the kind of range it is from; or a port of every node.
public enum Holding: Hashable, Sendable {
    public enum Pool: UInt8, Sendable, CaseIterable {
        case serviceIP = 1
        case loadBalancerIP = 2
        case nodeCIDR = 3
        case podIP = 4
        /// A cluster IP that the cluster gave: recorded, and shared by all that show it.
        case recordedIP = 5
    }

    /// A single address is a /32 or a /128.
    case range(Pool, CIDR)
    case port(TransportProtocol, UInt16)

    public init(pool: Pool, range: CIDR) {
        self = .range(pool, range)
    }

    public init(pool: Pool, address: IPAddress) {
        self = .range(pool, CIDR(address))
    }

    /// nil for a port.
    public var pool: Pool? {
        if case .range(let pool, _) = self { pool } else { nil }
    }

    /// nil for a port.
    public var range: CIDR? {
        if case .range(_, let range) = self { range } else { nil }
    }

    /// The number of a port; nil for an address or a subnet.
    public var port: UInt16? {
        if case .port(_, let port) = self { port } else { nil }
    }

    /// The address, where it is a single one.
    public var address: IPAddress? { range?.singleAddress }
}

extension CIDR {
    /// The address of a range of one.
    var singleAddress: IPAddress? { hostBits == 0 ? network : nil }

    /// An address as such, a subnet with its length: the key of a cooling range, and the text of a holding.
    package var shortText: String { singleAddress?.description ?? description }
}

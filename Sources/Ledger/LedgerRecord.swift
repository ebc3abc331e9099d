public import Addressing

/// What kind of object a record is about; each has a table of its own.
public enum ObjectKind: UInt8, Sendable, CaseIterable {
    case service = 1
    case node = 2
    case pod = 3
    /// An address that was given back, and is not to be given out again yet; the key is the address.
    case cooling = 4
}

/// An address or a subnet that an object holds, and the kind of range it is from.
public struct Holding: Hashable, Sendable {
    public enum Pool: UInt8, Sendable, CaseIterable {
        case serviceIP = 1
        case loadBalancerIP = 2
        case nodeCIDR = 3
        case podIP = 4
    }

    public var pool: Pool
    /// A single address is a /32 or a /128.
    public var range: CIDR

    public init(pool: Pool, range: CIDR) {
        self.pool = pool
        self.range = range
    }

    public init(pool: Pool, address: IPAddress) {
        self.init(pool: pool, range: CIDR(containing: address, prefixLength: address.family.addressBits))
    }

    /// The address, where the range is a single one.
    public var address: IPAddress? {
        range.prefixLength == range.network.family.addressBits ? range.network : nil
    }
}

/// One object as it is to be stored, or its removal.
public struct LedgerRecord: Sendable, Equatable {
    public enum Change: Sendable, Equatable {
        /// `document` is the object as JSON text, as it is served; `context` what the engine needs beside it, as JSON
        /// text or empty; `holdings` every address that is now the object's.
        case put(document: [UInt8], context: [UInt8], holdings: [Holding])
        case delete
    }

    public var kind: ObjectKind
    /// The object's identity among those of its kind.
    public var key: String
    /// Grows with every change of any object.
    public var version: UInt64
    public var change: Change

    public init(kind: ObjectKind, key: String, version: UInt64, change: Change) {
        self.kind = kind
        self.key = key
        self.version = version
        self.change = change
    }
}

/// Records that are kept all together or not at all.
public struct LedgerTransaction: Sendable, Equatable {
    public var records: [LedgerRecord]

    public init(records: [LedgerRecord]) {
        self.records = records
    }
}

/// What became of a transaction.
public enum CommitVerdict: Sendable, Equatable {
    /// Kept: it survives a crash and the loss of power.
    case committed
    /// Not kept: another server of the same store holds these already. Only a store that is shared refuses.
    case refused(taken: [Holding])
}

public import Addressing

/// One pool in `GetPools`' answer. Counts are of addresses, for node CIDRs of subnets, for node ports of ports.
public struct PoolStatus: Sendable {
    public var pool: PoolDescription
    public var capacity: UInt128
    public var allocated: UInt128
    /// Given back, and not to be given out again yet: without a holder, and there for a claim that finds nothing else.
    public var coolingDown: UInt128

    public init(_ pool: PoolDescription, capacity: UInt128, allocated: UInt128, coolingDown: UInt128 = 0) {
        self.pool = pool
        self.capacity = capacity
        self.allocated = allocated
        self.coolingDown = coolingDown
    }

    public var name: String { pool.name }
    public var kind: PoolKind { pool.kind }
    public var range: AddressRange? { pool.range }
    public var ports: ClosedRange<UInt16>? { pool.ports }

    public var available: UInt128 { capacity - min(allocated, capacity) }

    /// How much of the pool is allocated, in tenths of a percent, rounded down.
    private var permille: Int { capacity == 0 ? 0 : Int(min(allocated, capacity) * 1000 / capacity) }

    public static func result(_ pools: [PoolStatus], continueToken: String? = nil) -> CallResult {
        CallResult { writer in
            writer.key("pools")
            writer.beginArray()
            for pool in pools { pool.write(to: &writer) }
            writer.endArray()
            writer.continuation(continueToken)
        }
    }

    private func write(to writer: inout JSONWriter) {
        writer.beginObject()
        pool.write(to: &writer)
        writer.counts([
            "capacity": capacity, "allocated": allocated, "available": available, "coolingDown": coolingDown,
        ])
        writer.key("percent")
        writer.text(Array("\(permille / 10).\(permille % 10)".utf8))
        pool.writeMaskSize(to: &writer)
        writer.endObject()
    }
}

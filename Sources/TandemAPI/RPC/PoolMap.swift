/// `GetPoolMap`'s answer: a pool by equal blocks.
public struct PoolMap: Sendable {
    /// Neighbours of a pool. The counts together are the block's size.
    public struct Block: Sendable, Equatable {
        /// The first address, subnet or port.
        public var first: String
        public var allocated: UInt128
        public var coolingDown: UInt128
        public var reserved: UInt128
        public var free: UInt128

        public init(first: String, allocated: UInt128, coolingDown: UInt128, reserved: UInt128, free: UInt128) {
            self.first = first
            self.allocated = allocated
            self.coolingDown = coolingDown
            self.reserved = reserved
            self.free = free
        }
    }

    public var pool: PoolDescription
    /// That of every block, but where the pool's ends do not lie on its multiples.
    public var blockSize: UInt128
    public var blocks: [Block]

    public init(_ pool: PoolDescription, blockSize: UInt128, blocks: [Block]) {
        self.pool = pool
        self.blockSize = blockSize
        self.blocks = blocks
    }

    public var result: CallResult {
        CallResult { writer in
            pool.write(to: &writer)
            pool.writeMaskSize(to: &writer)
            writer.counts(["blockSize": blockSize])
            writer.key("blocks")
            writer.beginArray()
            for block in blocks {
                writer.beginObject()
                writer.key("first")
                writer.string(block.first)
                writer.counts([
                    "allocated": block.allocated, "coolingDown": block.coolingDown, "reserved": block.reserved,
                    "free": block.free,
                ])
                writer.endObject()
            }
            writer.endArray()
        }
    }
}

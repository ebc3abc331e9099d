import Addressing
import Synchronization

/// A dictionary cut into shards, each behind a lock of its own that is held for one look-up and never across a call out.
///
/// Thread-safe. Look-ups and updates are O(1).
final class ShardedMap<Key: ShardKey, Value: Sendable>: Sendable {
    private final class Shard: Sendable {
        let entries = Mutex<[Key: Value]>([:])
    }

    /// A power of two: enough that a handful of threads seldom meet.
    private static var shardCount: Int { 64 }
    private let shards = (0..<shardCount).map { _ in Shard() }

    private func shard(of key: Key) -> Shard {
        shards[Int(truncatingIfNeeded: key.shardHash) & (Self.shardCount - 1)]
    }

    subscript(key: Key) -> Value? {
        get { shard(of: key).entries.withLock { $0[key] } }
        set { shard(of: key).entries.withLock { $0[key] = newValue } }
    }

    /// Reads and changes one entry in one step; `body` must neither block nor call out.
    @discardableResult
    func update<Result: Sendable>(_ key: Key, _ body: (inout Value?) -> Result) -> Result {
        shard(of: key).entries.withLock { body(&$0[key]) }
    }

    /// Every value, shard by shard; changes meanwhile may or may not be seen.
    func visit(_ body: (Key, Value) -> Void) {
        for shard in shards {
            for (key, value) in shard.entries.withLock({ $0 }) { body(key, value) }
        }
    }

    var count: Int {
        shards.reduce(0) { $0 + $1.entries.withLock { $0.count } }
    }
}

/// A key that says which shard it is in.
protocol ShardKey: Hashable, Sendable {
    var shardHash: UInt64 { get }
}

extension String: ShardKey {
    var shardHash: UInt64 {
        var text = self
        return text.withUTF8 { IPAM.shardHash(of: UnsafeRawBufferPointer($0)) }
    }
}

/// FNV-1a over words of eight bytes, with its high bits folded into the low ones that choose the shard.
func shardHash(of bytes: UnsafeRawBufferPointer) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    var offset = 0
    while offset + 8 <= bytes.count {
        let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        hash = (hash ^ word) &* 0x0000_0100_0000_01b3
        hash ^= hash >> 32
        offset += 8
    }
    while offset < bytes.count {
        hash = (hash ^ UInt64(bytes[offset])) &* 0x0000_0100_0000_01b3
        offset += 1
    }
    return hash ^ hash >> 32
}

extension IPAddress: ShardKey {
    var shardHash: UInt64 {
        let folded = UInt64(truncatingIfNeeded: bits) ^ UInt64(truncatingIfNeeded: bits >> 64)
        return (folded &* 0x9e37_79b9_7f4a_7c15) >> 32
    }
}

extension CIDR: ShardKey {
    var shardHash: UInt64 { network.shardHash }
}

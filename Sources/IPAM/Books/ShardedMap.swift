import Synchronization

/// A dictionary cut into shards, each behind a lock of its own that is held for one look-up and never across a call out.
///
/// Thread-safe. Look-ups and updates are O(1).
final class ShardedMap<Key: ShardKey, Value: Sendable>: Sendable {
    /// A key with its hash, by which its shard is found and its place in there.
    private struct Entry: Hashable {
        let key: Key
        let hash: UInt64

        init(_ key: Key) {
            self.key = key
            hash = key.seededHash
        }

        static func == (left: Entry, right: Entry) -> Bool { left.hash == right.hash && left.key == right.key }
        func hash(into hasher: inout Hasher) { hasher.combine(hash) }
    }

    private final class Shard: Sendable {
        let entries = Mutex<[Entry: Value]>([:])
    }

    /// A power of two: enough that a handful of threads seldom meet.
    private static var shardCount: Int { 64 }
    private let shards = (0..<shardCount).map { _ in Shard() }

    private func shard(of entry: Entry) -> Shard {
        shards[Int(truncatingIfNeeded: entry.hash) & (Self.shardCount - 1)]
    }

    subscript(key: Key) -> Value? {
        get {
            let entry = Entry(key)
            return shard(of: entry).entries.withLock { $0[entry] }
        }
        set {
            let entry = Entry(key)
            shard(of: entry).entries.withLock { $0[entry] = newValue }
        }
    }

    /// Reads and changes one entry in one step; `body` must neither block nor call out.
    @discardableResult
    func update<Result: Sendable>(_ key: Key, _ body: (inout Value?) -> Result) -> Result {
        let entry = Entry(key)
        return shard(of: entry).entries.withLock { body(&$0[entry]) }
    }
}

/// A key of a `ShardedMap`.
protocol ShardKey: Hashable, Sendable {
    /// Of this process alone: nobody can tell which keys are hashed alike.
    var seededHash: UInt64 { get }
}

extension String: ShardKey {
    var seededHash: UInt64 {
        var text = self
        return text.withUTF8 { SeededHash.hash(of: UnsafeRawBufferPointer($0)) }
    }

    /// The same in every process: see `shardHash(of:)`.
    var shardHash: UInt64 {
        var text = self
        return text.withUTF8 { IPAM.shardHash(of: UnsafeRawBufferPointer($0)) }
    }
}

/// Each word of eight bytes is multiplied by a number that only the process knows, and the halves of the product are folded: `Hasher` takes
/// twice as much.
private enum SeededHash {
    private static let start = UInt64.random(in: 0 ... .max)
    private static let factor = UInt64.random(in: 0 ... .max) | 1

    static func hash(of bytes: UnsafeRawBufferPointer) -> UInt64 {
        let factor = factor
        var hash = start ^ UInt64(bytes.count)
        var offset = 0
        while offset + 8 <= bytes.count {
            hash = folded(hash ^ bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self), factor)
            offset += 8
        }
        var last: UInt64 = 0
        while offset < bytes.count {
            last = last << 8 | UInt64(bytes[offset])
            offset += 1
        }
        return folded(hash ^ last, factor)
    }

    private static func folded(_ word: UInt64, _ factor: UInt64) -> UInt64 {
        let product = word.multipliedFullWidth(by: factor)
        return product.high ^ product.low
    }
}

/// FNV-1a over words of eight bytes, with its high bits folded into the low ones, which choose the shard. The same in every process and
/// version: digests are of it, and pods are in its order.
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

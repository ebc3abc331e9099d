public import Synchronization

/// The least work of an allocator: a bit set and cleared by one atomic instruction each, and nothing else.
public final class BareBitmap: Sendable {
    // The memory is initialised in `init`, holds atomics only, and is freed in `deinit` alone.
    @usableFromInline nonisolated(unsafe) let words: UnsafeMutablePointer<Atomic<UInt64>>
    @usableFromInline let wordDrop: UInt64

    /// - Parameter sizeShift: log2 of the number of bits, at least 7.
    public init(sizeShift: Int) {
        let count = 1 << (sizeShift - 6)
        wordDrop = UInt64(64 - (sizeShift - 6))
        words = UnsafeMutableRawPointer.allocate(byteCount: 8 * count, alignment: 64)
            .bindMemory(to: Atomic<UInt64>.self, capacity: count)
        for index in 0..<count { (words + index).initialize(to: Atomic(0)) }
    }

    deinit { UnsafeMutableRawPointer(words).deallocate() }

    /// Sets and clears a random bit of a random word.
    @inlinable @inline(__always)
    public func pair(_ entropy: UInt64) -> UInt64 {
        let word = words + Int(truncatingIfNeeded: entropy &>> wordDrop)
        let bit: UInt64 = 1 &<< (entropy & 63)
        // The orderings of the allocator's own exchanges.
        let before = word.pointee.bitwiseOr(bit, ordering: .acquiring).oldValue
        let after = word.pointee.bitwiseAnd(~bit, ordering: .sequentiallyConsistent).oldValue
        return before ^ after
    }
}

/// Where segments of the journal lie: the system's disk, or one under which a test has faults. Thread-safe; calls block.
public protocol SegmentDisk: Sendable {
    /// Makes a file of so many zeros, a multiple of 4 KiB, for its owner alone, over whatever lies at the path. When it returns, zeros and
    /// name are on the disk; where it throws, the file is gone or without use.
    func make(_ path: String, bytes: Int) throws(LedgerError) -> any SegmentFile

    /// A file that was made before.
    func open(_ path: String) throws(LedgerError) -> any SegmentFile

    /// Removes the files at the paths, all of one directory, where they exist; they are gone for good when this returns.
    func remove(_ paths: [String]) throws(LedgerError)
}

/// A segment's file, open until its last reference is gone. Memory, offsets and lengths are whole blocks of 4 KiB.
public protocol SegmentFile: Sendable {
    var bytes: Int { get }

    /// On the disk when it returns. Where it throws, any part of it may be.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(LedgerError)

    /// Throws where so much is not there.
    func read(_ bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws(LedgerError)
}

/// Memory that begins at a block, as files that are written past the system's pages need it. Not thread-safe.
final class AlignedMemory {
    // Proof: allocated here, given back in `deinit`, and lent inside closures alone.
    private var memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 0, alignment: GroupCoding.block)
    /// More is given back after use.
    private static let keptBytes = 1 << 20

    /// Lends as much, whole blocks.
    func lend<Value>(
        _ bytes: Int, _ body: (UnsafeMutableRawBufferPointer) throws(LedgerError) -> Value
    ) throws(LedgerError) -> Value {
        if memory.count < bytes { replace(max(bytes, min(memory.count * 2, Self.keptBytes))) }
        defer { if memory.count > Self.keptBytes { replace(0) } }
        return try body(UnsafeMutableRawBufferPointer(rebasing: memory[..<bytes]))
    }

    private func replace(_ bytes: Int) {
        memory.deallocate()
        memory = .allocate(byteCount: bytes, alignment: GroupCoding.block)
    }

    deinit { memory.deallocate() }
}

/// The form of a group in a segment: a header, an entry, and zeros up to the next block.
///
/// Header, little-endian: a mark (8 bytes) over the rest of the header, but for the checksum, and the epoch; the number of the first
/// proposal (8); how many proposals (4); the entry's bytes (4); a checksum (8) over the entry and the mark. A client that does not know
/// the epoch writes a mark that fits, and so nothing inside a document is ever taken for a group.
enum GroupCoding {
    /// Groups begin at multiples of it, and are written in them.
    static let block = 4096
    static let headerBytes = 32
    /// Proposals, and bytes of the entry, in one group at most.
    static let maximumBodyBytes = 1 << 30

    struct Header: Equatable {
        /// The number of its first proposal, from 1 on.
        var first: Int64
        /// At least 1.
        var count: Int
        var bodyBytes: Int

        var last: Int64 { first + Int64(count) - 1 }
        /// The group's bytes in a segment.
        var bytes: Int { GroupCoding.bytes(ofBody: bodyBytes) }
    }

    /// The bytes of a group with such an entry in a segment.
    static func bytes(ofBody bodyBytes: Int) -> Int { rounded(headerBytes + bodyBytes) }

    /// Up to whole blocks.
    static func rounded(_ bytes: Int) -> Int { (bytes + block - 1) & ~(block - 1) }

    /// Writes the group to the beginning of a memory that is large enough; `sizes` is of the same proposals. O(bytes).
    static func encode(
        _ group: [Proposal], _ sizes: EntryCoding.Sizes, first: Int64, _ epoch: Epoch,
        into memory: UnsafeMutableRawBufferPointer
    ) {
        let bytes = bytes(ofBody: sizes.total)
        precondition(bytes <= memory.count && !group.isEmpty && sizes.total <= maximumBodyBytes)
        let memory = UnsafeMutableRawBufferPointer(rebasing: memory[..<bytes])
        let body = UnsafeMutableRawBufferPointer(rebasing: memory[headerBytes..<headerBytes + sizes.total])
        var writer = ByteWriter(body.bindMemory(to: UInt8.self))
        EntryCoding.encode(group[...], sizes, to: &writer)
        UnsafeMutableRawBufferPointer(rebasing: memory[(headerBytes + sizes.total)...]).initializeMemory(
            as: UInt8.self, repeating: 0)
        let header = Header(first: first, count: group.count, bodyBytes: sizes.total)
        let mark = mark(header, epoch)
        var head = ByteWriter(
            UnsafeMutableRawBufferPointer(rebasing: memory[..<headerBytes]).bindMemory(to: UInt8.self))
        head.put(mark)
        head.put(header.first)
        head.put(UInt32(header.count))
        head.put(UInt32(header.bodyBytes))
        head.put(EntryBytes.checksum(UnsafeRawBufferPointer(body), seed: mark))
    }

    /// The header at the start of the bytes, a block or more; nil where it is none of this epoch. O(1).
    static func header(_ bytes: UnsafeRawBufferPointer, _ epoch: Epoch) -> Header? {
        var reader = ByteReader(bytes)
        guard let found = reader.integer(UInt64.self), let first = reader.integer(Int64.self),
            let count = reader.integer(UInt32.self), let bodyBytes = reader.integer(UInt32.self)
        else { return nil }
        let header = Header(first: first, count: Int(count), bodyBytes: Int(bodyBytes))
        guard found == mark(header, epoch), (1...Proposal.maximumNumber).contains(first), count > 0,
            header.bodyBytes <= maximumBodyBytes
        else { return nil }
        return header
    }

    /// The entry of the group that the bytes begin with; nil where the group is not there to its end, as it was written. O(bytes).
    static func body(_ bytes: UnsafeRawBufferPointer, _ header: Header, _ epoch: Epoch) -> UnsafeRawBufferPointer? {
        guard bytes.count >= headerBytes + header.bodyBytes else { return nil }
        let body = UnsafeRawBufferPointer(rebasing: bytes[headerBytes..<headerBytes + header.bodyBytes])
        var reader = ByteReader(UnsafeRawBufferPointer(rebasing: bytes[(headerBytes - 8)..<headerBytes]))
        return reader.integer(UInt64.self) == EntryBytes.checksum(body, seed: mark(header, epoch)) ? body : nil
    }

    private static func mark(_ header: Header, _ epoch: Epoch) -> UInt64 {
        let words = (
            epoch.high.littleEndian, epoch.low.littleEndian, UInt64(bitPattern: header.first).littleEndian,
            (UInt64(truncatingIfNeeded: header.count) | UInt64(truncatingIfNeeded: header.bodyBytes) << 32).littleEndian
        )
        return withUnsafeBytes(of: words) { EntryBytes.checksum($0) }
    }
}

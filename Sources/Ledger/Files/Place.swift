/// Where a group lies.
struct Place: Sendable {
    var header: GroupCoding.Header
    var file: any SegmentFile
    var path: String
    var offset: Int
    var epoch: Epoch

    var last: Int64 { header.last }

    /// The proposals, read from the disk. Blocks; O(bytes).
    func proposals(_ memory: AlignedMemory) throws(LedgerError) -> [Proposal] {
        try read(memory) { entry in EntryCoding.decode(entry).flatMap { $0.count == header.count ? $0 : nil } }
    }

    /// Hands over the entry, read from the disk and tested against its checksum. Throws also where `body` returns nil, as it is damaged
    /// then. Blocks; O(bytes).
    func read<Value>(
        _ memory: AlignedMemory, _ body: (UnsafeRawBufferPointer) -> Value?
    ) throws(LedgerError) -> Value {
        try memory.lend(header.bytes) { bytes throws(LedgerError) in
            try file.read(bytes, at: offset)
            let bytes = UnsafeRawBufferPointer(bytes)
            guard GroupCoding.header(bytes, epoch) == header, let entry = GroupCoding.body(bytes, header, epoch),
                let value = body(entry)
            else {
                throw LedgerError(
                    .corrupt,
                    "\(path): the changes \(header.first) to \(header.last) are damaged; nothing was changed: \(Damage.cure)"
                )
            }
            return value
        }
    }
}

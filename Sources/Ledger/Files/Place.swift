/// Where a group lies.
struct Place: Sendable {
    var header: GroupCoding.Header
    var file: any SegmentFile
    var path: String
    var offset: Int
    var epoch: Epoch

    var last: Int64 { header.last }

    /// The proposals, read from the disk and tested against their checksum. Blocks; O(bytes).
    func proposals(changesOnly: Bool, _ memory: AlignedMemory) throws(LedgerError) -> [Proposal] {
        try memory.lend(header.bytes) { bytes throws(LedgerError) in
            try file.read(bytes, at: offset)
            let bytes = UnsafeRawBufferPointer(bytes)
            guard GroupCoding.header(bytes, epoch) == header, let body = GroupCoding.body(bytes, header, epoch),
                let proposals = EntryCoding.decode(body, changesOnly: changesOnly), proposals.count == header.count
            else {
                throw LedgerError(
                    .corrupt,
                    "\(path): the changes \(header.first) to \(header.last) are damaged; nothing was changed: \(Damage.cure)"
                )
            }
            return proposals
        }
    }
}

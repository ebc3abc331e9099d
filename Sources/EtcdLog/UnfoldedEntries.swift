import Ledger
import NIOCore

/// The entries that the tables do not have yet, as bytes, with the proposals of them that are not kept: the input of a fold.
struct UnfoldedEntries {
    struct Entry {
        let revision: Int64
        let id: String
        let number: Int64
        let value: ByteBuffer
        /// Places of proposals in the entry, in their order.
        let refused: [Int]
        let proposals: Int

        init(_ revision: Int64, _ entry: ArrivedEntry, refused: [Int]) {
            self.revision = revision
            id = entry.id
            number = entry.number
            value = entry.value
            self.refused = refused
            proposals = entry.value.withUnsafeReadableBytes { EntryCoding.count($0) }
        }

        /// Its proposals, decoded: all of them, and whether each is kept. O(bytes).
        var judged: [(proposal: Proposal, isKept: Bool)] {
            var refused = refused[...]
            let proposals = value.withUnsafeReadableBytes { EntryCoding.decode($0) } ?? []
            return proposals.enumerated().map { index, proposal in
                guard refused.first == index else { return (proposal, true) }
                refused.removeFirst()
                return (proposal, false)
            }
        }
    }

    private(set) var entries = CircularBuffer<Entry>()
    private(set) var proposals = 0
    private(set) var bytes = 0
    /// The tables as they are.
    private(set) var mark = FoldedMark()
    /// The revision in which `mark` was put; 0 where it never was.
    private(set) var markRevision: Int64 = 0

    mutating func append(_ entry: Entry) {
        entries.append(entry)
        proposals += entry.proposals
        bytes += entry.value.readableBytes
    }

    /// The tables have everything up to a mark now.
    mutating func fold(_ mark: FoldedMark, _ revision: Int64) {
        (self.mark, markRevision) = (mark, revision)
        while let first = entries.first, first.revision <= mark.revision {
            entries.removeFirst()
            proposals -= first.proposals
            bytes -= first.value.readableBytes
        }
    }
}

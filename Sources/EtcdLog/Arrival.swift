import NIOCore

/// The changes of one revision.
struct Arrival {
    var revision: Int64
    /// The head's count; nil where the revision brought neither entry nor fold.
    var place: Int64?
    var entry: ArrivedEntry?
    var folded: (mark: FoldedMark, revision: Int64)?
}

/// One server's group as it came.
struct ArrivedEntry {
    var id: String
    var number: Int64
    var value: ByteBuffer
}

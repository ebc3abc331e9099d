import NIOCore

/// A group on its way to its place.
struct Flight {
    enum Phase: Equatable {
        /// Being asked for, or about to be asked again.
        case asking
        /// It has its place: the watch will bring it.
        case landed
        /// The lease was over. Once this revision has come, the entry has come with it or never will.
        case checking(Int64)
    }

    let value: ByteBuffer
    /// The registration under which it was sent.
    var id = ""
    var number: Int64 = 0
    var phase = Phase.asking
    /// Whether a request was sent that may have been carried out, or may still be.
    var isUncertain = false
    var attempts = 0
    let since = NIODeadline.now()
}

import NIOCore

/// The state of folding, and of looking after etcd's room.
struct Tidying {
    var isFolding = false
    /// Whether nothing was appended since a moment in which nothing else was to be done.
    var isIdle = false
    /// When something was appended last.
    var appended = NIODeadline.now()
    var foldedBytes = 0
    /// etcd's, of the member that was asked last.
    var databaseBytes: Int64 = 0
    var isCompacting = false
    /// Since when more than twice the allowed entries have waited.
    var overdueSince: NIODeadline?

    func use(of quota: Int64) -> Double { Double(databaseBytes) / Double(quota) }
}

/// A server's place among the others: a key that lives for as long as its lease, and whose version counts the server's entries. A request
/// that is sent under a registration lands at its own count or never, so that a request that is sent again, or comes late, lands once.
struct Registration: Sendable {
    /// 16 hexadecimal digits, new with each.
    let id: String
    let lease: Int64
    /// The version of its key: the number of its next entry.
    var count: Int64 = 1
}

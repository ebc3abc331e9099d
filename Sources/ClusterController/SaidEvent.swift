/// The last event of an object: the same is not repeated for a while.
struct SaidEvent: Sendable {
    var uid: String
    var reason: String
    var message: String
    var at: Duration
}

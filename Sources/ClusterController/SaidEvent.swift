/// What was said of an object last: the same is not said again for a while.
struct SaidEvent: Sendable {
    var uid: String
    var reason: String
    var message: String
    var at: Duration
}

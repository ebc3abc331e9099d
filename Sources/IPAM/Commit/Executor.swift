/// Runs closures where a client's work is done, such as the event loop of its connection: later, and in the order in which they came.
public protocol Executor: AnyObject, Sendable {
    func execute(_ body: @escaping @Sendable () -> Void)
    /// Several, for the price of one waking.
    func execute(_ bodies: [@Sendable () -> Void])
}

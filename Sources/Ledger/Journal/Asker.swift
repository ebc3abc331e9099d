/// The client that waits for a proposal's outcome: of a connection, or of a call that has its time.
public protocol Asker: AnyObject, Sendable {
    /// Whether no client waits any more; it stays so. Any thread; never blocks.
    var hasLeft: Bool { get }
}

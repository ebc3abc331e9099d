/// The origin of changes, for the order in which they reach the log: each flow waits behind its own changes and not behind those of others. A
/// number that one server gives to each identity for as long as it is connected. Thread-safe as a value.
public struct Flow: Hashable, Sendable {
    public var number: UInt32

    public init(_ number: UInt32) {
        self.number = number
    }

    /// The server's own changes.
    public static let server = Flow(0)
}

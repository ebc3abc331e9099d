public import TandemAPI

/// The next step for one object.
public enum Step: Sendable, Hashable {
    /// Read the object from the cluster again, as it is now: nothing is released by an old state.
    case look
    case call(TandemCall)
    /// A merge patch of the object in the cluster: of a Node, or of a Service's `status`.
    case patch(JSONValue)
    case finished(Finding)
}

/// A call of Tandem, and its purpose.
public struct TandemCall: Sendable, Hashable {
    public enum Purpose: String, Sendable, Hashable, CaseIterable {
        /// Adopts the addresses that the object shows.
        case adopt
        /// Assigns the missing addresses.
        case allocate
        /// The rules see it as it is by now.
        case update
        /// Its addresses are free, and that it had some stays known until the cluster no longer shows it.
        case vacate
        case release
    }

    public var purpose: Purpose
    public var method: TandemAPI.Method
    public var params: JSONValue

    public init(_ purpose: Purpose, _ method: TandemAPI.Method, _ params: JSONValue) {
        self.purpose = purpose
        self.method = method
        self.params = params
    }
}

/// How an object stands once nothing is left to be done.
public enum Finding: Sendable, Hashable {
    /// Both sides show the same.
    case settled
    /// Neither side has it, or Tandem's is not for this controller to take away.
    case nothing
    /// Another program's: another class, or a status that others wrote.
    case foreign(String)
    /// Tandem's node has CIDRs which the cluster, where a node's may not change, does not show.
    case grown([String])
    /// Addresses are given, and one of a family that is asked for is missing.
    case incomplete
    /// Tandem has it, and gives load balancers of its class and families no addresses.
    case ungiven
    /// Nothing before the object was away for so long.
    case waits
    /// Shown addresses are adopted; missing ones are for a later pass.
    case postponed

    /// A word for logs and metrics.
    public var word: String {
        switch self {
        case .settled: "settled"
        case .nothing: "nothing"
        case .foreign: "foreign"
        case .grown: "grown"
        case .incomplete: "incomplete"
        case .ungiven: "ungiven"
        case .waits: "waits"
        case .postponed: "postponed"
        }
    }
}

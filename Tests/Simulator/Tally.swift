extension Simulation {
    /// What a run did.
    public struct Tally: Sendable, CustomStringConvertible {
        public var steps = 0
        public var calls = 0
        public var acknowledged = 0
        public var transactions = 0
        public var storageFaults = 0
        public var crashes = 0
        public var restarts = 0

        public init() {}

        public mutating func add(_ other: Tally) {
            steps += other.steps
            calls += other.calls
            acknowledged += other.acknowledged
            transactions += other.transactions
            storageFaults += other.storageFaults
            crashes += other.crashes
            restarts += other.restarts
        }

        public var description: String {
            "\(steps) steps, \(calls) calls, \(acknowledged) acknowledged, \(transactions) transactions stored, "
                + "\(storageFaults) storage faults, \(crashes) crashes, \(restarts) restarts"
        }
    }
}

extension Simulation {
    /// Counts of a run's acts.
    public struct Tally: Sendable, CustomStringConvertible {
        public var steps = 0
        public var calls = 0
        public var acknowledged = 0
        /// Calls that were answered with an error.
        public var errors = 0
        /// Proposals that got a place in the log, and those of them that are not kept.
        public var proposals = 0
        public var refused = 0
        public var storageFaults = 0
        public var crashes = 0
        public var restarts = 0
        /// Groups that landed after their server was gone.
        public var lateGroups = 0
        public var folds = 0
        /// How often all calls in flight came to their end, and all states were compared.
        public var settlements = 0
        public var freshStarts = 0

        public init() {}

        public mutating func add(_ other: Tally) {
            for path in Self.counts { self[keyPath: path.count] += other[keyPath: path.count] }
        }

        private static var counts: [(count: WritableKeyPath<Tally, Int>, name: String)] {
            [
                (\.steps, "steps"), (\.calls, "calls"), (\.acknowledged, "acknowledged"), (\.errors, "errors"),
                (\.proposals, "proposals stored"), (\.refused, "refused"), (\.storageFaults, "storage faults"),
                (\.crashes, "crashes"), (\.restarts, "restarts"), (\.lateGroups, "late groups"), (\.folds, "folds"),
                (\.settlements, "settlements"), (\.freshStarts, "fresh starts compared"),
            ]
        }

        public var description: String {
            Self.counts.map { "\(self[keyPath: $0.count]) \($0.name)" }.joined(separator: ", ")
        }
    }
}

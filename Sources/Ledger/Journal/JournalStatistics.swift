public import Measures
import Synchronization

extension Journal {
    public struct Statistics: Sendable {
        /// Groups that landed.
        public var groups: UInt64 = 0
        /// Proposals that landed, refused ones too.
        public var proposals: UInt64 = 0
        /// Proposals that wait now.
        public var queued = 0
        /// How long the oldest proposal that is not settled has waited, in nanoseconds; 0 where there is none.
        public var lag: UInt64 = 0
        /// Proposals in each group that landed.
        public var groupSizes: Histogram.Snapshot
        /// How long the log took for each group, in nanoseconds.
        public var groupTimes: Histogram.Snapshot
        /// Proposals that the log's readable form is behind.
        public var backlog = 0
    }

    public var statistics: Statistics {
        var (statistics, oldest) = state.withLock { state in
            (
                Statistics(
                    groups: state.groups, proposals: state.proposals, queued: state.queue.count,
                    groupSizes: groupSizes.snapshot, groupTimes: groupTimes.snapshot),
                state.flight?.entries.since ?? state.queue.since
            )
        }
        if let oldest { statistics.lag = now().since(oldest) }
        statistics.backlog = log.backlog
        return statistics
    }
}

public import Measures
import NIOCore
import Synchronization
import TandemAPI

extension EtcdLog {
    /// Of the log that servers share; as it begins, that of a server which shares none.
    public struct Statistics: Sendable {
        /// Servers that are there, this one included.
        public var servers = 1
        /// Entries that have come: this server's, and others'.
        public var ownEntries: UInt64 = 0
        public var foreignEntries: UInt64 = 0
        /// Proposals in them that were not kept.
        public var refused: UInt64 = 0
        /// Groups that were sent once more, and those of them that had landed before.
        public var resends: UInt64 = 0
        public var landedBefore: UInt64 = 0
        /// Watches that ended and were begun again.
        public var watchRestarts: UInt64 = 0
        /// Questions for what etcd holds, each for all calls that waited, and how long the answers took, in nanoseconds.
        public var fenceTimes = Histogram.times().snapshot
        /// Entries that the tables do not have yet, in bytes.
        public var unfoldedBytes = 0
        /// etcd's database, and what it may become at most, in bytes; 0 where there is none.
        public var databaseBytes: Int64 = 0
        public var quotaBytes: Int64 = 0
        /// Whether servers that applied the same have other books.
        public var hasDisagreement = false
        /// Whether the flags that all share were changed.
        public var hasOtherConfiguration = false

        public init() {}
    }

    /// Any thread; never waits.
    public var statistics: Statistics {
        var statistics = state.withLock { state in
            var statistics = state.counts
            statistics.servers = max(1, state.servers.count)
            statistics.unfoldedBytes = state.unfolded.bytes
            statistics.databaseBytes = state.tidying.databaseBytes
            statistics.hasDisagreement = state.hasDisagreement
            statistics.hasOtherConfiguration = state.configurationFault != nil
            return statistics
        }
        statistics.quotaBytes = settings.quotaBytes
        statistics.fenceTimes = fenceTimes.snapshot
        return statistics
    }

    /// A server that is there.
    public struct Member: Sendable {
        /// New with each registration.
        public var id: String
        public var address: String
        public var program: String
        /// RFC 3339.
        public var since: String
        /// Everything in etcd up to this revision is applied there, as it said last, and so many entries and folds; nil where it has
        /// not said so yet.
        public var revision: Int64?
        public var place: Int64?
        /// Whether it is the one that was asked.
        public var isOwn: Bool
        /// Whether it has read everything, and has the books that this one has, as far as that is known. Whether it serves is its own to say.
        public var isReady: Bool

        public init(
            id: String, address: String, program: String, since: String, revision: Int64? = nil, place: Int64? = nil,
            isOwn: Bool = false, isReady: Bool = false
        ) {
            self.id = id
            self.address = address
            self.program = program
            self.since = since
            self.revision = revision
            self.place = place
            self.isOwn = isOwn
            self.isReady = isReady
        }
    }

    /// The servers that are there, in the order of their names: the first one folds. Any thread; O(servers).
    public var members: [Member] {
        let found = state.withLock { state in
            state.servers.map { id, record in
                let mark = state.progress[id]
                return (
                    id: id, record: record, mark: mark, isOwn: state.ownIDs.contains(id),
                    isReady: mark.map { state.agrees(with: $0) ?? true } ?? false
                )
            }
        }
        return found.sorted { $0.id < $1.id }.map { id, record, mark, isOwn, isReady in
            let json = try? JSONValue(parsing: Array(record.readableBytesView))
            return Member(
                id: id, address: json?["address"]?.stringValue ?? "", program: json?["program"]?.stringValue ?? "",
                since: json?["since"]?.stringValue ?? "", revision: mark?.revision, place: mark?.place, isOwn: isOwn,
                isReady: isReady)
        }
    }
}

import Measures
import NIOCore
import Synchronization
import TandemAPI

extension EtcdLog {
    /// Any thread; never waits.
    public var statistics: EtcdLogStatistics {
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

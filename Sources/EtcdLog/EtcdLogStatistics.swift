public import Measures

/// Of the log that servers share; as it begins, that of a server which shares none.
public struct EtcdLogStatistics: Sendable {
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
    /// Fences, each for all waiting calls, and the times of the answers, in nanoseconds.
    public var fenceTimes = Histogram.times().snapshot
    /// Entries that the tables do not have yet, in bytes.
    public var unfoldedBytes = 0
    /// The size of etcd's database, and its quota, in bytes; 0 where there is none.
    public var databaseBytes: Int64 = 0
    public var quotaBytes: Int64 = 0
    /// Whether servers that applied the same have other books.
    public var hasDisagreement = false
    /// Whether the flags that all share were changed.
    public var hasOtherConfiguration = false

    public init() {}
}

import Measures

extension Journal {
    /// Proposals that may wait; one more is answered with `queueFull`.
    public static let maximumQueue = 65_536
    /// The same in bytes as they will be stored; the one that reaches it still waits.
    public static let maximumQueueBytes = 64 << 20
    /// How long the first of them may have waited, in milliseconds, before a further one is refused: storage that is that far
    /// behind would only make every caller wait longer, and callers who gave up would still be served.
    public static let maximumWaitMilliseconds = 2_000

    /// What a further proposal is refused with then. One value for all, as it is given most when there is the least time.
    public static let congestion = LedgerError(
        .queueFull,
        "storage is behind: \(maximumQueue) changes or \(maximumQueueBytes >> 20) MiB of them wait for it, or one for more than "
            + "\(maximumWaitMilliseconds) ms; try again in a moment")
}

extension Journal {
    static let abandonment = LedgerError(.abandoned, "nobody waited for the change any more, and it was not made")
}

/// What waits for a place in the log, in the order in which it came; how much of it may, and why a further proposal is refused.
struct JournalQueue {
    struct Entry: Sendable {
        enum Work: Sendable {
            case proposal(Proposal, Journal.Settlement)
            case barrier(@Sendable () -> Void)
        }

        var work: Work
        /// For whom the proposal is made; nil where that is nobody who could leave.
        var asker: (any Asker)?
        /// When it came.
        var since: Moment
        /// What it takes in storage.
        var bytes = 0

        var proposal: Proposal? {
            if case .proposal(let proposal, _) = work { proposal } else { nil }
        }
    }

    private var entries: [Entry] = []
    /// Proposals that wait.
    private(set) var count = 0
    /// Of all that wait.
    private var bytes = 0
    /// Why nothing is taken any more; nil while the queue is open.
    private(set) var closure: LedgerError?

    var isEmpty: Bool { entries.isEmpty }

    /// When the first of the proposals that wait came. O(barriers before it).
    var since: Moment? { entries.since }

    /// Takes no further proposal. What waits already stays; the reason that was given first does too, unless the later one is a fault.
    mutating func close(_ reason: LedgerError, isFault: Bool) {
        if closure == nil || isFault { closure = reason }
    }

    /// Why a further proposal is not taken; nil where it is. O(1).
    func refusal(_ now: Moment) -> LedgerError? { closure ?? (isCongested(now) ? Journal.congestion : nil) }

    mutating func append(_ entry: Entry) {
        entries.append(entry)
        bytes += entry.bytes
        if entry.proposal != nil { count += 1 }
    }

    /// What is appended next: all that waits, or as much of it as goes into one group.
    mutating func takeGroup(_ limits: GroupLimits) -> [Entry] {
        guard entries.count > limits.proposals || bytes > limits.bytes else {
            defer { (entries, count, bytes) = ([], 0, 0) }
            return entries
        }
        var (end, taken) = (0, 0)
        while end < min(entries.count, limits.proposals) {
            taken += entries[end].bytes
            if end > 0, taken > limits.bytes { break }
            end += 1
        }
        let group = Array(entries[..<end])
        entries.removeFirst(end)
        count -= group.count { $0.proposal != nil }
        bytes -= group.reduce(0) { $0 + $1.bytes }
        return group
    }

    /// Too many wait, or too much, or the first of them has waited for too long.
    func isCongested(_ now: Moment) -> Bool {
        if count >= Journal.maximumQueue || bytes >= Journal.maximumQueueBytes { return true }
        guard let since else { return false }
        return now.since(since) > UInt64(Journal.maximumWaitMilliseconds) * 1_000_000
    }
}

extension [JournalQueue.Entry] {
    /// When the first of the proposals came; a barrier changes nothing and is behind nobody.
    var since: Moment? { first { $0.proposal != nil }?.since }
}

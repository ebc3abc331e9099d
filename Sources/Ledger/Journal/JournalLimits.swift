/// How much may wait for the log, and how long.
public enum JournalLimits {
    /// Proposals that may wait; one more is answered with `queueFull`. A flow may have as many of them as it leaves for others: one alone has half.
    public static let maximumQueue = 65_536
    /// The same in bytes as they will be stored; the one that reaches it still waits.
    public static let maximumQueueBytes = 64 << 20
    /// How long the first of a flow's may have waited, in milliseconds, before a further one of it is refused: storage that is that far
    /// behind would only make every caller wait longer, and callers that gave up would still be served.
    public static let maximumWaitMilliseconds = 2_000
    /// How long a log that several servers share has to answer a fence, in milliseconds; and how long a proposal waits behind a group
    /// without an outcome.
    static let fenceMilliseconds = 2_000
    /// For how long after its last answer such a log is taken to be there, in milliseconds.
    static let answeringMilliseconds = 1_000
}

extension LedgerError {
    /// The refusal of a further proposal then. One value for all, as it is given most when there is the least time.
    public static let congestion = LedgerError(
        .queueFull,
        "storage is behind: so many changes of this client wait for it that only as many have room for all others (of "
            + "\(JournalLimits.maximumQueue), and of \(JournalLimits.maximumQueueBytes >> 20) MiB), or one for more than "
            + "\(JournalLimits.maximumWaitMilliseconds) ms; try again in a moment"
    )

    static let abandonment = LedgerError(.abandoned, "its client had left, and the change was not made")
}

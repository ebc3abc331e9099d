/// The order of everything that changes: each proposal has one place, and every server takes them in the order of their places.
///
/// An appended entry lands once or never, whatever happens to the call; an unknown outcome is found out by the log, never
/// guessed. Calls come from one thread at a time, the journal's, once it has started; `append` and `maintain` may block it.
public protocol Log: Sendable {
    /// Hands over the folded form: each object and each cooling range once. First the Services, then the nodes, the pods, and the ranges that
    /// cool; those of one kind in no promised order and from several threads at a time. Returns the highest version that was given
    /// by then, that of removed objects included; throws the first error of `body`. O(objects).
    func load(_ body: @Sendable (StoredObject) throws -> Void) throws -> UInt64

    /// Hands over the proposals behind the folded form, in the order of their places; `body` says whether one is kept. Once, behind
    /// `load`. O(bytes).
    func replay(_ body: (Proposal) throws -> Bool) throws

    /// Begins to append a group; its outcome comes by `next`. One group is in flight at a time. An empty group shows whether storage
    /// takes writes.
    func append(_ group: [Proposal])

    /// The next event in the log's order; nil where there is none yet: then the closure given to `start` runs when there is. Never
    /// waits.
    func next() -> LogEvent?

    /// Asks for a `.fenced` event, which comes behind everything that the log holds now. One is asked for at a time.
    func fence()

    /// Whether other servers append, so that an answer without a commit needs a fence.
    var isShared: Bool { get }

    /// The proposal at a place of the group that landed last, or of the entry that came last, is not kept: told before `next` is
    /// called again.
    func noteRefused(_ index: Int)

    /// Runs `rouse`, from any thread, when `next` has something after it had nothing.
    func start(_ rouse: @escaping @Sendable () -> Void)

    /// Does one small step of work that no caller waits for. `isIdle` says that nothing else is to be done.
    /// Returns whether more of it is due now.
    func maintain(isIdle: Bool) throws(LedgerError) -> Bool

    /// Proposals that are kept, and not yet in the form that people read: work for `maintain`. Any thread.
    var backlog: Int { get }

    /// How large a group `append` takes. A proposal that is larger by itself comes alone.
    var groupLimits: GroupLimits { get }

    /// Takes the digest of the books after the last place of `next`; for logs that several servers share.
    func noteDigest(_ digest: UInt64)

    /// Why no object is to be put for now, though others may go; nil where all is well. Any thread; never waits.
    var additionRefusal: LedgerError? { get }

    /// Why the log can't do its work for now, though it has said of no group that it failed; nil where all is well. Any thread; never
    /// waits.
    var trouble: LedgerError? { get }

    /// From here on the log may do background work on threads of its own; `maintain` lets them look for work.
    func startTidying()

    /// From here on `maintain` does that work again. Blocks until the threads have ended.
    func stopTidying()

    /// Leaves everything in good order and lets go of it. Nothing may be called after.
    func close()
}

/// A log of which a copy can be made, from which `Backup.restore` starts one.
public protocol BackedUpLog: Log {
    /// Writes all changes acknowledged by now, or more, into a new file, for its owner alone. Blocks; any thread but the journal's.
    func backUp(to file: String) throws(LedgerError)
}

public enum LogEvent: Sendable {
    /// The group in flight has its place here.
    case landed
    /// The group in flight has no place and never will have; or, where the error's outcome is unknown, it can't be known, and nothing more
    /// may be acknowledged.
    case failed(LedgerError)
    /// Another server's entry.
    case foreign([Proposal])
    /// The log's state at the call of `fence` has arrived.
    case fenced
    /// Nothing that concerns a caller; but `maintain` may have more to do now.
    case tidied
    /// No more events come, and the outcome of the group in flight is not known.
    case ended(LedgerError)
}

public struct GroupLimits: Sendable {
    public var proposals: Int
    /// As they will be stored.
    public var bytes: Int

    public init(proposals: Int, bytes: Int) {
        self.proposals = proposals
        self.bytes = bytes
    }

    /// The wait of a client at the end of a long queue stays bounded.
    public static let standard = GroupLimits(proposals: 4_096, bytes: 16 << 20)

    /// Where several identities have changes: a change of one that comes now is in the next group, whatever the others have waiting, and so behind a
    /// millisecond of theirs. Smaller groups than need be cost all of them more.
    public static let shared = GroupLimits(proposals: 128, bytes: 256 << 10)

    func capped(at other: GroupLimits) -> GroupLimits {
        GroupLimits(proposals: min(proposals, other.proposals), bytes: min(bytes, other.bytes))
    }
}

extension Log {
    public var isShared: Bool { false }
    public func start(_ rouse: @escaping @Sendable () -> Void) {}
    public func fence() {}
    public func startTidying() {}
    public func stopTidying() {}
    public var backlog: Int { 0 }
    public var groupLimits: GroupLimits { .standard }
    public func noteDigest(_ digest: UInt64) {}
    public var additionRefusal: LedgerError? { nil }
    public var trouble: LedgerError? { nil }
}

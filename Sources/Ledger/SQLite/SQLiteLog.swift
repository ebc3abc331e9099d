import Foundation
import GRDB
import Measures
import Synchronization

/// The log of one server, in one directory: a journal of files that makes proposals durable, and one SQLite database with readable tables
/// that a checkpoint brings up to it.
///
/// A group has reached the disk when `append` returns and its `.landed` is there, in the segment that lies at its path. `append` waits for
/// nothing else: the checkpoint works on a thread of its own, once `startTidying` was called. Calls block but for `next`, and
/// come from one thread at a time; `backUp` may be called by any other.
public final class SQLiteLog: BackedUpLog {
    /// Changes that may wait in the journal while commits keep coming: folding them into the tables costs ten times as much
    /// as journalling them did, so that it is left to idle moments for as long as a recovery stays quick.
    static let maximumBacklog = 65_536
    /// The same in bytes of the journal: of large objects far fewer may wait.
    static let maximumBacklogBytes = 64 << 20
    /// With this many times as much, commits wait for the checkpoint.
    static let backlogFactor = 2
    /// Changes folded in one step, and bytes: a step ends with the first group that fills it.
    static let stepSize = 2_048
    static let stepBytes = 4 << 20
    /// A log that is longer than this is cut short once it is copied and nothing is to be done; to grow again costs time.
    static let keptLogBytes = 16 << 20
    /// A checkpoint that failed is tried again so much later, in nanoseconds, while commits go on.
    static let pause: UInt64 = 200_000_000

    /// The work of the checkpoint.
    struct Housekeeping {
        /// Whether something was written into the database since its log was copied, or the log is long.
        var mayHaveLog = true
        /// Whether room may have become free in the file since that was last looked for.
        var mayHaveRoom = true
        /// Why it failed last time, and when.
        var failure: (error: LedgerError, since: Moment)?
    }

    private struct Failures {
        /// Bytes of the group for which there was no room last; 0 where there was.
        var bytes = 0
        /// Whether the outcome of a group was never found out.
        var isUnsure = false
    }

    let path: String
    let directory: String
    let connection: Connection
    let segments: Segments
    let backlogState: Mutex<Backlog>
    let housekeeping = Mutex(Housekeeping())
    /// Held while a step is folded.
    let folding = Mutex(())
    // Relaxed: a hint.
    let isIdle = Atomic<Bool>(false)
    private let event = Mutex<LogEvent?>(nil)
    private let failures = Mutex(Failures())
    private let lock: Mutex<DirectoryLock?>
    private let threads = Mutex<(folds: Background, segments: Background)?>(nil)

    /// Opens or makes the database of a directory, which is made if need be, and holds the directory until `close`.
    public convenience init(directory: String) throws(LedgerError) {
        try self.init(directory: directory, disk: SystemDisk(), SegmentSizes())
    }

    /// The same over another disk.
    init(directory: String, disk: any SegmentDisk, _ sizes: SegmentSizes) throws(LedgerError) {
        let lock = try DirectoryLock(directory)
        let files = DataFiles(directory: directory)
        self.directory = directory
        path = files.database
        files.removeUnfinished()
        if try OpenFile(files.database) == nil {
            let left = files.segments().first.map { "\(directory)/\($0)" }
            if let left = try OpenFile(files.log) != nil ? files.log : left {
                throw LedgerError(
                    .corrupt,
                    "\(left) is there, and its database \(files.database) is not: put that back; or, to start anew or with "
                        + "--restore FILE, move the other away")
            }
        }
        try DataFiles.make(files.database)
        files.narrow()
        connection = try Connection(path, try OpenFile.lying(at: [files.database, files.lock]))
        segments = Segments(directory: directory, disk, sizes, SegmentRegistry(connection: connection))
        do throws(LedgerError) {
            let (folded, rows) = try connection.run { db in
                (try JournalRows.folded(db).sequence, try Int64.fetchOne(db, sql: "SELECT max(seq) FROM journal") ?? 0)
            }
            let places = try segments.recover(folded, behind: max(folded, rows))
            backlogState = Mutex(Backlog(folded: folded, rows: rows, places))
        } catch {
            connection.close()
            throw error
        }
        self.lock = Mutex(lock)
    }

    // MARK: Appending

    public func append(_ group: [Proposal]) {
        let outcome: LogEvent
        do throws(LedgerError) {
            try commit(group)
            outcome = .landed
        } catch {
            outcome = .failed(error)
        }
        event.withLock { $0 = outcome }
    }

    public func next() -> LogEvent? {
        let event = event.withLock { $0.take() }
        // Nothing more is told of the group before.
        if event == nil { backlogState.withLock { $0.judge() } }
        return event
    }

    public func noteRefused(_ index: Int) { backlogState.withLock { $0.refuse(index) } }

    private func commit(_ group: [Proposal]) throws(LedgerError) {
        isIdle.store(false, ordering: .relaxed)
        guard lock.withLock({ $0 != nil }) else { throw LedgerError(.stopped, "\(path) is closed") }
        if group.isEmpty {
            try segments.probe(failures.withLock { $0.bytes })
            return try checkInPlace(.notCommitted)
        }
        let newest = backlogState.withLock { state in
            state.judge()
            return state.newest
        }
        do throws(LedgerError) {
            try waitForCheckpoint()
            let place = try append(group, behind: newest)
            // Behind the commit: a file that is moved away from here on has the group in it.
            try checkInPlace(.unknown)
            backlogState.withLock { $0.land(place) }
        } catch {
            let bytes = group.reduce(GroupCoding.block) { $0 + $1.encodedBytes }
            failures.withLock { failures in
                failures.bytes = error.code == .full ? bytes : 0
                if error.outcome == .unknown { failures.isUnsure = true }
            }
            throw error
        }
        if segments.needsPreparing { threads.withLock { $0?.segments.rouse() } }
    }

    /// Where a write's error leaves the outcome of the group open, it is found out.
    private func append(_ group: [Proposal], behind newest: Int64) throws(LedgerError) -> Place {
        let failure: LedgerError
        do throws(LedgerError) {
            return try segments.append(group, first: newest + 1)
        } catch {
            guard error.outcome == .unknown else {
                try checkInPlace(.notCommitted)
                throw error
            }
            failure = error
        }
        // The finding must be of the file that the group was for.
        try checkInPlace(.unknown)
        do throws(LedgerError) {
            if let place = try segments.resolve(group, first: newest + 1, failure) { return place }
        } catch {
            throw LedgerError(
                error.code,
                "\(failure.message); and whether that change was kept can't be told: \(error.message). "
                    + "Nothing more is acknowledged; a restart reads the stored state",
                outcome: .unknown)
        }
        throw failure.with(.notCommitted)
    }

    /// Changes that are not in the tables stay bounded, at any rate: here a commit does the checkpoint's work.
    private func waitForCheckpoint() throws(LedgerError) {
        while backlogState.withLock({ state in
            let isOver =
                state.count > Self.maximumBacklog * Self.backlogFactor
                || state.bytes > Self.maximumBacklogBytes * Self.backlogFactor
            return isOver && state.foldable > 0
        }) {
            try fold()
        }
    }

    public func close() {
        stopTidying()
        let isFolded = backlogState.withLock { $0.count == 0 } && !failures.withLock { $0.isUnsure }
        // With everything in the tables nothing else is needed.
        if isFolded, (try? checkInPlace(.notCommitted)) != nil { try? segments.removeAll() }
        connection.close()
        lock.withLock { $0 = nil }
    }

    // MARK: Threads of its own

    public func startTidying() {
        threads.withLock { threads in
            guard threads == nil else { return }
            // Weak: a log does not outlive its owner.
            let folds = Background("tandem-folds") { [weak self] in self?.tidyUp() ?? false }
            let segments = Background("tandem-segments", niceness: 10) { [weak self] in
                self?.prepareSegment()
                return false
            }
            threads = (folds, segments)
            segments.rouse()
        }
    }

    public func stopTidying() {
        let threads = threads.withLock { $0.take() }
        threads?.folds.stop()
        threads?.segments.stop()
    }

    var hasThreads: Bool { threads.withLock { $0 != nil } }

    func rouseFolds() { threads.withLock { $0?.folds.rouse() } }

    /// A failure shows again when the segment is needed.
    func prepareSegment() { try? segments.prepare(behind: backlogState.withLock { $0.newest }) }

    // MARK: Inside

    /// Throws where a file of the database, a segment, or the lock that keeps other servers out is not at its path any more.
    func checkInPlace(_ outcome: LedgerError.Outcome) throws(LedgerError) {
        try connection.checkInPlace(outcome)
        try segments.checkInPlace(outcome)
    }
}

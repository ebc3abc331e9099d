public import Ledger
import Synchronization

/// A log in memory that fails when it is told to: for tests of the layers above it.
///
/// It keeps the groups that it says it keeps, in the same form, and forgets everything else as a crash would. A second one on the same disk is
/// a restart. Thread-safe.
public final class FaultyLog: Log {
    public enum Fault: Sendable, Equatable {
        /// The group is not kept, and says so.
        case notCommitted
        /// The group is kept, which is found out late: it lands.
        case unknownButKept
        /// The group is lost, which is found out late.
        case unknownAndLost
        /// The group is lost, and its outcome stays unknown.
        case unresolvable
        /// The group is kept, and its outcome stays unknown.
        case unresolvableButKept
    }

    /// The state that outlives a process.
    public final class Disk: Sendable {
        fileprivate struct State {
            /// The folded form.
            var tables = StoredTables()
            /// The proposals behind it, and which of them are refused, as far as that was told.
            var proposals: [Proposal] = []
            var refused: Set<Int> = []

            mutating func fold() {
                for (index, proposal) in proposals.enumerated() where !refused.contains(index) {
                    tables.apply(proposal)
                }
                (proposals, refused) = ([], [])
            }
        }

        fileprivate let state = Mutex(State())

        public init() {}

        /// The records that a new start would find, in the order of kinds and keys: with proposals that were not reported as refused.
        public var stored: [StoredRecord] { tables.sorted }

        /// The same, and the version given last.
        public var tables: StoredTables {
            state.withLock { state in
                var copy = state
                copy.fold()
                return copy.tables
            }
        }

        /// Proposals that are not folded.
        public var unfolded: Int { state.withLock { $0.proposals.count } }
    }

    private struct State {
        var groups = 0
        /// The place on the disk of the first proposal of the group that landed last.
        var start = 0
        var event: LogEvent?
    }

    public let disk: Disk
    private let state = Mutex(State())
    private let fault: @Sendable (Int) -> Fault?
    /// Proposals that stay in the log when those before them are folded.
    private static let foldedBeyond = 64

    /// `fault` gives the fault of the group of a number, counted from 0 in this process; nil for none.
    public init(disk: Disk = Disk(), _ fault: @escaping @Sendable (Int) -> Fault? = { _ in nil }) {
        self.disk = disk
        self.fault = fault
    }

    public var stored: [StoredRecord] { disk.stored }

    public func load(_ body: @Sendable (StoredObject) throws -> Void) throws -> UInt64 {
        let tables = disk.state.withLock { $0.tables }
        try tables.load(body)
        return tables.version
    }

    public func replay(_ body: (Proposal) throws -> Bool) throws {
        let proposals = disk.state.withLock { $0.proposals }
        var refused: Set<Int> = []
        for (index, proposal) in proposals.enumerated() where try !body(proposal) { refused.insert(index) }
        disk.state.withLock { $0.refused = refused }
    }

    public func append(_ group: [Proposal]) {
        let fault = state.withLock { state in
            defer { state.groups += 1 }
            return self.fault(state.groups)
        }
        switch fault {
        case nil, .unknownButKept, .unresolvableButKept: keep(group)
        case .notCommitted, .unknownAndLost, .unresolvable: break
        }
        let event: LogEvent =
            switch fault {
            case nil, .unknownButKept: .landed
            case .notCommitted: .failed(LedgerError(.full, "the disk is full"))
            case .unknownAndLost: .failed(LedgerError(.inputOutput, "the disk did not answer"))
            case .unresolvable, .unresolvableButKept:
                .failed(LedgerError(.inputOutput, "the disk is gone", outcome: .unknown))
            }
        state.withLock { $0.event = event }
    }

    private func keep(_ group: [Proposal]) {
        let start = disk.state.withLock { disk in
            defer { disk.proposals += group }
            return disk.proposals.count
        }
        state.withLock { $0.start = start }
    }

    public func next() -> LogEvent? { state.withLock { $0.event.take() } }

    public func noteRefused(_ index: Int) {
        let place = state.withLock { $0.start } + index
        disk.state.withLock { disk in
            precondition(place < disk.proposals.count, "the group has no such proposal")
            disk.refused.insert(place)
        }
    }

    /// Folds all that is judged by now, once much of it waits: so that restarts find both forms.
    public func maintain(isIdle: Bool) throws(LedgerError) -> Bool {
        disk.state.withLock { if $0.proposals.count > Self.foldedBeyond { $0.fold() } }
        return false
    }

    /// Folds all of it.
    public func fold() { disk.state.withLock { $0.fold() } }

    public func close() {}
}

import Measures

/// The proposals that wait for a place in the log: each flow's in the order in which it came, the flows in turn; how much of it may wait, and why a further
/// proposal is refused.
struct JournalQueue {
    /// One allocation, handed on by reference: it was made on another thread, and each count of its parts would fetch them from there.
    // Proof of `@unchecked Sendable`: `number` is set once, by `append`, before any other thread sees the entry.
    final class Entry: @unchecked Sendable {
        enum Work: Sendable {
            case proposal(Proposal, Settlement)
            case barrier(@Sendable () -> Void)
        }

        let work: Work
        let flow: Flow
        /// The asker of the proposal; nil where it can't leave.
        let asker: (any Asker)?
        /// When it came.
        let since: Moment
        /// Its bytes in storage.
        let bytes: Int
        /// How many came before it, of any flow.
        fileprivate(set) var number: UInt64 = 0

        init(work: Work, flow: Flow = .server, asker: (any Asker)? = nil, since: Moment, bytes: Int = 0) {
            (self.work, self.flow, self.asker, self.since, self.bytes) = (work, flow, asker, since, bytes)
        }

        var isProposal: Bool { if case .proposal = work { true } else { false } }

        var proposal: Proposal? {
            if case .proposal(let proposal, _) = work { proposal } else { nil }
        }
    }

    /// The waiting proposals of one flow; never empty.
    private struct Line: Sendable {
        var entries: [Entry] = []
        /// Those before are gone: a removal from the front does not move the rest each time.
        var first = 0
        var bytes = 0
        /// Bytes that it may take at its next turns.
        var credit = 0

        var count: Int { entries.count - first }

        var oldest: Entry { entries[first] }

        /// Whether it is the first that waits.
        mutating func append(_ entry: Entry) -> Bool {
            bytes += entry.bytes
            entries.append(entry)
            return count == 1
        }

        mutating func removeFirst() -> Entry {
            let entry = entries[first]
            first += 1
            bytes -= entry.bytes
            if first > 64, first > entries.count / 2 {
                entries.removeFirst(first)
                first = 0
            }
            return entry
        }
    }

    private var lines: [Flow: Line] = [:]
    /// Flows that have something waiting, the one whose turn is next first.
    private var turns: [Flow] = []
    /// Each behind all that came before it.
    private var barriers: [Entry] = []
    private var arrivals: UInt64 = 0
    /// The flow of the last one, and when last one came of another flow than the one before.
    private var lastFlow = Flow.server
    private var lastTurn: Moment?
    /// Proposals that wait.
    private(set) var count = 0
    /// Of all that wait.
    private var bytes = 0
    /// Why nothing is taken any more; nil while the queue is open.
    private(set) var closure: LedgerError?

    /// The least that a flow takes at one turn, where not all goes into one group, in bytes: some ten changes.
    static let quantum = 8 << 10

    var isEmpty: Bool { count == 0 && barriers.isEmpty }

    /// When the first of the proposals that wait came. O(flows).
    var since: Moment? { lines.values.lazy.map(\.oldest.since).min() }

    /// Takes no further proposal. Waiting ones stay; the reason that was given first does too, unless the later one is a fault.
    mutating func close(_ reason: LedgerError, isFault: Bool) {
        if closure == nil || isFault { closure = reason }
    }

    /// Why a further proposal of the flow is not taken; nil where it is. O(1).
    func refusal(of flow: Flow, _ now: Moment) -> LedgerError? {
        closure ?? (isCongested(for: flow, now) ? LedgerError.congestion : nil)
    }

    mutating func append(_ entry: Entry) {
        entry.number = arrivals
        arrivals += 1
        guard entry.isProposal else { return barriers.append(entry) }
        if entry.flow != lastFlow {
            if lastFlow != .server, entry.flow != .server { lastTurn = entry.since }
            lastFlow = entry.flow
        }
        count += 1
        bytes += entry.bytes
        let flow = entry.flow
        let isFirst = lines[flow, default: Line()].append(entry)
        if isFirst { turns.append(flow) }
    }

    /// For so long the flows are taken to be several after two took turns, in nanoseconds.
    static let sharedNanoseconds: UInt64 = 100_000_000

    /// The next group: all that waits, or as much of it as goes into one group, then of each flow in turn the same share of its bytes.
    mutating func takeGroup(_ most: GroupLimits, _ now: Moment) -> [Entry] {
        let isShared = lastTurn.map { now.since($0) < Self.sharedNanoseconds } ?? false
        let limits = isShared ? most.capped(at: .shared) : most
        var group: [Entry] = []
        if count <= limits.proposals, bytes <= limits.bytes {
            for flow in turns {
                guard var line = lines.removeValue(forKey: flow) else { continue }
                if line.first > 0 { line.entries.removeFirst(line.first) }
                if group.isEmpty { group = line.entries } else { group += line.entries }
            }
            (lines, turns, count, bytes) = ([:], [], 0, 0)
        } else {
            group.reserveCapacity(min(count, limits.proposals) + barriers.count)
            takeTurns(limits, into: &group)
        }
        if !barriers.isEmpty { takeBarriers(into: &group) }
        return group
    }

    /// The proposals that came at `moment` or before. O(flows + result).
    mutating func takeProposals(until moment: Moment) -> [Entry] {
        var taken: [Entry] = []
        var left: [Flow] = []
        for flow in turns {
            guard var line = lines.removeValue(forKey: flow) else { continue }
            while line.count > 0, line.oldest.since <= moment {
                let entry = line.removeFirst()
                bytes -= entry.bytes
                taken.append(entry)
            }
            guard line.count > 0 else { continue }
            lines[flow] = line
            left.append(flow)
        }
        turns = left
        count -= taken.count
        return taken
    }

    /// One is taken however large it is.
    private mutating func takeTurns(_ limits: GroupLimits, into group: inout [Entry]) {
        var taken = 0
        var next = 0
        func isFull(_ entry: Entry) -> Bool {
            group.count == limits.proposals || !group.isEmpty && taken + entry.bytes > limits.bytes
        }
        while next < turns.count {
            let flow = turns[next]
            guard var line = lines.removeValue(forKey: flow) else { preconditionFailure("a flow without a line") }
            line.credit += Self.quantum
            var isOver = false
            while line.count > 0 {
                let entry = line.oldest
                isOver = isFull(entry)
                // There is no other flow to wait for.
                guard !isOver, entry.bytes <= line.credit || turns.count - next == 1 else { break }
                line.credit -= entry.bytes
                taken += entry.bytes
                group.append(line.removeFirst())
            }
            if line.count > 0 { lines[flow] = line }
            if isOver {
                // It goes on with the rest of its turn.
                if line.count > 0 { lines[flow]?.credit = max(0, line.credit - Self.quantum) }
                break
            }
            next += 1
            if line.count > 0 { turns.append(flow) }
        }
        turns.removeFirst(next)
        count -= group.count
        bytes -= taken
    }

    /// Those before which nothing waits any more. O(barriers x flows): barriers are for the end of a server.
    private mutating func takeBarriers(into group: inout [Entry]) {
        let first = lines.values.lazy.map(\.oldest.number).min() ?? .max
        while let barrier = barriers.first, barrier.number < first {
            group.append(barriers.removeFirst())
        }
    }

    /// Too many of the flow wait, or too much, or the first of them has waited for too long. O(1).
    func isCongested(for flow: Flow, _ now: Moment) -> Bool {
        if count >= JournalLimits.maximumQueue || bytes >= JournalLimits.maximumQueueBytes { return true }
        guard let line = lines[flow] else { return false }
        if line.count >= JournalLimits.maximumQueue - count || line.bytes >= JournalLimits.maximumQueueBytes - bytes {
            return true
        }
        return now.since(line.oldest.since) > UInt64(JournalLimits.maximumWaitMilliseconds) * 1_000_000
    }

    /// For any flow. O(flows).
    func isCongested(_ now: Moment) -> Bool { lines.keys.contains { isCongested(for: $0, now) } }
}

extension [JournalQueue.Entry] {
    /// When the first of the proposals came; a barrier changes nothing and does not count.
    var since: Moment? { lazy.filter(\.isProposal).map(\.since).min() }
}

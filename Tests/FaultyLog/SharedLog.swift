public import Ledger
import Synchronization

/// Logs of several servers over one ordered list of entries, in memory. Whatever a network and a store would decide is decided by
/// hand: whether and when a group lands, when an entry reaches a server, when a fence is answered, how far is folded.
public enum SharedLog {
    /// The state that all servers share. Thread-safe.
    public final class Store: Sendable {
        struct Entry {
            var member: Int
            var proposals: [Proposal]
        }

        struct State {
            /// All entries ever, by their places; those before `folded` are in the tables.
            var entries: [Entry] = []
            var folded = 0
            var tables = StoredTables()
            var members = 0
        }

        let state = Mutex(State())

        public init() {}

        /// Entries that have a place.
        public var count: Int { state.withLock { $0.entries.count } }
        /// Entries in the folded form.
        public var folded: Int { state.withLock { $0.folded } }
        public var tables: StoredTables { state.withLock { $0.tables } }

        /// The member's group in flight gets its place: once, whatever is repeated. Returns whether it got it now.
        @discardableResult
        public func land(_ member: Member) -> Bool {
            guard let proposals = member.takeInFlight() else { return false }
            state.withLock { $0.entries.append(Entry(member: member.number, proposals: proposals)) }
            return true
        }

        /// The member's group in flight never gets a place, and the member learns it. Nothing where it has its place.
        public func loseAppend(_ member: Member) {
            guard member.takeInFlight() != nil else { return }
            member.push(.failed(LedgerError(.inputOutput, "the store did not take it")))
        }

        /// The member is told that the outcome of its group in flight is unknown; the group may still land.
        public func forget(_ member: Member) {
            guard member.hasInFlight else { return }
            member.push(.failed(LedgerError(.inputOutput, "the store is gone", outcome: .unknown)))
        }

        /// Folds the oldest entries, so many at most, by the refusals known to a member that has judged them. Returns how many.
        @discardableResult
        public func fold(_ limit: Int, by member: Member) -> Int {
            let (judged, refused) = member.judgements
            return state.withLock { state in
                let end = state.folded + max(0, min(limit, judged - state.folded))
                guard end > state.folded else { return 0 }
                defer { state.folded = end }
                for place in state.folded..<end {
                    for (index, proposal) in state.entries[place].proposals.enumerated()
                    where refused[place]?.contains(index) != true {
                        state.tables.apply(proposal)
                    }
                }
                return end - state.folded
            }
        }
    }

    /// One server's log. Thread-safe; a server that starts again is another member.
    public final class Member: Log {
        private struct State {
            /// Entries that have come: loaded, replayed or delivered.
            var position = 0
            /// The place of the entry that `next` gave last, until it is called again.
            var judging: Int?
            /// Entries that are judged.
            var judged = 0
            /// Places within the entry, by the entry's place.
            var refused: [Int: Set<Int>] = [:]
            var inFlight: [Proposal]?
            /// With the place of the entry, where it is about one.
            var events: [(place: Int?, event: LogEvent)] = []
            var asksFence = false
            /// The entries that must have come before the fence has passed.
            var fence: Int?
            var rouse: @Sendable () -> Void = {}
        }

        let number: Int
        private let store: Store
        private let state = Mutex(State())

        public init(_ store: Store) {
            self.store = store
            number = store.state.withLock { shared in
                defer { shared.members += 1 }
                return shared.members
            }
        }

        public var isShared: Bool { true }
        /// Whether a group waits to land or to be lost.
        public var hasInFlight: Bool { state.withLock { $0.inFlight != nil } }
        /// Whether a fence waits for its answer.
        public var asksFence: Bool { state.withLock { $0.asksFence } }
        /// Proposals that came here and were not kept.
        public var refusedCount: Int { state.withLock { $0.refused.values.reduce(0) { $0 + $1.count } } }
        /// Entries that are on their way to this member.
        public var behind: Int { store.count - state.withLock { $0.position } }

        // MARK: By hand

        /// So many of the store's entries, at most, reach this member. Returns how many.
        @discardableResult
        public func deliver(_ count: Int) -> Int {
            let rouse = state.withLock { state in
                let entries = store.state.withLock { Array($0.entries.dropFirst(state.position).prefix(count)) }
                for entry in entries {
                    let event = entry.member == number ? LogEvent.landed : .foreign(entry.proposals)
                    state.events.append((state.position, event))
                    state.position += 1
                }
                passFence(&state)
                return (state.rouse, entries.count)
            }
            rouse.0()
            return rouse.1
        }

        /// The store answers the fence that was asked for: all that has a place by now comes before it.
        public func answerFence() {
            let rouse = state.withLock { state in
                guard state.asksFence else { return state.rouse }
                state.asksFence = false
                state.fence = store.count
                passFence(&state)
                return state.rouse
            }
            rouse()
        }

        private func passFence(_ state: inout State) {
            guard let fence = state.fence, state.position >= fence else { return }
            state.fence = nil
            state.events.append((nil, .fenced))
        }

        fileprivate func takeInFlight() -> [Proposal]? { state.withLock { $0.inFlight.take() } }

        fileprivate func push(_ event: LogEvent) {
            let rouse = state.withLock { state in
                state.events.append((nil, event))
                return state.rouse
            }
            rouse()
        }

        fileprivate var judgements: (judged: Int, refused: [Int: Set<Int>]) {
            state.withLock { ($0.judged, $0.refused) }
        }

        // MARK: Log

        public func load(_ body: @Sendable (StoredObject) throws -> Void) throws -> UInt64 {
            let (tables, folded) = store.state.withLock { ($0.tables, $0.folded) }
            try tables.load(body)
            state.withLock { ($0.position, $0.judged) = (folded, folded) }
            return tables.version
        }

        public func replay(_ body: (Proposal) throws -> Bool) throws {
            let start = state.withLock { $0.position }
            let entries = store.state.withLock { Array($0.entries.dropFirst(start)) }
            for (place, entry) in zip(start..., entries) {
                let refused = Set(try entry.proposals.indices.filter { try !body(entry.proposals[$0]) })
                state.withLock { state in
                    state.refused[place] = refused
                    (state.position, state.judged) = (place + 1, place + 1)
                }
            }
        }

        public func append(_ group: [Proposal]) {
            state.withLock { state in
                precondition(state.inFlight == nil, "two groups in flight")
                state.inFlight = group
            }
        }

        public func next() -> LogEvent? {
            state.withLock { state in
                if let judging = state.judging { state.judged = judging + 1 }
                state.judging = nil
                guard !state.events.isEmpty else { return nil }
                let (place, event) = state.events.removeFirst()
                state.judging = place
                return event
            }
        }

        public func noteRefused(_ index: Int) {
            state.withLock { state in
                guard let place = state.judging else { preconditionFailure("nothing came that could be refused") }
                state.refused[place, default: []].insert(index)
            }
        }

        public func fence() { state.withLock { $0.asksFence = true } }

        public func start(_ rouse: @escaping @Sendable () -> Void) { state.withLock { $0.rouse = rouse } }

        public func maintain(isIdle: Bool) throws(LedgerError) -> Bool { false }

        public func close() { state.withLock { $0.rouse = {} } }
    }
}

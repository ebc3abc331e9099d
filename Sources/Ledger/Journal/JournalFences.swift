import Measures

/// The callers that wait for the state of a shared log: those of the fence in flight, and later ones that share the next
/// question. The log is asked once at a time.
struct JournalFences {
    typealias Body = @Sendable (Result<Void, LedgerError>) -> Void

    private struct Caller {
        var body: Body
        var deadline: Moment
    }

    /// In the order in which they came.
    private var waiting: [Caller] = []
    /// The same; they came before all that wait.
    private var asking: [Caller] = []
    private var isAsked = false

    /// Whether the log is to be asked now.
    var wantsAsking: Bool { !isAsked && !waiting.isEmpty }

    /// When the next caller is to be told that it took too long; nil where none waits.
    var deadline: Moment? { (asking.first ?? waiting.first)?.deadline }

    mutating func add(_ now: Moment, _ body: @escaping Body) {
        let deadline = Moment(nanoseconds: now.nanoseconds + UInt64(JournalLimits.fenceMilliseconds) * 1_000_000)
        waiting.append(Caller(body: body, deadline: deadline))
    }

    /// The log is asked for all that wait.
    mutating func ask() {
        (asking, waiting, isAsked) = (waiting, [], true)
    }

    /// The log has answered: the callers of that fence.
    mutating func pass() -> [Body] {
        defer { (asking, isAsked) = ([], false) }
        return asking.map(\.body)
    }

    /// Takes off those whose time is over. An answer that comes later is dropped.
    mutating func expire(_ now: Moment) -> [Body] {
        guard let deadline, deadline <= now else { return [] }
        let late = (asking + waiting).prefix { $0.deadline <= now }
        asking.removeAll { $0.deadline <= now }
        waiting.removeAll { $0.deadline <= now }
        return late.map(\.body)
    }

    /// Takes off all of them.
    mutating func end() -> [Body] {
        defer { (asking, waiting) = ([], []) }
        return (asking + waiting).map(\.body)
    }
}

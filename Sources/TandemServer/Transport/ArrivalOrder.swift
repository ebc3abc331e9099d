/// Members in the order in which they came: each step is O(1).
struct ArrivalOrder<Member: Hashable> {
    private struct Neighbours {
        var previous: Member?
        var next: Member?
    }

    private var neighbours: [Member: Neighbours] = [:]
    private(set) var first: Member?
    private var last: Member?

    var count: Int { neighbours.count }

    /// It must not be in it yet.
    mutating func append(_ member: Member) {
        neighbours[member] = Neighbours(previous: last)
        if let last { neighbours[last]?.next = member } else { first = member }
        last = member
    }

    /// Whether it was in it.
    @discardableResult
    mutating func remove(_ member: Member) -> Bool {
        guard let gone = neighbours.removeValue(forKey: member) else { return false }
        if let previous = gone.previous { neighbours[previous]?.next = gone.next } else { first = gone.next }
        if let next = gone.next { neighbours[next]?.previous = gone.previous } else { last = gone.previous }
        return true
    }

    /// nil behind the last.
    func next(after member: Member) -> Member? { neighbours[member]?.next }
}

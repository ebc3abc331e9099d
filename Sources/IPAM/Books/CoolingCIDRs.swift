import Addressing

/// A pod CIDR that was given back, and is not to be given out again yet.
struct CoolingCIDR: Sendable {
    var node: String
    /// In seconds of this server's uptime: not a part of the books.
    var end: Int
    /// The version that was given last when it began to cool.
    var version: UInt64
}

/// The pod CIDRs of nodes that are gone and cool; and those that no call has claimed, by the range of today that could give them out, the
/// next one to be ready first. A value type: not thread-safe by itself.
struct CoolingCIDRs: Sendable {
    private struct End: Comparable, Sendable {
        var end: Int
        var cidr: CIDR

        static func < (left: End, right: End) -> Bool { (left.end, left.cidr) < (right.end, right.cidr) }
    }

    private(set) var index = CIDRIndex<CoolingCIDR>()
    /// By range; at the end those of none.
    private var unclaimed: [SortedList<End, Void>]
    private var counts: [Int]
    private let range: @Sendable (CIDR) -> Int?

    /// `range` says which of the `ranges` a CIDR is a subnet of, and always the same.
    init(ranges: Int, range: @escaping @Sendable (CIDR) -> Int?) {
        unclaimed = Array(repeating: SortedList(), count: ranges + 1)
        counts = Array(repeating: 0, count: ranges + 1)
        self.range = range
    }

    private func place(_ cidr: CIDR) -> Int { range(cidr) ?? counts.count - 1 }

    /// O(log n).
    mutating func add(_ cidr: CIDR, _ cooling: CoolingCIDR) {
        let place = place(cidr)
        if let old = index.insert(cooling, for: cidr) {
            unclaimed[place].remove(End(end: old.end, cidr: cidr))
        } else {
            counts[place] += 1
        }
        unclaimed[place].insert(End(end: cooling.end, cidr: cidr))
    }

    /// O(log n); nil where it does not cool.
    mutating func remove(_ cidr: CIDR) -> CoolingCIDR? {
        guard let old = index.remove(cidr) else { return nil }
        let place = place(cidr)
        unclaimed[place].remove(End(end: old.end, cidr: cidr))
        counts[place] -= 1
        return old
    }

    /// The version since which it cools; nil where it does not, or is claimed. O(log n).
    mutating func claim(_ cidr: CIDR) -> UInt64? {
        guard let cooling = index[cidr], unclaimed[place(cidr)].remove(End(end: cooling.end, cidr: cidr)) else {
            return nil
        }
        return cooling.version
    }

    /// The one of these ranges that has cooled longest. O(ranges + log n).
    mutating func claimOldest(of ranges: [Int]) -> (cidr: CIDR, version: UInt64)? {
        let first = ranges.compactMap { unclaimed[$0][unclaimed[$0].start]?.key }.min()
        return first.flatMap { first in claim(first.cidr).map { (first.cidr, $0) } }
    }

    /// Undoes a claim, unless the CIDR cools no more, or anew. O(log n).
    mutating func giveBack(_ cidr: CIDR, _ version: UInt64) {
        guard let cooling = index[cidr], cooling.version == version else { return }
        unclaimed[place(cidr)].insert(End(end: cooling.end, cidr: cidr))
    }

    /// Those whose time is over and that are not claimed, as many as `limit`. O(limit).
    func ready(_ uptime: Int, limit: Int) -> [(cidr: CIDR, version: UInt64)] {
        var found: [(cidr: CIDR, version: UInt64)] = []
        for list in unclaimed {
            list.visit(from: list.start) { entry, _ in
                guard entry.end <= uptime, found.count < limit else { return false }
                if let cooling = index[entry.cidr] { found.append((entry.cidr, cooling.version)) }
                return true
            }
        }
        return found
    }

    /// Of a range, claimed or not. O(1).
    func count(of range: Int) -> Int { counts[range] }
}

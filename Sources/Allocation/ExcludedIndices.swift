internal import Addressing

/// The indices of a space that others hold: whole ranges of them, sorted, with a gap between any two. Immutable.
struct ExcludedIndices: Sendable {
    /// Closed: the last index of a space may be the highest there is.
    private let ranges: [ClosedRange<UInt128>]

    /// The indices for searches: all of the searchable part that is not in ``ranges``, in rising order, none empty.
    private let gaps: [Range<Int>]

    /// The subnets of a range that overlap others' addresses. O(n log n).
    ///
    /// - Parameters:
    ///   - held: of any family and size, in any order, inside one another or not.
    ///   - space: the range that is cut into subnets: the indices.
    ///   - unitLength: the prefix length of the subnets; the family's address bits for single addresses.
    ///   - searchable: how many indices searches use.
    init(_ held: [CIDR], in space: CIDR, unitLength: Int, searchable: Int) {
        let unitShift = space.family.addressBits - unitLength
        self.init(
            held.compactMap { range in
                if range.contains(space) { return 0...(space.last.bits ^ space.first.bits) >> unitShift }
                guard let first = space.offset(of: range.first), let last = space.offset(of: range.last) else {
                    return nil
                }
                return first >> unitShift...last >> unitShift
            }, searchable: searchable)
    }

    private init(_ unsorted: [ClosedRange<UInt128>], searchable: Int) {
        var ranges: [ClosedRange<UInt128>] = []
        for range in unsorted.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = ranges.last, range.lowerBound == 0 || range.lowerBound - 1 <= last.upperBound {
                ranges[ranges.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                ranges.append(range)
            }
        }
        var gaps: [Range<Int>] = []
        var start = 0
        for range in ranges where start < searchable {
            let end = Int(min(range.lowerBound, UInt128(searchable)))
            if start < end { gaps.append(start..<end) }
            start = range.upperBound < UInt128(searchable) ? Int(range.upperBound) + 1 : searchable
        }
        if start < searchable { gaps.append(start..<searchable) }
        self.ranges = ranges
        self.gaps = gaps
    }

    var isEmpty: Bool { ranges.isEmpty }

    /// How many indices are excluded, those of `others` not counted; `UInt128.max` for 2^128 of them. O(ranges).
    func count(besides others: Set<UInt64>) -> UInt128 {
        // They lie apart, so only one that is all of 2^128 overflows.
        let (sum, overflow) = ranges.reduce(0) { $0 + ($1.upperBound - $1.lowerBound) }
            .addingReportingOverflow(UInt128(ranges.count))
        return overflow ? .max : sum - UInt128(others.count { contains(UInt128($0)) })
    }

    /// Adds to `counts` how many indices of each 2^shift, from 0 on, are excluded. O(ranges + counts).
    func addCounts(shift: Int, to counts: inout [UInt128]) {
        for range in ranges {
            var first = range.lowerBound
            while true {
                let block = Int(first >> UInt128(shift))
                let end = min(range.upperBound, first | (1 << UInt128(shift) - 1))
                counts[block] += end - first + 1
                guard end < range.upperBound else { break }
                first = end + 1
            }
        }
    }

    /// O(log ranges).
    func contains(_ index: UInt128) -> Bool {
        let place = ranges.firstPlace { $0.upperBound >= index }
        return place < ranges.count && ranges[place].contains(index)
    }

    /// The gaps as far as they lie in `part`, in rising order. O(log gaps), and O(1) for each.
    func gaps(in part: Range<Int>) -> some Sequence<Range<Int>> {
        gaps[gaps.firstPlace { $0.upperBound > part.lowerBound }...].lazy
            .map { $0.clamped(to: part) }.prefix { !$0.isEmpty }
    }

    /// How many indices of `part` are not excluded. O(gaps).
    func gapCount(in part: Range<Int>) -> Int { gaps(in: part).reduce(0) { $0 + $1.count } }

    /// The index of `part` that `entropy` picks evenly among those that are not excluded; the lowest of `part` where all are.
    /// O(gaps).
    func draw(_ entropy: UInt64, in part: Range<Int>) -> Int {
        let count = UInt64(gapCount(in: part))
        var left = Int(entropy.multipliedFullWidth(by: count).high)
        for gap in gaps(in: part) {
            if left < gap.count { return gap.lowerBound + left }
            left -= gap.count
        }
        return part.lowerBound
    }
}

extension Array {
    /// The first place at which `isThere`, which is false and then true, or `count`. O(log count).
    fileprivate func firstPlace(_ isThere: (Element) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if isThere(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}

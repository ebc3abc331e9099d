internal import Synchronization

/// Finding a free index, and the marks that make it quick.
///
/// ## Why a mark never hides a free index
///
/// A mark is set by a search that found its child full, the *marker*. A release makes something below a mark not full. Each
/// acts in this order, all acts sequentially consistent, so that there is one order of all of them:
///
///     marker:   sets the mark,    then looks at the child again; if it is not all ones, clears this mark and those above
///     release:  clears the bit,   then looks at the marks above it, level by level; clears each that it finds set
///
/// *Claim*: while no marker is between its two acts, an index below a set mark is taken, or its release has not returned.
///
/// Take a mark over a block, last set at time s, and below it an index freed at time r by a release that has returned. The
/// release looked at the mark at some time l > r and, as no thread has cleared it since s, l < s. So r < s, the bit was clear
/// when the marker looked at its word after s, and the marker cleared the mark after s: a contradiction.
///
/// Take a mark over a node, last set at s, and the same index; the release looked at this mark at l < s, as before, and at
/// the one over the block before that. After s the marker saw the node all ones, hence that mark over the block set. It was
/// set after the release had looked at it, by a marker whose second look was to find the bit clear. That marker then
/// cleared the block's mark, after it had been seen set, and went on to clear the node's mark, after s: a contradiction. The
/// same step leads to each level above.
///
/// A mark can be missing from a full child (no thread has looked yet, or a marker cleared it for a bit that was taken again
/// right then). This costs the next search a look at the child, and it sets the mark.
///
/// ## Why no index is handed out twice
///
/// Ownership is one bit, set by one successful exchange from clear to set. Marks take no part in it.
extension Bitmap {
    /// Takes a free index of the word that holds `index`, which is below ``flatSize``: the first from there on, else the first.
    ///
    /// The way of almost every claim: one look, one exchange.
    @inline(__always)
    func claimInFlatWord(of index: Int) -> Int? {
        let word = flatWords + index &>> 6
        guard let bit = Self.claimBit(of: word, preferring: index & 63, eligible: Self.allOnes) else { return nil }
        return index & ~63 | bit
    }

    /// Takes a free index of the block that holds `start`, or of one that is under the same node and behind it; nil when
    /// there is none, and for the first block, whose lower part may be kept. `start` is below ``flatSize``.
    ///
    /// For a claim in an almost full bitmap; without a result the search only takes longer.
    @inline(__always)
    func claimBeside(_ start: Int) -> Int? {
        let block = start &>> Self.blockShift
        guard block > 0 else { return nil }
        let node = flatNode(over: start)
        // Acquiring: nothing depends on it but freshness, as in `firstUnmarked`.
        var unmarked = ~node.marks.pointee.load(ordering: .acquiring) & Self.allOnes &<< UInt64(block & 63)
        var index = start
        while unmarked != 0 {
            let child = unmarked.trailingZeroBitCount
            if child != block & 63 { index = (block & ~63 | child) &<< Self.blockShift }
            if let found = claimAround(index) { return found }
            mark(childAt: Self.blockShift, containing: index)
            unmarked &= unmarked &- 1
        }
        return nil
    }

    /// Takes a free index of the block that holds `start`, searching from there and around to there again.
    @inline(__always)
    private func claimAround(_ start: Int) -> Int? {
        // Groups of four words, from the one that holds `start` on.
        let first = start &>> 8 & 15
        let words = flatWords + (start &>> Self.blockShift) &<< 6
        for step in 0..<16 {
            let group = words + ((first &+ step) & 15) &<< 2
            // Relaxed: `claimBit` looks again.
            let word0 = group[0].load(ordering: .relaxed)
            let word1 = group[1].load(ordering: .relaxed)
            let word2 = group[2].load(ordering: .relaxed)
            let word3 = group[3].load(ordering: .relaxed)
            if word0 & word1 & word2 & word3 == Self.allOnes { continue }
            // How many full words come first: added up, as branches on it could not be foretold.
            let full0 = word0 == Self.allOnes ? 1 : 0
            let full1 = word1 == Self.allOnes ? full0 : 0
            let full2 = word2 == Self.allOnes ? full1 : 0
            let word = group + (full0 &+ full1 &+ full2)
            if let bit = Self.claimBit(of: word, preferring: 0, eligible: Self.allOnes) {
                return (word - flatWords) &<< 6 | bit
            }
        }
        return nil
    }

    /// Takes a free index of the word that holds `start`, not below `floor` and, unless `wrapping`, not below `start`.
    @inline(__always)
    func claimNear(_ start: Int, floor: Int, wrapping: Bool) -> Int? {
        guard let word = word(containing: start) else { return nil }
        let lowest = wrapping ? floor : start
        let eligible = start &>> 6 == lowest &>> 6 ? Self.allOnes &<< UInt64(lowest & 63) : Self.allOnes
        guard let bit = Self.claimBit(of: word, preferring: start & 63, eligible: eligible) else { return nil }
        return start & ~63 | bit
    }

    /// Takes the first free index found from `range.lowerBound` upward, skipping marked children; nil when each index was
    /// taken, or below a mark, when it was looked at. Marks full parts that it finds.
    ///
    /// - Parameter range: of indices below ``size``.
    func claimFirst(in range: Range<Int>) -> Int? {
        var index = range.lowerBound
        while index < range.upperBound, let start = firstUnmarked(from: index, in: root, shift: rootShift),
            start < range.upperBound
        {
            let block = blockIndices(containing: start)
            let part = start..<min(block.upperBound, range.upperBound)
            let words = makeBlock(containing: start)
            if let found = claimFirst(in: part, of: words) { return found }
            if part == block { mark(childAt: Self.blockShift, containing: start) }
            index = block.upperBound
        }
        return nil
    }

    /// As ``claimFirst(in:)-(Range<Int>)``, in one range after the other.
    func claimFirst(in ranges: some Sequence<Range<Int>>) -> Int? {
        for range in ranges {
            if let found = claimFirst(in: range) { return found }
        }
        return nil
    }

    private func blockIndices(containing index: Int) -> Range<Int> {
        let start = index & -1 << Self.blockShift
        return start..<min(start + 1 << Self.blockShift, size)
    }

    /// Takes the first free index of `part`, which lies in the block whose words are given.
    private func claimFirst(in part: Range<Int>, of words: UnsafeMutablePointer<Word>) -> Int? {
        let base = part.lowerBound & -1 << Self.blockShift
        let last = (part.upperBound - 1) >> 6 & 63
        var position = part.lowerBound >> 6 & 63
        while position <= last {
            // Four words at a time, as long as they are full: relaxed, since `claimBit` looks again.
            while position & 3 == 0, position + 3 <= last,
                words[position].load(ordering: .relaxed) & words[position + 1].load(ordering: .relaxed)
                    & words[position + 2].load(ordering: .relaxed) & words[position + 3].load(ordering: .relaxed)
                    == Self.allOnes
            {
                position += 4
            }
            guard position <= last else { break }
            let eligible = Self.bits(ofWord: position, in: part)
            if let bit = Self.claimBit(of: words + position, preferring: 0, eligible: eligible) {
                return base | position << 6 | bit
            }
            position += 1
        }
        return nil
    }

    /// The bits of a block's word that belong to `part`, which lies in the block and has some of the word.
    @inline(__always)
    private static func bits(ofWord position: Int, in part: Range<Int>) -> UInt64 {
        let (first, last) = (part.lowerBound, part.upperBound - 1)
        let upward = position == first &>> 6 & 63 ? allOnes &<< UInt64(first & 63) : allOnes
        return position == last &>> 6 & 63 ? upward & allOnes &>> UInt64(63 - last & 63) : upward
    }

    /// The first index, at or after `index`, below `node`, whose block is not marked. Marks nodes that it finds full.
    private func firstUnmarked(from index: Int, in node: Node, shift: Int) -> Int? {
        let digit = index >> shift & 63
        // Sequentially consistent: for `confirmFull(_:)`. To the others a mark set or cleared a moment later is a search a
        // moment earlier.
        var unmarked = ~node.marks.pointee.load(ordering: .sequentiallyConsistent) & Self.allOnes &<< UInt64(digit)
        while unmarked != 0 {
            let child = unmarked.trailingZeroBitCount
            let above = shift + Self.fanoutShift
            let start = child == digit ? index : (index >> above) << above | child << shift
            if shift == Self.blockShift { return start }
            // Acquiring: pairs with the publication in `child(_:of:shift:)`. A node that is not there is free throughout.
            guard let below = node.children[child].load(ordering: .acquiring) else { return start }
            if let found = firstUnmarked(from: start, in: Node(base: below), shift: shift - Self.fanoutShift) {
                return found
            }
            if Node(base: below).marks.pointee.load(ordering: .relaxed) == Self.allOnes {
                mark(childAt: shift, containing: start)
            }
            unmarked &= unmarked - 1
        }
        return nil
    }

    /// Marks the child, `1 << shift` indices wide, that holds `index` as full, unless it no longer is.
    @inline(never)
    private func mark(childAt shift: Int, containing index: Int) {
        let node = node(overChildAt: shift, containing: index)
        // Sequentially consistent, both: they bracket the doubtful time of the mark in the order that `confirmFull` reads.
        settling.wrappingAdd(1 << 32 | 1, ordering: .sequentiallyConsistent)
        // Sequentially consistent: before the look in `isFull`, as the marker's first act; pairs with the load in `unmark`.
        node.marks.pointee.bitwiseOr(1 &<< UInt64(index >> shift & 63), ordering: .sequentiallyConsistent)
        if !isFull(childAt: shift, of: node, containing: index) { unmark(childAt: shift, containing: index) }
        settling.wrappingSubtract(1, ordering: .sequentiallyConsistent)
    }

    /// The marker's second look.
    private func isFull(childAt shift: Int, of node: Node, containing index: Int) -> Bool {
        // Acquiring: pairs with the publication in `child(_:of:shift:)`.
        guard let child = node.children[index >> shift & 63].load(ordering: .acquiring) else { return false }
        // Sequentially consistent, here and below: after the mark was set; pairs with the exchange in `release`.
        if shift == Self.blockShift {
            return isFull(blockIndices(containing: index), of: child.assumingMemoryBound(to: Word.self))
        }
        return Node(base: child).marks.pointee.load(ordering: .sequentiallyConsistent) == Self.allOnes
    }

    private func isFull(_ part: Range<Int>, of words: UnsafeMutablePointer<Word>) -> Bool {
        (part.lowerBound >> 6 & 63...(part.upperBound - 1) >> 6 & 63).allSatisfy { position in
            // Sequentially consistent: see the callers.
            words[position].load(ordering: .sequentiallyConsistent) | ~Self.bits(ofWord: position, in: part)
                == Self.allOnes
        }
    }

    /// Clears the mark of the child, `1 << shift` indices wide, that holds `index`, if it is set.
    @inline(__always)
    static func clearMark(of node: Node, childAt shift: Int, containing index: Int) {
        let mark: UInt64 = 1 &<< UInt64(index &>> shift & 63)
        // Sequentially consistent, both: after the write that made the child not full, and before the look one level up; the load
        // pairs with the marker's setting of the mark.
        if node.marks.pointee.load(ordering: .sequentiallyConsistent) & mark != 0 {
            node.marks.pointee.bitwiseAnd(~mark, ordering: .sequentiallyConsistent)
        }
    }

    /// Clears the marks above `index`, from that of the child `1 << shift` indices wide upward.
    func unmark(childAt shift: Int, containing index: Int) {
        var shift = shift
        while shift <= rootShift {
            Self.clearMark(of: node(overChildAt: shift, containing: index), childAt: shift, containing: index)
            shift += Self.fanoutShift
        }
    }
}

/// Saying "full" truthfully.
extension Bitmap {
    /// Takes any free index; nil when all are taken.
    ///
    /// Nil means: at one moment of this call every index was taken, where a release that had not returned by then counts as
    /// not yet done. (A mere scan cannot promise this: between two of its looks, a release behind it and a claim before it
    /// make it see "full" where that was never so.)
    func claimAny() -> Int? {
        for _ in 0..<16 {
            if let found = claimFirst(in: 0..<size) { return found }
            if confirmFull() { return nil }
        }
        return collect(in: CollectionOfOne(0..<size))
    }

    /// Takes any free index of `ranges`; nil when all are taken, as for ``claimAny()``.
    func claimAny(in ranges: some Sequence<Range<Int>>) -> Int? {
        for _ in 0..<16 {
            if let found = claimFirst(in: ranges) { return found }
            if confirmFull(ranges) { return nil }
        }
        return collect(in: ranges)
    }

    /// Whether at one moment of the call all marks of the root were set and no marker was between its two acts. By the proof
    /// above, every index was then taken, or its release had not returned.
    private func confirmFull() -> Bool {
        // Sequentially consistent, all three: no marker between its acts at the first, none begun by the third, so none at
        // the second.
        let before = settling.load(ordering: .sequentiallyConsistent)
        return UInt32(truncatingIfNeeded: before) == 0
            && root.marks.pointee.load(ordering: .sequentiallyConsistent) == Self.allOnes
            && settling.load(ordering: .sequentiallyConsistent) == before
    }

    /// Whether at one moment of the call every index of `ranges` was taken, or its release had not returned.
    ///
    /// As in `collect(in:)`, but parts below a mark are skipped. No marker was between its two acts, so by the proof above
    /// an index below a mark was taken at that look, or its release had not yet looked at all marks, and looked for watchers
    /// later still: both are as in the proof there.
    private func confirmFull(_ ranges: some Sequence<Range<Int>>) -> Bool {
        watching {
            // Sequentially consistent, all: as in `confirmFull()` and `collect(in:)`.
            let before = settling.load(ordering: .sequentiallyConsistent)
            let releases = watchedReleases.load(ordering: .sequentiallyConsistent)
            guard UInt32(truncatingIfNeeded: before) == 0 else { return false }
            for range in ranges {
                var index = range.lowerBound
                while index < range.upperBound, let start = firstUnmarked(from: index, in: root, shift: rootShift),
                    start < range.upperBound
                {
                    let end = blockIndices(containing: start).upperBound
                    guard let words = block(containing: start), isFull(start..<min(end, range.upperBound), of: words)
                    else {
                        return false
                    }
                    index = end
                }
            }
            return settling.load(ordering: .sequentiallyConsistent) == before
                && watchedReleases.load(ordering: .sequentiallyConsistent) == releases
        }
    }

    private func watching<Result>(_ body: () -> Result) -> Result {
        // Sequentially consistent: the orders that the proofs take for granted.
        watchers.wrappingAdd(1, ordering: .sequentiallyConsistent)
        defer { watchers.wrappingSubtract(1, ordering: .sequentiallyConsistent) }
        return body()
    }

    /// As ``claimAny(in:)``, whatever the marks say: for when a marker is kept from running between its two acts, because to wait
    /// for it would be to block. O(size), and again whenever a release returned meanwhile.
    ///
    /// A release clears its bit, then looks for watchers and if there is one adds to the count, all in the one order. So if
    /// the count stood still, then an index that was seen taken and is free at the second reading of the count was freed by a
    /// release that saw the watcher and has not added yet: it has not returned.
    private func collect(in ranges: some Sequence<Range<Int>>) -> Int? {
        watching {
            while true {
                // Sequentially consistent, here and below: the orders that the proof takes for granted.
                let before = watchedReleases.load(ordering: .sequentiallyConsistent)
                var sawFree = false
                for range in ranges {
                    var index = range.lowerBound
                    while index < range.upperBound {
                        let end = blockIndices(containing: index).upperBound
                        let part = index..<min(end, range.upperBound)
                        let words = makeBlock(containing: index)
                        if let found = claimFirst(in: part, of: words) { return found }
                        if !isFull(part, of: words) { sawFree = true }
                        index = end
                    }
                }
                if !sawFree, watchedReleases.load(ordering: .sequentiallyConsistent) == before { return nil }
            }
        }
    }
}

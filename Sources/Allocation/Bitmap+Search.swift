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
/// ## Why a closed word never hides a free index for long
///
/// In a flat bitmap a search that finds a word full *closes* it. Again all acts are sequentially consistent:
///
///     closer:   closes the word,  then looks at it again; if it is not all ones, opens it
///     release:  clears the bit;   if the word was all ones until then, looks if it is open; opens it if not
///
/// *Claim*: while no closer and no release is between its acts, a word with a free index is open.
///
/// Take a word last closed at time s that has a free index. Its closer found it all ones at some time l > s, or had opened it.
/// Of the releases after l the first one found it all ones, and looked after that, so after s, if it is open. It was not,
/// so the release opened it: a contradiction.
///
/// Nothing but the time of a search depends on this. Only marks say "full", and the marker reads the words themselves.
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

    /// Takes a free index, not below `floor`, of the blocks that are under one node with that which holds `start`: of the first open
    /// word from there on, around to there again, block by block; nil when there is none. `start` is below ``flatSize``.
    ///
    /// For a claim in an almost full bitmap; without a result the search only takes longer. As long as marks and open words
    /// tell the truth, it reads a word of each and takes no branch that could not be foretold.
    @inline(__always)
    func claimOpen(near start: Int, floor: Int) -> Int? {
        let (block, position) = (start &>> Self.blockShift, start &>> 6)
        // Acquiring: nothing depends on it but freshness, as in `firstUnmarked`.
        var unmarked = Self.rotate(~flatNode(over: start).marks.pointee.load(ordering: .acquiring), by: block)
        while unmarked != 0 {
            let child = block & ~63 | (block &+ unmarked.trailingZeroBitCount) & 63
            let searched = child == 0 ? Self.allOnes &<< UInt64(floor &>> 6) : Self.allOnes
            // Acquiring: as above.
            var open = Self.rotate(flatOpen[child].load(ordering: .acquiring) & searched, by: position)
            while open != 0 {
                let first = child &<< Self.blockShift | ((position &+ open.trailingZeroBitCount) & 63) &<< 6
                let eligible = first < floor ? Self.allOnes &<< UInt64(floor & 63) : Self.allOnes
                if let bit = Self.claimBit(of: flatWords + first &>> 6, preferring: start & 63, eligible: eligible) {
                    return first | bit
                }
                closeIfFull(first)
                open &= open &- 1
            }
            markIfClosed(child)
            unmarked &= unmarked &- 1
        }
        return nil
    }

    @inline(__always)
    private static func rotate(_ bits: UInt64, by count: Int) -> UInt64 {
        bits &>> UInt64(count & 63) | bits &<< UInt64((64 &- count) & 63)
    }

    /// Closes the word that holds `index`, which is below ``flatSize``, if it is full.
    @inline(never)
    func closeIfFull(_ index: Int) {
        let word = flatWords + index &>> 6
        let open = flatOpen + index &>> Self.blockShift
        let bit: UInt64 = 1 &<< UInt64(index &>> 6 & 63)
        // Relaxed: a guess.
        guard word.pointee.load(ordering: .relaxed) == Self.allOnes else { return }
        // Sequentially consistent, all: the closer's acts.
        open.pointee.bitwiseAnd(~bit, ordering: .sequentiallyConsistent)
        if word.pointee.load(ordering: .sequentiallyConsistent) != Self.allOnes {
            open.pointee.bitwiseOr(bit, ordering: .sequentiallyConsistent)
        }
    }

    /// Opens the word that holds `index`, which is below ``flatSize``, if it is closed.
    @inline(__always)
    func open(_ index: Int) {
        let open = flatOpen + index &>> Self.blockShift
        let place = UInt64(index &>> 6 & 63)
        // Sequentially consistent, both: the release's acts.
        if open.pointee.load(ordering: .sequentiallyConsistent) &>> place & 1 == 0 {
            open.pointee.bitwiseOr(1 &<< place, ordering: .sequentiallyConsistent)
        }
    }

    /// Marks a block that has no open word.
    @inline(never)
    private func markIfClosed(_ block: Int) {
        // Relaxed: the marker looks at the words themselves.
        guard flatOpen[block].load(ordering: .relaxed) == 0 else { return }
        mark(childAt: Self.blockShift, containing: block << Self.blockShift)
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
        let place = UInt64(index &>> shift & 63)
        // Sequentially consistent, both: after the write that made the child not full, and before the look one level up; the load
        // pairs with the marker's setting of the mark.
        if node.marks.pointee.load(ordering: .sequentiallyConsistent) &>> place & 1 != 0 {
            node.marks.pointee.bitwiseAnd(~(1 &<< place), ordering: .sequentiallyConsistent)
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

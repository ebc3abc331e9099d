internal import Synchronization

/// Walks over everything, for audits and figures: O(memory), at no one moment in time.
extension Bitmap {
    /// How many indices below `end`, a multiple of 4096 or ``size``, are taken.
    func count(below end: Int) -> Int {
        var count = 0
        forEachBlock(below: end) { _, words in
            // Relaxed: a count while others claim and release is approximate anyway.
            for position in 0..<wordsPerBlock { count += words[position].load(ordering: .relaxed).nonzeroBitCount }
        }
        return count - (size < 64 && count > 0 ? 64 - size : 0)
    }

    /// Adds to `counts` how many indices of each 2^shift, from 0 on, are taken.
    func addCounts(shift: Int, to counts: inout [Int]) {
        forEachBlock(below: size) { start, words in
            for position in 0..<wordsPerBlock {
                // Relaxed: as in `count(below:)`.
                var taken = words[position].load(ordering: .relaxed)
                if size < 64 { taken &= ~(Self.allOnes << UInt64(size)) }
                let index = start | position << 6
                if shift >= 6 {
                    counts[index >> shift] += taken.nonzeroBitCount
                    continue
                }
                while taken != 0 {
                    counts[(index | taken.trailingZeroBitCount) >> shift] += 1
                    taken &= taken - 1
                }
            }
        }
    }

    /// Calls `body` with each taken index in rising order.
    func forEachTaken(_ body: (Int) throws -> Void) rethrows {
        try forEachBlock(below: size) { start, words in
            for position in 0..<wordsPerBlock {
                // Acquiring: pairs with the exchange in `release`, as `contains` does.
                var taken = words[position].load(ordering: .acquiring)
                if size < 64 { taken &= ~(Self.allOnes << UInt64(size)) }
                while taken != 0 {
                    try body(start | position << 6 | taken.trailingZeroBitCount)
                    taken &= taken - 1
                }
            }
        }
    }

    private func forEachBlock(
        below end: Int, _ body: (Int, UnsafeMutablePointer<Word>) throws -> Void
    ) rethrows {
        try forEachBlock(in: root, at: 0, shift: rootShift, below: end, body)
    }

    private func forEachBlock(
        in node: Node, at start: Int, shift: Int, below end: Int,
        _ body: (Int, UnsafeMutablePointer<Word>) throws -> Void
    ) rethrows {
        for digit in 0..<min(64, max(1, size >> shift)) where start | digit << shift < end {
            // Acquiring: pairs with the publication in `child(_:of:shift:)`.
            guard let child = node.children[digit].load(ordering: .acquiring) else { continue }
            if shift == Self.blockShift {
                try body(start | digit << shift, child.assumingMemoryBound(to: Word.self))
            } else {
                let below = Node(base: child)
                try forEachBlock(
                    in: below, at: start | digit << shift, shift: shift - Self.fanoutShift, below: end, body)
            }
        }
    }

    /// Tests the marks against the bits. Call it only while no thread is inside another operation. Does nothing in release builds.
    func _checkInvariants() {
        #if DEBUG
            let settling = settling.load(ordering: .sequentiallyConsistent)
            precondition(UInt32(truncatingIfNeeded: settling) == 0, "a marker never finished")
            checkMarks(of: root, at: 0, shift: rootShift, childCount: max(1, size >> rootShift))
            for index in stride(from: 0, to: flatSize, by: 64) {
                let open = flatOpen[index >> Self.blockShift].load(ordering: .sequentiallyConsistent)
                let word = flatWords[index >> 6].load(ordering: .sequentiallyConsistent)
                precondition(
                    open & 1 << UInt64(index >> 6 & 63) != 0 || word == Self.allOnes,
                    "a free index at \(index) is closed")
            }
        #endif
    }

    #if DEBUG
        private func checkMarks(of node: Node, at start: Int, shift: Int, childCount: Int) {
            let marks = node.marks.pointee.load(ordering: .sequentiallyConsistent)
            precondition(
                childCount == 64 || marks >> UInt64(childCount) == Self.allOnes >> UInt64(childCount), "absent child")
            for digit in 0..<childCount {
                let isMarked = marks & 1 << UInt64(digit) != 0
                let index = start | digit << shift
                guard let child = node.children[digit].load(ordering: .sequentiallyConsistent) else {
                    precondition(!isMarked, "mark over nothing at \(index)")
                    continue
                }
                if shift > Self.blockShift {
                    let below = Node(base: child)
                    checkMarks(of: below, at: index, shift: shift - Self.fanoutShift, childCount: 64)
                    let marksBelow = below.marks.pointee.load(ordering: .sequentiallyConsistent)
                    precondition(!isMarked || marksBelow == Self.allOnes, "mark over an unmarked block at \(index)")
                } else if isMarked {
                    let words = child.assumingMemoryBound(to: Word.self)
                    for position in 0..<wordsPerBlock {
                        let word = words[position].load(ordering: .sequentiallyConsistent)
                        precondition(word == Self.allOnes, "mark over a free index at \(index | position << 6)")
                    }
                }
            }
        }
    #endif
}

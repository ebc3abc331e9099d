internal import Synchronization

/// A lock-free set of taken indices in `0..<size`: one bit each, set when taken, below a tree of marks that let a search
/// skip full parts.
///
/// The tree's leaves are *blocks* of 64 words, 4096 indices. Above them stand *nodes* of up to 64 children, each with one
/// word of marks: bit `n` set says "child `n` is full". Blocks and nodes are made the first time an index below them is
/// taken; one that is not there is free throughout. All nodes but the root have 64 children; marks of children that the
/// root does not have are always set, as are the bits past the end of a block of fewer than 64 indices. So "full" is
/// "all ones" everywhere.
///
/// A bitmap of up to 2^24 indices is *flat*: all its blocks and nodes are made at once and lie side by side, at most 2 MiB and
/// 36 KiB, so that the way of almost every claim and release reaches a word by its index, without a walk through the tree.
///
/// The bits alone decide the owner of an index, by compare-and-swap. Marks and open words are hints, and `Bitmap+Search.swift`
/// proves that they hide nothing.
///
/// Every operation is lock-free, and allocates memory only where it makes a block or a node, which a flat one never does.
struct Bitmap: ~Copyable, @unchecked Sendable {
    // Proof: all memory behind the pointers is atomic, is published by compare-and-swap, and is freed in deinit alone.

    typealias Word = Atomic<UInt64>

    /// log2 of the indices in a block.
    static let blockShift = 12

    /// log2 of the children of a node.
    static let fanoutShift = 6

    /// log2 of the largest size: three levels of nodes over the blocks.
    static let maximumSizeShift = 30

    /// log2 of the largest flat size: one level of nodes, or two.
    static let maximumFlatShift = blockShift + 2 * fanoutShift

    /// A word with every bit set.
    static let allOnes = UInt64.max

    /// How many indices there are: a power of two.
    let size: Int

    /// log2 of the indices below one child of the root.
    let rootShift: Int

    let root: Node

    /// ``size``, or 0 in a bitmap that is not flat.
    let flatSize: Int

    /// All words of a flat bitmap, in the order of their indices.
    let flatWords: UnsafeMutablePointer<Word>

    /// The nodes over a flat bitmap's blocks, in the order of their indices: the root itself, if it is the only one.
    let flatNodes: UnsafeMutableRawPointer

    /// A word for each block of a flat bitmap: bit `n` set says that word `n` is open, it may have a free index.
    let flatOpen: UnsafeMutablePointer<Word>

    /// Markers between their two acts, in the low half; how many there ever were, in the high half. See ``confirmFull()``.
    let settling = Atomic<UInt64>(0)

    /// Searches that want releases counted. See ``collect()``.
    let watchers = Atomic<Int>(0)

    /// Releases that were seen to overlap a watcher.
    let watchedReleases = Atomic<UInt64>(0)

    /// - Parameter sizeShift: log2 of the size, 0...30.
    init(sizeShift: Int) {
        precondition((0...Self.maximumSizeShift).contains(sizeShift), "size out of range")
        size = 1 << sizeShift
        let levelsAboveFirst = max(0, sizeShift - Self.blockShift - 1) / Self.fanoutShift
        rootShift = Self.blockShift + levelsAboveFirst * Self.fanoutShift
        let childCount = 1 << max(0, sizeShift - rootShift)
        root = Node.make(childCount: childCount)
        guard sizeShift <= Self.maximumFlatShift else {
            // Neither is looked at: no index is below 0.
            flatSize = 0
            flatWords = root.marks
            flatNodes = root.base
            flatOpen = root.marks
            return
        }
        flatSize = size
        let wordCount = max(1, size >> 6)
        let blockCount = max(1, size >> Self.blockShift)
        let words = Self.makeWords(count: wordCount, size: size, before: blockCount)
        // Relaxed, all: no other thread can see this memory yet, and handing over the bitmap orders it for others.
        if rootShift == Self.blockShift {
            flatNodes = root.base
            for block in 0..<childCount {
                root.children[block].store(UnsafeMutableRawPointer(words + block << 6), ordering: .relaxed)
            }
        } else {
            let nodes = UnsafeMutableRawPointer.allocate(byteCount: childCount * Node.stride, alignment: 64)
            for digit in 0..<childCount {
                let node = Node(initializing: nodes + digit * Node.stride, childCount: 64)
                root.children[digit].store(node.base, ordering: .relaxed)
                for block in 0..<64 {
                    let first = words + (digit << Self.fanoutShift | block) << 6
                    node.children[block].store(UnsafeMutableRawPointer(first), ordering: .relaxed)
                }
            }
            flatNodes = nodes
        }
        flatWords = words
        flatOpen = words + wordCount
        let allOpen = Self.allOnes >> UInt64(64 - min(64, wordCount))
        for block in 0..<blockCount { (flatOpen + block).initialize(to: Word(allOpen)) }
    }

    deinit {
        // No other thread can be in a method here: deinit has the last reference.
        if flatSize > 0 {
            UnsafeMutableRawPointer(flatWords).deallocate()
            if flatNodes != root.base { flatNodes.deallocate() }
            root.base.deallocate()
            return
        }
        Self.free(root, shift: rootShift, childCount: max(1, size >> rootShift))
    }

    private static func free(_ node: Node, shift: Int, childCount: Int) {
        for digit in 0..<childCount {
            // Relaxed: whatever dropped the last reference ordered all stores before this.
            guard let child = node.children[digit].load(ordering: .relaxed) else { continue }
            if shift == blockShift {
                child.deallocate()
            } else {
                free(Node(base: child), shift: shift - fanoutShift, childCount: 1 << fanoutShift)
            }
        }
        node.base.deallocate()
    }

    /// How many words the blocks have: 64, or fewer when there is one block that is not filled.
    var wordsPerBlock: Int { min(max(1, size >> 6), 1 << (Self.blockShift - 6)) }
}

/// One node's memory: a word of marks, then the pointers to its children.
struct Node {
    let base: UnsafeMutableRawPointer

    // Both views name memory that `make` bound and initialised, and that lives until the bitmap's deinit.
    @inline(__always)
    var marks: UnsafeMutablePointer<Bitmap.Word> { base.assumingMemoryBound(to: Bitmap.Word.self) }

    @inline(__always)
    var children: UnsafeMutablePointer<Atomic<UnsafeMutableRawPointer?>> {
        (base + 8).assumingMemoryBound(to: Atomic<UnsafeMutableRawPointer?>.self)
    }

    /// Bytes from one node to the next where nodes of 64 children lie side by side: the whole cache lines that one takes.
    static let stride = 576

    static func make(childCount: Int) -> Node {
        Node(
            initializing: .allocate(byteCount: 8 * (1 + childCount), alignment: 64), childCount: childCount)
    }

    init(base: UnsafeMutableRawPointer) { self.base = base }

    /// Makes a node without children of fresh memory.
    init(initializing base: UnsafeMutableRawPointer, childCount: Int) {
        let absent = childCount == 64 ? 0 : Bitmap.allOnes << UInt64(childCount)
        base.bindMemory(to: Bitmap.Word.self, capacity: 1).initialize(to: Bitmap.Word(absent))
        let children = (base + 8).bindMemory(to: Atomic<UnsafeMutableRawPointer?>.self, capacity: childCount)
        for digit in 0..<childCount { (children + digit).initialize(to: Atomic(nil)) }
        self.base = base
    }
}

/// Reaching and making the parts of the tree.
extension Bitmap {
    /// The word that holds `index`; nil when its block was never made.
    @inline(__always)
    func word(containing index: Int) -> UnsafeMutablePointer<Word>? {
        if index < flatSize { return flatWords + index &>> 6 }
        guard let words = block(containing: index) else { return nil }
        return words + (index &>> 6 & 63)
    }

    /// The words of the block that holds `index`; nil when it was never made.
    func block(containing index: Int) -> UnsafeMutablePointer<Word>? {
        var node = root
        var shift = rootShift
        while true {
            // Acquiring: pairs with the releasing publication in `child(_:of:shift:)`, so that the memory that it points to is initialised.
            guard let child = node.children[index &>> shift & 63].load(ordering: .acquiring) else { return nil }
            if shift == Self.blockShift { return child.assumingMemoryBound(to: Word.self) }
            node = Node(base: child)
            shift &-= Self.fanoutShift
        }
    }

    /// As ``block(containing:)``, creating missing blocks.
    func makeBlock(containing index: Int) -> UnsafeMutablePointer<Word> {
        var node = root
        var shift = rootShift
        while true {
            let child = child(index >> shift & 63, of: node, shift: shift)
            if shift == Self.blockShift { return child.assumingMemoryBound(to: Word.self) }
            node = Node(base: child)
            shift -= Self.fanoutShift
        }
    }

    private func child(_ digit: Int, of node: Node, shift: Int) -> UnsafeMutableRawPointer {
        // Acquiring: pairs with the publication below, made by another thread.
        if let child = node.children[digit].load(ordering: .acquiring) { return child }
        let fresh = shift == Self.blockShift ? makeEmptyBlock() : Node.make(childCount: 64).base
        // Releasing publishes the initialised memory; acquiring on failure pairs with the winner's publication.
        let (published, winner) = node.children[digit].compareExchange(
            expected: nil, desired: fresh, successOrdering: .releasing, failureOrdering: .acquiring)
        guard !published, let winner else { return fresh }
        fresh.deallocate()
        return winner
    }

    private func makeEmptyBlock() -> UnsafeMutableRawPointer {
        UnsafeMutableRawPointer(Self.makeWords(count: wordsPerBlock, size: size))
    }

    /// Words without a taken index, of a bitmap of the given size.
    ///
    /// - Parameter others: words behind them that the caller is to initialise.
    private static func makeWords(count: Int, size: Int, before others: Int = 0) -> UnsafeMutablePointer<Word> {
        let words = UnsafeMutableRawPointer.allocate(byteCount: 8 * (count + others), alignment: 64)
            .bindMemory(to: Word.self, capacity: count + others)
        let absent = size >= 64 ? 0 : allOnes << UInt64(size)
        for word in 0..<count { (words + word).initialize(to: Word(absent)) }
        return words
    }

    /// The node over the block that holds `index`, which is below ``flatSize``.
    @inline(__always)
    func flatNode(over index: Int) -> Node {
        Node(base: flatNodes + index &>> (Self.blockShift + Self.fanoutShift) &* Node.stride)
    }

    /// The node that has the mark of the child, `1 << shift` indices wide, that holds `index`. That child must exist.
    func node(overChildAt shift: Int, containing index: Int) -> Node {
        var node = root
        var above = rootShift
        while above > shift {
            // Acquiring: as in `block(containing:)`. There, because a child of it exists and nothing is unmade before deinit.
            guard let child = node.children[index >> above & 63].load(ordering: .acquiring) else {
                preconditionFailure("a child without its parent")
            }
            node = Node(base: child)
            above -= Self.fanoutShift
        }
        return node
    }
}

/// Indices asked for by name.
extension Bitmap {
    /// Takes `index`; false when it is taken already.
    func claim(_ index: Int) -> Bool {
        let word = makeBlock(containing: index) + (index >> 6 & 63)
        guard Self.claimBit(of: word, preferring: index & 63, eligible: 1 &<< UInt64(index & 63)) != nil else {
            return false
        }
        // So that no search has to find it out: a range may be filled this way, as at a start.
        if index < flatSize { closeIfFull(index) }
        return true
    }

    func contains(_ index: Int) -> Bool {
        guard let word = word(containing: index) else { return false }
        // Acquiring: pairs with the releasing side of `release`, so that "free" is seen after its owner's earlier writes.
        return word.pointee.load(ordering: .acquiring) & 1 &<< UInt64(index & 63) != 0
    }

    /// Frees `index`; false when it was not taken.
    func release(_ index: Int) -> Bool {
        if index < flatSize { return releaseFlat(index) }
        guard let words = block(containing: index), Self.clearBit(index & 63, of: words + (index &>> 6 & 63)) != nil
        else {
            return false
        }
        unmark(childAt: Self.blockShift, containing: index)
        tellWatchers()
        return true
    }

    /// As ``release(_:)``, of an index below ``flatSize``.
    @inline(__always)
    func releaseFlat(_ index: Int) -> Bool {
        guard let old = Self.clearBit(index & 63, of: flatWords + index &>> 6) else { return false }
        // A word that was not full is open already, or another release is about to open it.
        if old == Self.allOnes { open(index) }
        let above = Self.blockShift + Self.fanoutShift
        Self.clearMark(of: flatNode(over: index), childAt: Self.blockShift, containing: index)
        if rootShift == above { Self.clearMark(of: root, childAt: above, containing: index) }
        tellWatchers()
        return true
    }

    @inline(__always)
    private static func clearBit(_ bit: Int, of word: UnsafeMutablePointer<Word>) -> UInt64? {
        let bit: UInt64 = 1 &<< UInt64(bit)
        // Relaxed: only a guess for the exchange below.
        var old = word.pointee.load(ordering: .relaxed)
        while old & bit != 0 {
            // Sequentially consistent: its releasing part pairs with the acquiring exchange of the next claim of this index;
            // its place in the total order, before the looks at marks and watchers, is used by the proofs in Bitmap+Search.swift.
            let (exchanged, seen) = word.pointee.weakCompareExchange(
                expected: old, desired: old & ~bit, successOrdering: .sequentiallyConsistent, failureOrdering: .relaxed)
            if exchanged { return old }
            old = seen
        }
        return nil
    }

    @inline(__always)
    private func tellWatchers() {
        // Sequentially consistent, both: see `collect()`.
        if watchers.load(ordering: .sequentiallyConsistent) != 0 {
            watchedReleases.wrappingAdd(1, ordering: .sequentiallyConsistent)
        }
    }

    /// Takes one free bit of `word` among `eligible`: the first at or after `preferred`, else the first; nil when none is free.
    @inline(__always)
    static func claimBit(of word: UnsafeMutablePointer<Word>, preferring preferred: Int, eligible: UInt64) -> Int? {
        // Relaxed: only a guess for the exchange below; "none free" needs no order, since a search may come too early anyway.
        var old = word.pointee.load(ordering: .relaxed)
        while true {
            let free = ~old & eligible
            if free == 0 { return nil }
            let after = free & allOnes &<< UInt64(preferred)
            let bit = (after != 0 ? after : free).trailingZeroBitCount
            // Acquiring: pairs with the exchange in `release`, so that the new owner sees all that the last one did.
            let (exchanged, seen) = word.pointee.weakCompareExchange(
                expected: old, desired: old | 1 &<< UInt64(bit), successOrdering: .acquiring, failureOrdering: .relaxed)
            if exchanged { return bit }
            old = seen
        }
    }
}

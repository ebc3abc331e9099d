internal import Addressing
internal import Synchronization

/// The indices `0..<2^n`, taken by search or by name: the common part of address pools and subnet pools.
///
/// The first 2^30 indices are a ``Bitmap``, the rest a ``SparseBitmap``. Searches stay in a *window* at the low end. It is all of
/// a space of at most 2^24 indices; in a wider one it starts at 4096 and doubles when seven eighths of it are taken, so
/// that memory follows use, and recently freed indices are not the only ones left.
///
/// Indices can be *excluded*, as others hold them: they are not handed out, taken or not, and have no bits set for it.
struct SlotSpace: ~Copyable, Sendable {
    /// log2 of the widest space whose window is all of it.
    private static let widestUnwindowedShift = 24

    /// log2 of the window that wider spaces start with: one block.
    private static let firstWindowShift = Bitmap.blockShift

    private let dense: Bitmap
    private let sparse = SparseBitmap()
    private let exclusions = Exclusions()

    /// By how much a draw of 64 bits is shifted to be an index of the dense part.
    let flatDrop: UInt64

    /// Where searches end: a power of two, doubled until the exclusions change.
    private let window: Atomic<Int>
    private let firstWindow: Int

    /// Where the next search in turn starts. A hint: a lost update only makes two searches start at one place.
    private let cursor = Atomic<Int>(0)

    /// - Parameter sizeShift: log2 of the number of indices, 0...128.
    init(sizeShift: Int) {
        dense = Bitmap(sizeShift: min(sizeShift, Bitmap.maximumSizeShift))
        flatDrop = UInt64(64 - min(sizeShift, Bitmap.maximumSizeShift))
        firstWindow = 1 << (sizeShift <= Self.widestUnwindowedShift ? sizeShift : Self.firstWindowShift)
        window = Atomic(firstWindow)
    }

    /// Takes a free index near a point that `entropy` picks evenly from `floor` to the window's end; below `floor` only if all
    /// above is taken; nil when all is taken, as ``Bitmap/claimAny()`` defines it.
    ///
    /// - Parameter floor: less than the size and than 4096.
    @inline(__always)
    func claim(startingAt entropy: UInt64, floor: Int) -> Int? {
        if !exclusions.isEmpty,
            let outcome = claimOutsideExclusions(floor: floor, from: { $0.draw(entropy, in: floor..<$1) })
        {
            return outcome
        }
        let start = start(at: entropy, floor: floor)
        // In a flat bitmap all of it is the window.
        if start < dense.flatSize, let found = dense.claimOpen(near: start, floor: floor) { return found }
        return claimBeyond(start, floor: floor)
    }

    @inline(never)
    private func claimBeyond(_ start: Int, floor: Int) -> Int? {
        dense.claimNear(start, floor: floor, wrapping: true) ?? claimFar(from: start, floor: floor)
    }

    /// Takes a free index of the word that holds `index`, which is below ``flatSize``, near that; nil when it is full.
    @inline(__always)
    func claimInFlatWord(of index: Int) -> Int? { dense.claimInFlatWord(of: index) }

    /// Takes a free index, not below `floor`, beside `index`, which is below ``flatSize``; nil when it found none.
    @inline(__always)
    func claimOpen(near index: Int, floor: Int) -> Int? { dense.claimOpen(near: index, floor: floor) }

    private func start(at entropy: UInt64, floor: Int) -> Int {
        let place = Int(truncatingIfNeeded: entropy &>> flatDrop)
        if place < dense.flatSize, place >= floor { return place }
        // Relaxed: the window is a bound on a search and guards no memory. So in all its uses here.
        let span = UInt64(bitPattern: Int64(window.load(ordering: .relaxed) &- floor))
        // Below the floor, the bits that the place left over draw again among the rest.
        let draw = dense.flatSize > 0 ? entropy &<< (64 &- flatDrop) : entropy
        return floor &+ Int(truncatingIfNeeded: draw.multipliedFullWidth(by: span).high)
    }

    /// Takes the first free index after the last one taken this way, and past the window's end from 0 on; nil as above.
    @inline(__always)
    func claimNext() -> Int? {
        // Relaxed: see `cursor`.
        let cursor = cursor.load(ordering: .relaxed)
        let found: Int?
        if !exclusions.isEmpty, let outcome = claimOutsideExclusions(floor: 0, from: { cursor < $1 ? cursor : 0 }) {
            found = outcome
        } else {
            let start = cursor < window.load(ordering: .relaxed) ? cursor : 0
            found = dense.claimNear(start, floor: 0, wrapping: false) ?? claimFar(from: start, floor: 0)
        }
        if let found { self.cursor.store(found + 1, ordering: .relaxed) }
        return found
    }

    @inline(never)
    private func claimFar(from start: Int, floor: Int) -> Int? {
        repeat {
            let end = window.load(ordering: .relaxed)
            let isWhole = end == dense.size
            if !isWhole, dense.count(below: end) >= end - end / 8 {
                // Relaxed: see above; a thread that loses has a doubled window all the same.
                _ = window.compareExchange(expected: end, desired: end * 2, ordering: .relaxed)
                continue
            }
            // The start is past the end where the window was made anew since.
            if let found = dense.claimFirst(in: min(start, end)..<end) ?? dense.claimFirst(in: floor..<end) {
                return found
            }
            if isWhole { return dense.claimAny() }
        } while true
    }

    /// As the searches above, gap by gap between the exclusions. O(excluded ranges) more than they; a space that has a gap
    /// and is full says so only after a look at each word that a gap has only a part of.
    ///
    /// - Parameter start: of the excluded indices and the window's end, where to begin, below that end.
    /// - Returns: nil where nothing is excluded any more.
    @inline(never)
    private func claimOutsideExclusions(floor: Int, from start: (ExcludedIndices, Int) -> Int) -> Int?? {
        exclusions.read { excluded -> Int? in
            repeat {
                let end = window.load(ordering: .relaxed)
                let start = start(excluded, end)
                let beside = start..<min(start | (1 << Bitmap.blockShift - 1) + 1, end)
                if let found = dense.claimFirst(in: excluded.gaps(in: beside)) { return found }
                let isWhole = end == dense.size
                // Taken and excluded indices count twice: such a window doubles sooner than it must.
                if !isWhole, dense.count(below: end) >= excluded.gapCount(in: 0..<end) - end / 8 {
                    // Relaxed: as in `claimFar`.
                    _ = window.compareExchange(expected: end, desired: end * 2, ordering: .relaxed)
                    continue
                }
                if let found = dense.claimFirst(in: excluded.gaps(in: start..<end))
                    ?? dense.claimFirst(in: excluded.gaps(in: floor..<end))
                {
                    return found
                }
                if isWhole { return dense.claimAny(in: excluded.gaps(in: 0..<end)) }
            } while true
        }
    }

    /// Takes `index`; false when it is taken already, or excluded.
    func claim(_ index: UInt128) -> Bool {
        guard !isExcluded(index) else { return false }
        return index < UInt128(dense.size) ? dense.claim(Int(index)) : sparse.claim(index)
    }

    /// Takes `index`, excluded or not, unless it is taken already.
    func mark(_ index: UInt128) {
        _ = index < UInt128(dense.size) ? dense.claim(Int(index)) : sparse.claim(index)
    }

    /// Frees `index`; false when it was not taken.
    func release(_ index: UInt128) -> Bool {
        index < UInt128(dense.size) ? dense.release(Int(truncatingIfNeeded: index)) : sparse.release(index)
    }

    /// Indices below this one may be given to ``claimInFlatWord(of:)`` and ``releaseFlat(_:)``.
    var flatSize: UInt64 { UInt64(bitPattern: Int64(dense.flatSize)) }

    @inline(__always)
    func releaseFlat(_ index: Int) -> Bool { dense.releaseFlat(index) }

    /// Whether `index` is taken or excluded.
    func contains(_ index: UInt128) -> Bool {
        (index < UInt128(dense.size) ? dense.contains(Int(index)) : sparse.contains(index)) || isExcluded(index)
    }

    /// Replaces the exclusions; no claim that begins after the return takes any of it. See ``Exclusions/set(_:)``.
    func setExcluded(_ held: [CIDR], in space: CIDR, unitLength: Int) {
        exclusions.set(ExcludedIndices(held, in: space, unitLength: unitLength, searchable: dense.size))
        // Relaxed: see `start(at:floor:)`. Exclusions may have driven it far beyond the part in use.
        window.store(firstWindow, ordering: .relaxed)
    }

    var hasExclusions: Bool { !exclusions.isEmpty }

    @inline(__always)
    private func isExcluded(_ index: UInt128) -> Bool { hasExclusions && isListed(index) }

    @inline(never)
    private func isListed(_ index: UInt128) -> Bool { exclusions.read { $0.contains(index) } ?? false }

    /// How many indices are excluded, taken or not, those of `others` not counted; `UInt128.max` for 2^128 of them. O(excluded
    /// ranges).
    func excludedCount(besides others: Set<UInt64> = []) -> UInt128 {
        exclusions.read { $0.count(besides: others) } ?? 0
    }

    /// How many indices are taken. O(memory), and exact only without claims and releases meanwhile.
    var count: Int { dense.count(below: dense.size) + sparse.count }

    /// How many indices of each 2^shift, from 0 on, are taken, and how many are excluded, taken or not. O(memory + blocks), at no one
    /// moment in time.
    ///
    /// - Parameter blocks: as many as all indices fill; not more than are good to keep.
    func counts(shift: Int, blocks: Int) -> (taken: [Int], excluded: [UInt128]) {
        var taken = Array(repeating: 0, count: blocks)
        dense.addCounts(shift: shift, to: &taken)
        sparse.addCounts(shift: shift, to: &taken)
        var excluded = Array(repeating: UInt128(0), count: blocks)
        _ = exclusions.read { $0.addCounts(shift: shift, to: &excluded) }
        return (taken, excluded)
    }

    /// Calls `body` with each taken index: those below 2^30 in rising order, then the others in none. O(memory).
    func forEachTaken(_ body: (UInt128) throws -> Void) rethrows {
        try dense.forEachTaken { try body(UInt128($0)) }
        try sparse.forEachTaken(body)
    }

    /// See ``Bitmap/_checkInvariants()``.
    func _checkInvariants() { dense._checkInvariants() }
}

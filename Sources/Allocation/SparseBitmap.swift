internal import Synchronization

/// A lock-free set of taken indices that may lie anywhere in 2^128: for those asked for by name, far from all others.
///
/// A digital search tree: a cell holds one word of 64 neighbouring indices and stands on the path that its key's hash spells,
/// two bits a step, at the first place that was empty. Cells are only ever added, so a path once walked stays valid, and
/// adding one is a single compare-and-swap. The hash is seeded by the process, so no client can aim at a long path.
///
/// Costs 64 bytes for each word that ever held an index; O(log n) expected. Nothing is freed before deinit.
struct SparseBitmap: ~Copyable, @unchecked Sendable {
    // Proof: the memory behind the pointers is atomic or never changes after its publication, and is freed in deinit alone.

    private let root = Cell.make(key: 0)

    deinit {
        // No other thread can be in a method here: deinit has the last reference.
        root.free()
    }

    /// Takes `index`; false when it is taken already.
    func claim(_ index: UInt128) -> Bool {
        let bit: UInt64 = 1 << UInt64(truncatingIfNeeded: index & 63)
        guard let cell = cell(for: index >> 6, making: true) else {
            preconditionFailure("a cell that was made is there")
        }
        // Acquiring: pairs with the releasing `release`, so that the new owner sees all that the last one did.
        return cell.bits.pointee.bitwiseOr(bit, ordering: .acquiring).oldValue & bit == 0
    }

    /// Frees `index`; false when it was not taken.
    func release(_ index: UInt128) -> Bool {
        let bit: UInt64 = 1 << UInt64(truncatingIfNeeded: index & 63)
        guard let cell = cell(for: index >> 6, making: false) else { return false }
        // Releasing: pairs with the acquiring `claim`.
        return cell.bits.pointee.bitwiseAnd(~bit, ordering: .releasing).oldValue & bit != 0
    }

    func contains(_ index: UInt128) -> Bool {
        guard let cell = cell(for: index >> 6, making: false) else { return false }
        // Acquiring: pairs with the releasing `release`, so that "free" is seen after its owner's earlier writes.
        return cell.bits.pointee.load(ordering: .acquiring) & 1 << UInt64(truncatingIfNeeded: index & 63) != 0
    }

    /// O(cells), at no one moment in time.
    var count: Int {
        var count = 0
        // Relaxed: a count while others claim and release is approximate anyway.
        root.forEachCell { count += $0.bits.pointee.load(ordering: .relaxed).nonzeroBitCount }
        return count
    }

    /// Adds to `counts` how many indices of each 2^shift, from 0 on, are taken. O(taken).
    func addCounts(shift: Int, to counts: inout [Int]) {
        forEachTaken { index in counts[Int(index >> UInt128(shift))] += 1 }
    }

    /// Calls `body` with each taken index, in no order.
    func forEachTaken(_ body: (UInt128) throws -> Void) rethrows {
        try root.forEachCell { cell in
            // Acquiring: as in `contains`.
            var taken = cell.bits.pointee.load(ordering: .acquiring)
            while taken != 0 {
                try body(cell.key << 6 | UInt128(taken.trailingZeroBitCount))
                taken &= taken - 1
            }
        }
    }

    private func cell(for key: UInt128, making: Bool) -> Cell? {
        var cell = root
        var path = UInt(bitPattern: key.hashValue)
        while cell.key != key {
            let child = cell.children + Int(path & 3)
            // Turned, not shifted: keys whose hashes agree in every bit only make one longer path.
            path = path >> 2 | path << (UInt.bitWidth - 2)
            // Acquiring: pairs with the publication below, so that the cell's key is seen initialised.
            if let next = child.pointee.load(ordering: .acquiring) {
                cell = Cell(base: next)
                continue
            }
            guard making else { return nil }
            let fresh = Cell.make(key: key)
            // Releasing publishes the initialised cell; acquiring on failure pairs with the winner's publication.
            let (published, winner) = child.pointee.compareExchange(
                expected: nil, desired: fresh.base, successOrdering: .releasing, failureOrdering: .acquiring)
            guard !published, let winner else { return fresh }
            fresh.base.deallocate()
            cell = Cell(base: winner)
        }
        return cell
    }
}

/// One cell's memory: the key, which never changes, the word of bits, the pointers to four children.
private struct Cell {
    let base: UnsafeMutableRawPointer

    // The three views name memory that `make` bound and initialised, and that lives until the bitmap's deinit.
    var key: UInt128 { base.assumingMemoryBound(to: UInt128.self).pointee }

    var bits: UnsafeMutablePointer<Atomic<UInt64>> { (base + 16).assumingMemoryBound(to: Atomic<UInt64>.self) }

    var children: UnsafeMutablePointer<Atomic<UnsafeMutableRawPointer?>> {
        (base + 24).assumingMemoryBound(to: Atomic<UnsafeMutableRawPointer?>.self)
    }

    static func make(key: UInt128) -> Cell {
        let cell = Cell(base: .allocate(byteCount: 64, alignment: 64))
        cell.base.bindMemory(to: UInt128.self, capacity: 1).initialize(to: key)
        (cell.base + 16).bindMemory(to: Atomic<UInt64>.self, capacity: 1).initialize(to: Atomic(0))
        let children = (cell.base + 24).bindMemory(to: Atomic<UnsafeMutableRawPointer?>.self, capacity: 4)
        for digit in 0..<4 { (children + digit).initialize(to: Atomic(nil)) }
        return cell
    }

    func forEachCell(_ body: (Cell) throws -> Void) rethrows {
        try body(self)
        for digit in 0..<4 {
            // Acquiring: pairs with the publication in `cell(for:making:)`.
            if let child = children[digit].load(ordering: .acquiring) { try Cell(base: child).forEachCell(body) }
        }
    }

    func free() {
        for digit in 0..<4 {
            // Relaxed: whatever dropped the last reference to the bitmap ordered all stores before this.
            if let child = children[digit].load(ordering: .relaxed) { Cell(base: child).free() }
        }
        base.deallocate()
    }
}

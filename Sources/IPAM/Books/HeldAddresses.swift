import Addressing

/// Single addresses of both families, each with its holder, and in order.
///
/// Kept in blocks of 64 neighbours. With a holder of 8 bytes an address takes some 10 bytes where they are given out in turn, 30
/// where one in ten is held, 100 where each lies alone. A value type: not thread-safe by itself. No result depends on the order of
/// a Dictionary.
struct HeldAddresses<Holder: Sendable>: Sendable {
    private var ipv4 = Family<UInt32>()
    private var ipv6 = Family<UInt128>()

    init() {}

    /// Of pairs in any order; where an address comes twice, its last holder counts. O(n log n).
    init(_ pairs: some Sequence<(IPAddress, Holder)>) {
        for (address, holder) in pairs {
            switch address.family {
            case .ipv4: ipv4.put(holder, at: UInt32(truncatingIfNeeded: address.low))
            case .ipv6: ipv6.put(holder, at: address.bits)
            }
        }
        ipv4.sort()
        ipv6.sort()
    }

    var count: Int { ipv4.count + ipv6.count }

    /// For tests: how much is kept.
    var blockCount: Int { ipv4.blockCount + ipv6.blockCount }

    /// The holder of `address`, nil where it has none. Reading is O(1), a change O(log n).
    subscript(address: IPAddress) -> Holder? {
        get {
            switch address.family {
            case .ipv4: ipv4[UInt32(truncatingIfNeeded: address.low)]
            case .ipv6: ipv6[address.bits]
            }
        }
        set {
            switch address.family {
            case .ipv4: ipv4[UInt32(truncatingIfNeeded: address.low)] = newValue
            case .ipv6: ipv6[address.bits] = newValue
            }
        }
    }

    /// Calls `body` with each address of `cidr` that is held, in order and, where `start` is given, from behind that one on, until it
    /// returns false. O(log n + visited).
    func visit(inside cidr: CIDR, after start: IPAddress? = nil, _ body: (IPAddress, Holder) -> Bool) {
        var first = cidr.first.bits
        if let start, start.family == cidr.family, start.bits >= first {
            guard start.bits < cidr.last.bits else { return }
            first = start.bits + 1
        }
        switch cidr.family {
        case .ipv4:
            ipv4.visit(UInt32(truncatingIfNeeded: first)...UInt32(truncatingIfNeeded: cidr.last.low)) {
                body(IPAddress(family: .ipv4, bits: UInt128($0)), $1)
            }
        case .ipv6:
            ipv6.visit(first...cidr.last.bits) { body(IPAddress(family: .ipv6, bits: $0), $1) }
        }
    }
}

extension HeldAddresses {
    /// The addresses of one family, as numbers.
    private struct Family<Bits: FixedWidthInteger & UnsignedInteger & Sendable>: Sendable {
        /// Those of which an address is held, by their addresses' bits but for the last six.
        private var blocks: [Bits: Block] = [:]
        private var order = SortedList<Bits, Void>()
        private(set) var count = 0
        var blockCount: Int { blocks.count }

        subscript(bits: Bits) -> Holder? {
            get { blocks[bits >> 6]?[Int(bits & 63)] }
            set {
                guard let newValue else { return remove(bits) }
                if put(newValue, at: bits) { order.insert(bits >> 6) }
            }
        }

        /// Leaves a new block, which makes it true, to be put in order by the caller.
        @discardableResult
        mutating func put(_ holder: Holder, at bits: Bits) -> Bool {
            let before = blocks.count
            if blocks[bits >> 6, default: Block()].put(holder, at: Int(bits & 63)) { count += 1 }
            return blocks.count > before
        }

        private mutating func remove(_ bits: Bits) {
            guard let place = blocks.index(forKey: bits >> 6), blocks.values[place].remove(at: Int(bits & 63)) else {
                return
            }
            count -= 1
            if blocks.values[place].isEmpty {
                blocks.remove(at: place)
                order.remove(bits >> 6)
            }
        }

        /// Puts all blocks in order.
        mutating func sort() {
            order = SortedList(keys: blocks.keys.sorted())
        }

        func visit(_ range: ClosedRange<Bits>, _ body: (Bits, Holder) -> Bool) {
            order.visit(from: order.place(of: range.lowerBound >> 6)) { key, _ in
                guard key <= range.upperBound >> 6, let block = blocks[key] else { return false }
                return block.visit { bit, holder in
                    let bits = key << 6 | Bits(bit)
                    return bits <= range.upperBound && (bits < range.lowerBound || body(bits, holder))
                }
            }
        }
    }

    /// 64 neighbours.
    private struct Block: Sendable {
        /// The held ones.
        private var held: UInt64 = 0
        /// Theirs, in the same order. The first by itself: where each address lies alone, no block has memory of its own.
        private var first: Holder?
        private var rest: [Holder] = []

        var isEmpty: Bool { held == 0 }

        subscript(bit: Int) -> Holder? {
            guard held & 1 << UInt64(bit) != 0 else { return nil }
            let rank = rank(of: bit)
            return rank == 0 ? first : rest[rank - 1]
        }

        private func rank(of bit: Int) -> Int { (held & (1 << UInt64(bit) - 1)).nonzeroBitCount }

        /// Whether it had no holder.
        mutating func put(_ holder: Holder, at bit: Int) -> Bool {
            let mask: UInt64 = 1 << UInt64(bit)
            let isNew = held & mask == 0
            let rank = rank(of: bit)
            if rank == 0 {
                if isNew, let first { rest.insert(first, at: 0) }
                first = holder
            } else if isNew {
                rest.insert(holder, at: rank - 1)
            } else {
                rest[rank - 1] = holder
            }
            held |= mask
            return isNew
        }

        /// Whether it had a holder.
        mutating func remove(at bit: Int) -> Bool {
            let mask: UInt64 = 1 << UInt64(bit)
            guard held & mask != 0 else { return false }
            let rank = rank(of: bit)
            if rank > 0 {
                rest.remove(at: rank - 1)
            } else {
                first = rest.isEmpty ? nil : rest.removeFirst()
            }
            held &= ~mask
            return true
        }

        /// Whether `body` never returned false, at which the visit ends.
        func visit(_ body: (Int, Holder) -> Bool) -> Bool {
            var left = held
            func visit(_ holder: Holder) -> Bool {
                defer { left &= left - 1 }
                return body(left.trailingZeroBitCount, holder)
            }
            return first.map(visit) ?? true && rest.allSatisfy(visit)
        }
    }
}

extension HeldAddresses {
    /// Whether one lies in the CIDR. O(log n).
    func contains(anyInside cidr: CIDR) -> Bool {
        var found = false
        visit(inside: cidr) { _, _ in
            found = true
            return false
        }
        return found
    }
}
